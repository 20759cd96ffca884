"""Preference data: which of two answers was liked better (RouteLLM, arXiv 2406.18665).

A table of `prompt`, `model_a`, `model_b` and `winner`, one comparison a row, as chat arenas and
side-by-side tests give it. `winner` is `a`, `b` or `tie`, or what Chatbot Arena writes: `model_a`,
`model_b`, `tie (bothbad)`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.assemble import side_of
from llmroute.outcomes.columns import Faults, Rows
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.table import Split

#: Column → the other names it may go by, in any case.
ALIASES: dict[str, tuple[str, ...]] = {
    "prompt": ("question", "input", "instruction", "query"),
    "model_a": ("a", "model_1"),
    "model_b": ("b", "model_2"),
    "winner": ("preference", "preferred"),
    "split": (),
}
_NEEDED = ("prompt", "model_a", "model_b", "winner")
#: What a winner may be written as → how much of the comparison model_a won.
_WINNERS = {
    "a": 1.0,
    "model_a": 1.0,
    "b": 0.0,
    "model_b": 0.0,
    "tie": 0.5,
    "tie (bothbad)": 0.5,
    "tie (both bad)": 0.5,
}
_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")


@dataclass(frozen=True)
class Preferences:
    """N comparisons of two models' answers to P prompts.

    Attributes:
        prompts: The P texts, each once.
        models: The M names.
        prompt: (N,) index of the prompt.
        first: (N,) index of one model.
        second: (N,) index of the other.
        won: (N,) 1 where the first won, 0 where the second, 0.5 for a tie.
        source: Name of the data.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    prompt: Ints
    first: Ints
    second: Ints
    won: Floats
    source: str = "preferences"

    def __len__(self) -> int:
        return len(self.won)

    def select(self, which: npt.ArrayLike) -> Preferences:
        """The comparisons on some prompts, which are renumbered."""
        kept = np.asarray(which, dtype=bool)
        number = np.cumsum(kept) - 1
        rows = kept[self.prompt]
        return replace(
            self,
            prompts=tuple(p for p, k in zip(self.prompts, kept.tolist(), strict=True) if k),
            prompt=number[self.prompt[rows]],
            first=self.first[rows],
            second=self.second[rows],
            won=self.won[rows],
        )

    def win_shares(self) -> Floats:
        """(P, M) mean of what a model won on a prompt, ties half; NaN where it was not compared."""
        cells = len(self.prompts) * len(self.models)
        a = self.prompt * len(self.models) + self.first
        b = self.prompt * len(self.models) + self.second
        total = np.bincount(a, self.won, cells) + np.bincount(b, 1 - self.won, cells)
        count = np.bincount(a, minlength=cells) + np.bincount(b, minlength=cells)
        with np.errstate(invalid="ignore"):
            shares: Floats = (total / count).reshape(len(self.prompts), len(self.models))
        return shares


def preferences_of(outcomes: Outcomes) -> Preferences:
    """Every pair of models on every prompt that both answered; equal scores are ties."""
    parts: list[tuple[Ints, Ints, Ints, Floats]] = []
    for a in range(len(outcomes.models)):
        for b in range(a + 1, len(outcomes.models)):
            difference = outcomes.score[:, a] - outcomes.score[:, b]
            rows = np.flatnonzero(~np.isnan(difference))
            won = 0.5 + 0.5 * np.sign(difference[rows])
            parts.append((rows, np.full(len(rows), a), np.full(len(rows), b), won))
    if not parts:
        raise ConfigurationError(f"{outcomes.source} has one model; a comparison needs two.")
    prompt, first, second, won = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Preferences(
        prompts=outcomes.prompts,
        models=outcomes.models,
        prompt=prompt.astype(np.int64),
        first=first.astype(np.int64),
        second=second.astype(np.int64),
        won=won.astype(np.float64),
        source=outcomes.source,
    )


def is_preferences(path: str | Path) -> bool:
    """Whether a file is a table of comparisons: its columns name two models and a winner."""
    path = Path(path)
    if not path.is_file() or path.suffix.lower() not in _ENDINGS:
        return False
    try:
        header = [name.strip().lower() for name in _header(path)]
    except (OSError, ValueError, StopIteration, csv.Error):
        return False
    named = [any(n in header for n in (c, *ALIASES[c])) for c in ("model_a", "model_b", "winner")]
    return all(named)


