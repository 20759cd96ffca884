"""Logs of your own: CSV, TSV, JSONL or a JSON list, one row an answer.

A row is `prompt`, `model` and `score`, and whatever else is known. `ALIASES` has the other names
that columns may go by; columns with names that are not there are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble
from llmroute.outcomes.columns import Rows, shown
from llmroute.outcomes.readers.text_rows import csv_columns, json_fault, json_lines
from llmroute.outcomes.readers.traces import find_traces, read_traces
from llmroute.outcomes.table import OutcomeTable, Split

#: Column → the other names it may go by, in any case.
ALIASES: dict[str, tuple[str, ...]] = {
    "prompt": ("input", "question", "query"),
    "model": ("model_name",),
    "score": ("correct", "quality"),
    "cost_usd": ("cost", "total_cost"),
    "prompt_tokens": ("input_tokens",),
    "completion_tokens": ("output_tokens",),
    "latency_s": ("latency", "latency_seconds"),
    "latency_ms": (),
    "category": ("task", "eval_name"),
    "prompt_id": ("question_id", "sample_id"),
    "split": (),
    "response": ("output", "completion"),
    "confidence": (),
    "confidence_cost_usd": (),
}
_NEEDED = ("prompt", "model", "score")


def read_table(
    path: Path, split: Split | None, responses: bool, score_name: str | None
) -> OutcomeTable:
    """Reads a CSV or TSV file with a header line; the arguments are those of `Outcomes.read`."""
    columns, rows = csv_columns(
        path, lambda header: _known_columns(header, path, responses, score_name)
    )
    if not columns["prompt"]:
        raise ConfigurationError(f"{path} has no rows after its header.")
    return assemble(columns, str(path), rows, split)


def read_lines(
    path: Path, split: Split | None, responses: bool, score_name: str | None
) -> OutcomeTable:
    """Reads JSONL: a log of your own, or runs exported by LangSmith or Langfuse."""
    return _read_objects(*json_lines(path), path, split, responses, score_name)


def read_document(
    path: Path, split: Split | None, responses: bool, score_name: str | None
) -> OutcomeTable:
    """Reads a JSON file: an export of LangSmith or Langfuse, or a list of rows of your own."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise ConfigurationError(
            f"{path} is not UTF-8 (byte {fault.start}). Save it as UTF-8."
        ) from None
    except (ValueError, RecursionError) as fault:
        raise ConfigurationError(f"{path} is no JSON: {json_fault(fault)}.") from None
    return _read_objects(document, Rows("entry"), path, split, responses, score_name)


def _read_objects(
    document: Any,
    rows: Rows,
    path: Path,
    split: Split | None,
    responses: bool,
    score_name: str | None,
) -> OutcomeTable:
    traces = find_traces(document)
    if traces is not None:
        return read_traces(traces, str(path), rows, split, responses, score_name)
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise ConfigurationError(
            f"{path}: a list of objects was expected, each an answer with prompt, model and score, "
            "or the runs of a LangSmith or Langfuse export."
        )
    if not document:
        raise ConfigurationError(f"{path} is empty.")
    names = list(dict.fromkeys(name for row in document for name in row))
    places = _known_columns(names, path, responses, score_name)
    columns = {column: [row.get(names[at]) for row in document] for column, at in places.items()}
    return assemble(columns, str(path), rows, split)


def _known_columns(
    header: Sequence[str], path: Path, responses: bool, score_name: str | None
) -> Mapping[str, int]:
    """Column → its place in the header, by its name or another it goes by."""
    plain = [name.strip().lower() for name in header]
    places: dict[str, int] = {}
    for column, aliases in ALIASES.items():
        own = column
        if column == "score" and score_name is not None:
            own, aliases = score_name.strip().lower(), ()
        found = [at for at, name in enumerate(plain) if name == own]
        found = found or [at for at, name in enumerate(plain) if name in aliases]
        if len(found) > 1:
            raise ConfigurationError(
                f"{path}: columns {', '.join(repr(header[at]) for at in found)} could each be "
                f"the {column}. Rename the one that is meant to {column!r}."
            )
        if found and (column != "response" or responses):
            places[column] = found[0]
    if "latency_s" in places:
        places.pop("latency_ms", None)
    missing = [column for column in _NEEDED if column not in places]
    if not missing:
        return places
    named = [score_name if column == "score" and score_name else column for column in missing]
    text = f"{path} has no column {', '.join(named)}; it has {', '.join(map(shown, header[:20]))}."
    also = [
        f"{column} may also be called {' or '.join(ALIASES[column])}"
        for column in missing
        if column in named
    ]
    if also:
        text += f" {'; '.join(also)}."
    if len(header) == 1 and ";" in header[0]:
        text += " It looks as if semicolons separate the cells: save it with commas."
    raise ConfigurationError(text)
