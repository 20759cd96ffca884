"""Folders of `prompts.parquet`, `outcomes.parquet` and, where there are any, `samples.parquet`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.assemble import SPLITS, Answers, Prompts, to_outcomes, with_costs
from llmroute.outcomes.columns import Faults, Rows, check_numbers, check_pairs, shown
from llmroute.outcomes.table import OUTCOMES, PROMPTS, OutcomeTable, Samples, Split, Texts

SAMPLES = "samples.parquet"
_PROMPT_COLUMNS = ("prompt_id", "prompt", "category", "split")
_OUTCOME_COLUMNS = ("prompt_id", "model", "score")
_SAMPLE_COLUMNS = ("prompt_id", "model", "result")
#: Columns that hold a call's cost, the measured one before the nominal one.
_COST_COLUMNS = ("cost_usd", "est_cost_usd")
#: Column of a number → field of `Outcomes`.
_PLAIN = {
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "latency_s": "latency",
    "confidence": "confidence",
    "confidence_cost_usd": "confidence_cost",
}
_READ_TOO = (*_COST_COLUMNS, *_PLAIN, "latency_ms", "raw_conf", "conf_kind", "cost_with_conf_usd")
#: USD below which the difference of two costs is rounding.
_ROUNDING = 1e-12
#: Logarithms of probabilities up to this are taken for 0.
_SURE = 1e-6


def is_folder_of_outcomes(path: Path) -> bool:
    """Whether a folder is of this kind.

    Args:
        path: Any path.
    """
    return (path / PROMPTS).is_file()


def read_parquet(
    folder: Path, split: Split | None = None, *, responses: bool = False, samples: bool = False
) -> OutcomeTable:
    """Reads a folder of parquet files.

    `prompts.parquet` has `prompt_id`, `prompt`, `category` and `split`; `outcomes.parquet` has
    `prompt_id`, `model` and `score` and, where known, `cost_usd` or `est_cost_usd`,
    `prompt_tokens`, `completion_tokens`, `latency_s` or `latency_ms`, `response`, and a confidence:
    `confidence` itself, or `raw_conf`, which is a logarithm where `conf_kind` ends in `logprob`.
    What the confidence cost is `confidence_cost_usd`, or the difference of `cost_with_conf_usd` and
    the cost. `samples.parquet` has `prompt_id`, `model`, `result`, a `score` or `correct`, and
    where there are several a `style`.

    Args:
        folder: The folder.
        split: The side that is wanted; None for both.
        responses: Also read the answers' texts.
        samples: Also read `samples.parquet`.

    Raises:
        ConfigurationError: A file or a column is missing, rows are at fault, or no prompt is left.
        MissingExtra: pyarrow is not installed.
    """
    prompts, index = _read_prompts(folder / PROMPTS)
    optional = (*_READ_TOO, "response") if responses else _READ_TOO
    path = folder / OUTCOMES
    table = _table(path, _OUTCOME_COLUMNS, optional)
    faults = Faults(str(path), Rows())
    prompt = _places(table["prompt_id"], index, faults)
    model, models = _codes(table["model"], "model", faults)
    numbers = _numbers(table, faults)
    check_pairs(prompt, model, models, faults)
    faults.check()
    answers = Answers(
        prompt=prompt,
        model=model,
        models=models,
        numbers=numbers,
        responses=_texts(table["response"]) if "response" in table.column_names else None,
        samples=_read_samples(folder / SAMPLES, index) if samples else None,
    )
    return to_outcomes(prompts, with_costs(answers, str(path)), folder.name, split)


def _read_prompts(path: Path) -> tuple[Prompts, Any]:
    """All prompts, and the arrow array of their ids."""
    table = _table(path, _PROMPT_COLUMNS, ())
    faults = Faults(str(path), Rows())
    columns = {name: _strings(table[name]) for name in _PROMPT_COLUMNS}
    for name, column in columns.items():
        faults.add(_where(column.is_null()), f"{name} is null; a text was expected.")
    ids, texts, categories, splits = (columns[n].to_pylist() for n in _PROMPT_COLUMNS)
    first: dict[str | None, int] = {}
    again = [row for row, name in enumerate(ids) if first.setdefault(name, row) != row]
    faults.add(
        again,
        lambda row: (
            f"the prompt_id stands in row {first[ids[row]] + 1} already. Give every prompt its own."
        ),
    )
    faults.add(
        [row for row, part in enumerate(splits) if part is not None and part not in SPLITS],
        lambda row: f"split is {shown(splits[row])}; {', '.join(map(repr, SPLITS))} was expected.",
    )
    faults.check()
    return Prompts(texts, ids, categories, splits), columns["prompt_id"]


def _read_samples(path: Path, index: Any) -> Samples:
    if not path.is_file():
        raise ConfigurationError(
            f"no file {path}: samples were asked for, and this folder has none. Read it without."
        )
    table = _table(path, _SAMPLE_COLUMNS, ("style", "score", "correct"))
    faults = Faults(str(path), Rows())
    name = next((n for n in ("score", "correct") if n in table.column_names), None)
    if name is None:
        raise ConfigurationError(
            f"{path} has neither a column score nor correct, which say how good a sample is."
        )
    prompt = _places(table["prompt_id"], index, faults)
    model, models = _codes(table["model"], "model", faults)
    style: Ints = np.zeros(len(prompt), dtype=np.int64)
    styles: tuple[str, ...] = ("",)
    if "style" in table.column_names:
        style, styles = _codes(table["style"], "style", faults)
    score = _floats(table, name)
    check_numbers({"score": score}, faults)
    faults.check()
    kept = prompt >= 0
    return Samples(
        models=models,
        styles=styles,
        prompt=prompt[kept],
        model=model[kept],
        style=style[kept],
        result=_texts(table["result"])[kept],
        score=score[kept],
    )


def _numbers(table: Any, faults: Faults) -> dict[str, Floats]:
    """Field of `Outcomes` → (N,) values."""
    names = set(table.column_names)
    found = {"score": _floats(table, "score")}
    for column, field in _PLAIN.items():
        if column in names:
            found[field] = _floats(table, column)
    cost = next((name for name in _COST_COLUMNS if name in names), None)
    if cost:
        found["cost"] = _floats(table, cost)
    if "latency" not in found and "latency_ms" in names:
        found["latency"] = _floats(table, "latency_ms") / 1000
    if "confidence" not in found and "raw_conf" in names:
        found["confidence"] = _probability(table)
    if "confidence_cost" not in found and cost and "cost_with_conf_usd" in names:
        further = _floats(table, "cost_with_conf_usd") - found["cost"]
        found["confidence_cost"] = np.where(np.abs(further) < _ROUNDING, 0.0, further)
    check_numbers(found, faults)
    return found


def _probability(table: Any) -> Floats:
    raw = _floats(table, "raw_conf")
    if "conf_kind" not in table.column_names:
        return raw
    import pyarrow.compute as compute

    logs = compute.ends_with(_strings(table["conf_kind"]), pattern="logprob")
    is_log = np.asarray(compute.fill_null(logs, False), dtype=bool)
    # Providers report logarithms a rounding error above 0 for sure tokens.
    return np.where(
        is_log, np.exp(np.where(np.abs(raw) < 1e-6, 0.0, np.where(is_log, raw, 0.0))), raw
    )


def _table(path: Path, needed: Iterable[str], optional: Iterable[str]) -> Any:
    """The arrow table of some columns, those that are optional where they are there."""
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
        return parquet.read_table(path, columns=[*needed, *(n for n in optional if n in names)])
    except (OSError, pyarrow.ArrowException) as fault:
        raise ConfigurationError(f"{path} cannot be read as parquet: {fault}") from None


def _strings(column: Any) -> Any:
    """A column as one arrow array of large strings."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pyarrow.large_string()).combine_chunks()