def read_preferences(path: str | Path, split: Split | None = None) -> Preferences:
    """Reads a table of comparisons: CSV, TSV, JSONL, a JSON list, or parquet.

    Args:
        path: The file.
        split: `"train"` or `"test"`; None for both. Without a column `split` a prompt's side is
            decided by its hash, half and half, as for outcomes. Rows with `exclude` are never read.

    Raises:
        ConfigurationError: The file cannot be used, with the rows at fault.
        MissingExtra: A parquet file, and pyarrow is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigurationError(f"no file {path}. A table of comparisons was expected.")
    rows = list(_rows(path))
    if not rows:
        raise ConfigurationError(f"{path} has no comparisons.")
    columns = _columns(rows, str(path))
    faults = Faults(str(path), Rows("comparison"))
    won = [_won(value, place, faults) for place, value in enumerate(columns["winner"])]
    names = [[str(v or "").strip() for v in columns[c]] for c in ("model_a", "model_b")]
    texts = ["" if v is None else str(v) for v in columns["prompt"]]
    for place, (text, a, b) in enumerate(zip(texts, *names, strict=True)):
        if not text.strip() or not a or not b:
            faults.add([place], "prompt, model_a and model_b must be filled.")
        elif a == b:
            faults.add([place], "model_a and model_b are one model. Compare two.")
    faults.check()
    sides = [str(s or "").lower() for s in columns.get("split", [])] or [side_of(t) for t in texts]
    wanted = ("train", "test") if split is None else (split,)
    kept = [i for i, side in enumerate(sides) if side in wanted]
    if not kept:
        raise ConfigurationError(f"{path} has no comparison with split {' or '.join(wanted)}.")
    prompts = {text: i for i, text in enumerate(dict.fromkeys(texts[i] for i in kept))}
    models = {m: i for i, m in enumerate(dict.fromkeys(n[i] for i in kept for n in names))}
    return Preferences(
        prompts=tuple(prompts),
        models=tuple(models),
        prompt=np.array([prompts[texts[i]] for i in kept], dtype=np.int64),
        first=np.array([models[names[0][i]] for i in kept], dtype=np.int64),
        second=np.array([models[names[1][i]] for i in kept], dtype=np.int64),
        won=np.array([won[i] for i in kept], dtype=np.float64),
        source=path.stem,
    )


def _won(value: object, place: int, faults: Faults) -> float:
    found = _WINNERS.get(str(value).strip().lower())
    if found is None:
        faults.add([place], f"winner is a, b or tie; {str(value)[:30]!r} was given.")
    return 0.5 if found is None else found


def _columns(rows: Sequence[Mapping[str, Any]], source: str) -> dict[str, list[Any]]:
    """The columns by our names, whatever they are called."""
    names = {str(n).strip().lower(): n for n in dict.fromkeys(n for row in rows for n in row)}
    found = {
        column: names[called]
        for column, others in ALIASES.items()
        if (called := next((n for n in (column, *others) if n in names), None)) is not None
    }
    missing = [column for column in _NEEDED if column not in found]
    if missing:
        raise ConfigurationError(
            f"{source} has no column {', '.join(missing)}; it has "
            f"{', '.join(map(repr, list(names)[:20]))}. Comparisons are prompt, model_a, model_b "
            "and winner."
        )
    return {column: [row.get(name) for row in rows] for column, name in found.items()}


def _header(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        return [str(name) for name in _parquet().read_schema(path).names]
    return [str(name) for name in next(iter(_rows(path)))]


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    ending = path.suffix.lower()
    if ending == ".parquet":
        yield from _parquet().read_table(path).to_pylist()
    elif ending in (".csv", ".tsv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file, delimiter="\t" if ending == ".tsv" else ",")
    elif ending in (".jsonl", ".ndjson", ".json"):
        yield from _objects(path)
    else:
        raise ConfigurationError(
            f"{path}: a name that ends in {', '.join(_ENDINGS)} was expected for comparisons."
        )


def _objects(path: Path) -> Iterator[Mapping[str, Any]]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        rows = (
            json.loads(text)
            if path.suffix.lower() == ".json"
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except ValueError as fault:
        raise ConfigurationError(f"{path} is no JSON: {fault}.") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigurationError(f"{path}: a list of objects was expected, each one comparison.")
    yield from rows


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("Reading parquet", "eval") from None
    return pyarrow.parquet
