"""Recorded outcomes: what real models answered to real prompts, as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError, MissingExtra

Floats = npt.NDArray[np.float64]
Split = Literal["train", "test"]

PROMPTS, OUTCOMES = "prompts.parquet", "outcomes.parquet"
_PROMPT_COLUMNS = ("prompt_id", "prompt", "category", "split")
_OUTCOME_COLUMNS = ("prompt_id", "model", "score")
#: Columns that hold a call's cost, the measured one before the nominal one.
_COST_COLUMNS = ("cost_usd", "est_cost_usd")


@dataclass(frozen=True)
class Outcomes:
    """P prompts answered by M models. NaN where a model was not asked.

    Attributes:
        prompts: The P texts.
        prompt_ids: Their ids.
        categories: Their categories.
        models: The M names.
        score: (P, M) quality of the answer, 0..1.
        cost: (P, M) USD of the call, or None when no cost is known.
        prompt_tokens: (P, M) input tokens, or None.
        completion_tokens: (P, M) output tokens, or None.
        source: The folder's name, for reports.
    """

    prompts: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    categories: tuple[str, ...]
    models: tuple[str, ...]
    score: Floats
    cost: Floats | None = None
    prompt_tokens: Floats | None = None
    completion_tokens: Floats | None = None
    source: str = "outcomes"

    def __post_init__(self) -> None:
        shape = (len(self.prompts), len(self.models))
        for name in ("score", "cost", "prompt_tokens", "completion_tokens"):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ConfigurationError(
                    f"{name} has shape {array.shape}; {shape[0]} prompts and {shape[1]} models "
                    f"need {shape}."
                )
        if len(self.prompt_ids) != shape[0] or len(self.categories) != shape[0]:
            raise ConfigurationError(
                f"{shape[0]} prompts need as many ids and categories; {len(self.prompt_ids)} and "
                f"{len(self.categories)} were given."
            )
        with np.errstate(invalid="ignore"):
            outside = (self.score < 0) | (self.score > 1)
        if outside.any():
            raise ConfigurationError(
                f"scores must lie in 0..1; {self.score[outside][0]} was given. Scale them."
            )

    def __len__(self) -> int:
        return len(self.prompts)

    @classmethod
    def read(cls, folder: str | Path, split: Split | None = None) -> Outcomes:
        """Reads a folder of `prompts.parquet` and `outcomes.parquet`.

        Rows whose split is `exclude` are never returned.

        Args:
            folder: The folder.
            split: `"train"` or `"test"`; None for both.

        Raises:
            ConfigurationError: The folder or a column is missing, or no prompt is left.
            MissingExtra: pyarrow is not installed.
        """
        if split not in ("train", "test", None):
            raise ConfigurationError(f"split is 'train', 'test' or None; {split!r} was given.")
        path = Path(folder)
        prompts = _table(path / PROMPTS, _PROMPT_COLUMNS)
        wanted = ("train", "test") if split is None else (split,)
        kept = [i for i, part in enumerate(prompts["split"]) if part in wanted]
        if not kept:
            raise ConfigurationError(f"{path / PROMPTS} has no prompt with split {split!r}.")
        ids = [str(prompts["prompt_id"][i]) for i in kept]
        rows = _table(path / OUTCOMES, _OUTCOME_COLUMNS)
        return _assemble(path.name, prompts, kept, ids, rows)

    def select(self, which: npt.ArrayLike) -> Outcomes:
        """The outcomes of some prompts.

        Args:
            which: P booleans, or indices.
        """
        index = np.asarray(which)
        index = np.flatnonzero(index) if index.dtype == bool else index
        places: list[int] = index.tolist()

        def pick(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(values[i] for i in places)

        def rows(array: Floats | None) -> Floats | None:
            return None if array is None else array[index]

        return replace(
            self,
            prompts=pick(self.prompts),
            prompt_ids=pick(self.prompt_ids),
            categories=pick(self.categories),
            score=self.score[index],
            cost=rows(self.cost),
            prompt_tokens=rows(self.prompt_tokens),
            completion_tokens=rows(self.completion_tokens),
        )

    def complete(self) -> Outcomes:
        """The prompts that every model answered, which replaying a choice among them needs."""
        known = ~np.isnan(self.score).any(axis=1)
        if self.cost is not None:
            known &= ~np.isnan(self.cost).any(axis=1)
        return self.select(known)


def default_data() -> Path | None:
    """The folder that holds the recorded outcomes, or None where there is none.

    `LLMROUTE_DATA` when it is set, otherwise `../shared/data` beside the repository or the current
    directory.
    """
    stated = os.environ.get("LLMROUTE_DATA")
    if stated:
        return Path(stated) if Path(stated).is_dir() else None
    repository = Path(__file__).resolve().parents[2]
    for root in (repository, Path.cwd()):
        folder = root.parent / "shared" / "data"
        if folder.is_dir():
            return folder
    return None


def _table(path: Path, needed: Iterable[str]) -> dict[str, list[Any]]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("Reading parquet", "eval") from None
    if not path.is_file():
        raise ConfigurationError(
            f"no file {path}: a folder of outcomes holds {PROMPTS} and {OUTCOMES}."
        )
    try:
        names = set(parquet.read_schema(path).names)
        missing = [name for name in needed if name not in names]
        if missing:
            raise ConfigurationError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(sorted(names))}."
            )
        optional = {"prompt_tokens", "completion_tokens", *_COST_COLUMNS} & names
        # Responses can be most of the file, and nothing here reads them.
        table: dict[str, list[Any]] = parquet.read_table(
            path, columns=[*needed, *sorted(optional)]
        ).to_pydict()
    except (OSError, pyarrow.ArrowException) as fault:
        raise ConfigurationError(f"{path} cannot be read as parquet: {fault}") from None
    return table


def _assemble(
    source: str,
    prompts: Mapping[str, list[Any]],
    kept: Sequence[int],
    ids: Sequence[str],
    rows: Mapping[str, list[Any]],
) -> Outcomes:
    place = {prompt_id: i for i, prompt_id in enumerate(ids)}
    models = sorted(set(rows["model"]))
    column = {name: i for i, name in enumerate(models)}
    at = np.array([place.get(str(p), -1) for p in rows["prompt_id"]], dtype=np.int64)
    of = np.array([column[name] for name in rows["model"]], dtype=np.int64)
    present = at >= 0

    def grid(name: str) -> Floats:
        values = np.array(rows[name], dtype=np.float64)  # None becomes NaN
        table = np.full((len(ids), len(models)), np.nan)
        table[at[present], of[present]] = values[present]
        return table

    cost = next((name for name in _COST_COLUMNS if name in rows), None)
    return Outcomes(
        prompts=tuple(str(prompts["prompt"][i]) for i in kept),
        prompt_ids=tuple(ids),
        categories=tuple(str(prompts["category"][i]) for i in kept),
        models=tuple(models),
        score=grid("score"),
        cost=grid(cost) if cost else None,
        prompt_tokens=grid("prompt_tokens") if "prompt_tokens" in rows else None,
        completion_tokens=grid("completion_tokens") if "completion_tokens" in rows else None,
        source=source,
    )