def _texts(column: Any) -> Texts:
    texts: Texts = _strings(column).to_numpy(zero_copy_only=False)
    return texts


def _floats(table: Any, name: str) -> Floats:
    """A column as numbers; null becomes NaN."""
    import pyarrow

    column = table[name]
    try:
        if pyarrow.types.is_boolean(column.type):
            column = column.cast(pyarrow.int8())
        values: Floats = column.cast(pyarrow.float64()).to_numpy()
    except (pyarrow.ArrowException, ValueError):  # its text may hold a cell
        raise ConfigurationError(
            f"column {name} is of type {column.type}; numbers were expected."
        ) from None
    return values


def _places(column: Any, index: Any, faults: Faults) -> Ints:
    """(N,) row of each id in the prompts; -1 where it is not among them."""
    import pyarrow.compute as compute

    ids = _strings(column)
    faults.add(_where(ids.is_null()), "prompt_id is null; a text was expected.")
    found = compute.fill_null(compute.index_in(ids, value_set=index), -1)
    return np.asarray(found, dtype=np.int64)


def _codes(column: Any, name: str, faults: Faults) -> tuple[Ints, tuple[str, ...]]:
    """(N,) index of each text in the sorted different ones, and these."""
    texts = _strings(column)
    faults.add(_where(texts.is_null()), f"{name} is null; a text was expected.")
    coded = texts.fill_null("").dictionary_encode()
    names: list[str] = coded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=lambda code: names[code])
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return place[np.asarray(coded.indices, dtype=np.int64)], tuple(names[code] for code in order)


def _where(mask: Any) -> Ints:
    return np.flatnonzero(np.asarray(mask, dtype=bool))
