"""Folders of `prompts.parquet`, `outcomes.parquet` and, where there are any, `samples.parquet`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.assemble import Answers, Prompts, check_splits, to_outcomes
from llmroute.outcomes.columns import Coded, Faults, Rows, check_pairs, check_range
from llmroute.outcomes.table import OUTCOMES, PROMPTS, OutcomeTable, Samples, Texts, Wanted

SAMPLES = "samples.parquet"
_PROMPT_COLUMNS = ("prompt_id", "prompt", "category", "split")
_OUTCOME_COLUMNS = ("prompt_id", "model", "score")
_SAMPLE_COLUMNS = ("prompt_id", "model", "result")
#: Field of `Outcomes` → the columns it is read from, the likelier one first: a measured cost goes
#: before a nominal one.
_COLUMNS = {
    "score": ("score",),
    "cost": ("cost_usd", "est_cost_usd"),
    "prompt_tokens": ("prompt_tokens",),
    "completion_tokens": ("completion_tokens",),
    "latency": ("latency_s", "latency_ms"),
    "confidence": ("confidence", "raw_conf"),
    "confidence_cost": ("confidence_cost_usd", "cost_with_conf_usd"),
}
#: USD below which the difference of two costs is rounding.
_ROUNDING = 1e-12
#: Logarithms of probabilities up to this are taken for 0.
_SURE = 1e-6


def read_parquet(folder: Path, wanted: Wanted, samples: bool) -> OutcomeTable:
    """Reads a folder of parquet files.

    `prompts.parquet` has `prompt_id`, `prompt`, `category` and `split`; `outcomes.parquet` has
    `prompt_id`, `model` and `score` and, where known, `cost_usd` or `est_cost_usd`,
    `prompt_tokens`, `completion_tokens`, `latency_s` or `latency_ms`, `response`, and a confidence:
    `confidence` itself, or `raw_conf`, which is a logarithm where `conf_kind` ends in `logprob`.
    What the confidence cost is `confidence_cost_usd`, or the difference of `cost_with_conf_usd` and
    the cost. `samples.parquet` has `prompt_id`, `model`, `result`, a `score` or `correct`, and
    where there are several a `style`.

    The arguments and errors are those of `Outcomes.read`.
    """
    prompts, ids = _read_prompts(folder / PROMPTS)
    path = folder / OUTCOMES
    optional = {"conf_kind"}.union(*_COLUMNS.values()) - {"score"}
    table = _table(path, _OUTCOME_COLUMNS, optional | ({"response"} if wanted.responses else set()))
    faults = Faults(str(path), Rows())
    prompt = _prompt_indices(table, ids, faults)
    model = _codes(table, "model", faults)
    numbers = _numbers(table)
    for field, values in numbers.items():
        check_range(field, values, faults, field)
    check_pairs(prompt, model, faults)
    faults.check()
    answers = Answers(
        prompt,
        model,
        numbers,
        responses=_texts(table, "response") if "response" in table.column_names else None,
        samples=_read_samples(folder / SAMPLES, ids) if samples else None,
    )
    return to_outcomes(prompts, answers, str(path), wanted.split, folder.name)


def _read_prompts(path: Path) -> tuple[Prompts, Any]:
    """All prompts, and the arrow array of their ids."""
    table = _table(path, _PROMPT_COLUMNS, ())
    faults = Faults(str(path), Rows())
    columns = [_strings(table, name, faults) for name in _PROMPT_COLUMNS]
    ids, texts, categories, splits = (column.to_pylist() for column in columns)
    coded = Coded.of(ids)
    first = coded.first()[coded.codes]
    faults.add(
        np.flatnonzero(first != np.arange(len(first))),
        lambda row: f"the prompt_id stands in row {first[row] + 1} already. Give each its own.",
    )
    check_splits(splits, faults)
    faults.check()
    return Prompts(texts, ids, categories, splits), columns[0]


def _read_samples(path: Path, ids: Any) -> Samples:
    table = _table(path, _SAMPLE_COLUMNS, ("style", "score", "correct"))
    faults = Faults(str(path), Rows())
    score_column = next((n for n in ("score", "correct") if n in table.column_names), None)
    if score_column is None:
        raise ConfigurationError(
            f"{path} has neither a column score nor correct, which say how good a sample is."
        )
    prompt = _prompt_indices(table, ids, faults)
    model = _codes(table, "model", faults)
    style = Coded(np.zeros(len(prompt), dtype=np.int64), ("",))
    if "style" in table.column_names:
        style = _codes(table, "style", faults)
    score = _floats(table, score_column)
    check_range("score", score, faults, "score")
    faults.check()
    kept = prompt >= 0
    return Samples(
        models=model.names,
        styles=style.names,
        prompt=prompt[kept],
        model=model.codes[kept],
        style=style.codes[kept],
        result=_texts(table, "result")[kept],
        score=score[kept],
    )


def _numbers(table: Any) -> dict[str, Floats]:
    """Field of `Outcomes` → (N,) values."""
    numbers: dict[str, Floats] = {}
    for field, columns in _COLUMNS.items():
        column = next((name for name in columns if name in table.column_names), None)
        if column is None or (column == "cost_with_conf_usd" and "cost" not in numbers):
            continue
        values = _floats(table, column)
        if column == "latency_ms":
            values = values / 1000
        elif column == "raw_conf":
            values = _probabilities(values, table)
        elif column == "cost_with_conf_usd":
            values = values - numbers["cost"]
            values = np.where(np.abs(values) < _ROUNDING, 0.0, values)
        numbers[field] = values
    return numbers


def _probabilities(raw: Floats, table: Any) -> Floats:
    if "conf_kind" not in table.column_names:
        return raw
    import pyarrow.compute as compute

    is_log = compute.ends_with(_strings(table, "conf_kind"), pattern="logprob")
    is_log = np.asarray(compute.fill_null(is_log, False), dtype=bool)
    # Providers report logarithms a rounding error above 0 for sure tokens.
    logs = np.where(is_log & ~(np.abs(raw) < _SURE), raw, 0.0)
    return np.where(is_log, np.exp(logs), raw)


def _table(path: Path, needed: Iterable[str], optional: Iterable[str]) -> Any:
    """The arrow table of some columns, those that are optional where they are there."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("Reading parquet", "eval") from None
    if not path.is_file():
        raise ConfigurationError(
            f"no file {path}: a folder of outcomes holds {PROMPTS} and {OUTCOMES}, and {SAMPLES} "
            "where there are samples."
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


def _strings(table: Any, name: str, faults: Faults | None = None) -> Any:
    """A column as one arrow array of large strings; notes nulls where they are faults."""
    import pyarrow

    column = table[name]
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    column = column.cast(pyarrow.large_string()).combine_chunks()
    if faults is not None:
        null = np.flatnonzero(np.asarray(column.is_null(), dtype=bool))
        faults.add(null, f"{name} is null; a text was expected.")
    return column


def _texts(table: Any, name: str) -> Texts:
    texts: Texts = _strings(table, name).to_numpy(zero_copy_only=False)
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


def _prompt_indices(table: Any, ids: Any, faults: Faults) -> Ints:
    """(N,) row of each `prompt_id` in the prompts; -1 where it is not among them."""
    import pyarrow.compute as compute

    indices = compute.index_in(_strings(table, "prompt_id", faults), value_set=ids)
    return np.asarray(compute.fill_null(indices, -1), dtype=np.int64)


def _codes(table: Any, name: str, faults: Faults) -> Coded:
    """A column of texts, numbered in alphabetical order."""
    texts = _strings(table, name, faults).fill_null("").dictionary_encode()
    codes = np.asarray(texts.indices, dtype=np.int64)
    return Coded(codes, tuple(texts.dictionary.to_pylist())).sorted()
