"""Logs of your own: CSV, TSV, JSONL or a JSON list, one row an answer.

A row is `prompt`, `model` and `score`, and whatever else is known. `ALIASES` has the other names
that columns may go by; columns with names that are not there are passed over.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble
from llmroute.outcomes.columns import Faults, Rows, shown
from llmroute.outcomes.readers.traces import find_traces, read_traces
from llmroute.outcomes.table import OutcomeTable, Wanted

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
#: Characters a cell may have. Python's own limit, 131,072, is shorter than some responses.
_LONGEST_CELL = 2**31 - 1
_MEND_QUOTES = "Is a quotation mark missing or not doubled?"
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_table(path: Path, wanted: Wanted) -> OutcomeTable:
    """Reads a CSV or TSV file with a header line; the arguments are those of `Outcomes.read`."""
    columns, rows = csv_columns(path, lambda header: _known_columns(header, path, wanted))
    if not columns["prompt"]:
        raise ConfigurationError(f"{path} has no rows after its header.")
    return assemble(columns, str(path), rows, wanted.split)


def read_lines(path: Path, wanted: Wanted) -> OutcomeTable:
    """Reads JSONL: a log of your own, or runs exported by LangSmith or Langfuse."""
    return _read_objects(*json_lines(path), path, wanted)


def read_document(path: Path, wanted: Wanted) -> OutcomeTable:
    """Reads a JSON file: an export of LangSmith or Langfuse, or a list of rows of your own."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise ConfigurationError(
            f"{path} is not UTF-8 (byte {fault.start}). Save it as UTF-8."
        ) from None
    except (ValueError, RecursionError) as fault:
        raise ConfigurationError(f"{path} is no JSON: {_json_fault(fault)}.") from None
    return _read_objects(document, Rows("entry"), path, wanted)


def _read_objects(document: Any, rows: Rows, path: Path, wanted: Wanted) -> OutcomeTable:
    traces = find_traces(document)
    if traces is not None:
        return read_traces(traces, str(path), rows, wanted)
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise ConfigurationError(
            f"{path}: a list of objects was expected, each an answer with prompt, model and score, "
            "or the runs of a LangSmith or Langfuse export."
        )
    if not document:
        raise ConfigurationError(f"{path} is empty.")
    names = list(dict.fromkeys(name for row in document for name in row))
    places = _known_columns(names, path, wanted)
    columns = {column: [row.get(names[at]) for row in document] for column, at in places.items()}
    return assemble(columns, str(path), rows, wanted.split)


def _known_columns(header: Sequence[str], path: Path, wanted: Wanted) -> Mapping[str, int]:
    """Column → its place in the header, by its name or another it goes by."""
    score_name = wanted.score_name
    plain = [name.strip().lower() for name in header]
    places: dict[str, int] = {}
    for column, aliases in ALIASES.items():
        own = column
        if column == "score" and score_name is not None:
            own, aliases = score_name.strip().lower(), ()
        matches = [at for at, name in enumerate(plain) if name == own]
        matches = matches or [at for at, name in enumerate(plain) if name in aliases]
        if len(matches) > 1:
            raise ConfigurationError(
                f"{path}: columns {', '.join(repr(header[at]) for at in matches)} could each be "
                f"the {column}. Rename the one that is meant to {column!r}."
            )
        if matches and (column != "response" or wanted.responses):
            places[column] = matches[0]
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


def csv_columns(
    path: Path, choose: Callable[[list[str]], Mapping[str, int]]
) -> tuple[dict[str, list[str]], Rows]:
    """Columns of a CSV or TSV file, and the names of its rows.

    A file whose name ends in .tsv is separated by tabs, any other by commas. `choose` goes from the
    header to the wanted columns' names and their places in it.
    """
    faults = Faults(str(path), Rows("line"))
    columns: dict[str, list[str]] = {}
    numbers: list[int] = []
    width, start = 0, 1
    limit = csv.field_size_limit(_LONGEST_CELL)  # the limit is the whole process's
    try:
        with path.open("rb") as file:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            rows = csv.reader(_decoded(file, faults), delimiter=delimiter, strict=True)
            for row in rows:
                if row and not width:
                    faults.check()
                    width, places = len(row), choose(row)
                    columns = {name: [] for name in places}
                    adding = [(columns[name].append, place) for name, place in places.items()]
                elif row and len(row) == width:
                    numbers.append(start)
                    for add, place in adding:
                        add(row[place])
                elif row:
                    faults.add(
                        [start - 1],
                        f"{len(row)} cells, where the header has {width}. Put quotation marks "
                        "around texts with separators in them.",
                    )
                start = rows.line_num + 1
    except csv.Error as fault:
        faults.add([start - 1], f"{fault}. {_MEND_QUOTES}")
    finally:
        csv.field_size_limit(limit)
    faults.check()
    if not width:
        raise ConfigurationError(f"{path} is empty. Its first line names the columns.")
    return columns, Rows("line", numbers)


def json_lines(path: Path) -> tuple[list[dict[str, Any]], Rows]:
    """The objects of a JSONL file, and the names of its rows."""
    faults = Faults(str(path), Rows("line"))
    objects: list[dict[str, Any]] = []
    numbers: list[int] = []
    with path.open("rb") as file:
        for number, line in enumerate(_decoded(file, faults), start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as fault:
                faults.add([number - 1], f"no JSON: {_json_fault(fault)}.")
                continue
            if isinstance(value, dict):
                objects.append(value)
                numbers.append(number)
            else:
                faults.add([number - 1], "no JSON object. Each line is one: {…}.")
    faults.check()
    return objects, Rows("line", numbers)


def _json_fault(fault: Exception) -> str:
    """What is wrong with a JSON text, without a piece of it."""
    if isinstance(fault, json.JSONDecodeError):
        line = f"line {fault.lineno}, " if fault.lineno > 1 else ""
        return f"{fault.msg} at {line}column {fault.colno}"
    return "it is nested too deeply" if isinstance(fault, RecursionError) else "a number too long"


def _decoded(file: BinaryIO, faults: Faults) -> Iterator[str]:
    """The lines of a file in UTF-8; notes those that are not."""
    for number, raw in enumerate(file):
        if number == 0:
            if raw.startswith(_BYTE_ORDER_MARKS):
                raise ConfigurationError(f"{faults.source} is UTF-16. Save it as UTF-8.")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as fault:
            faults.add([number], f"byte {fault.start} is not UTF-8. Save the file as UTF-8.")
            line = raw.decode("utf-8", "replace")
        if "\0" in line:
            faults.add([number], "a NUL byte, which no text has. Remove it.")
            line = line.replace("\0", "")
        yield line
