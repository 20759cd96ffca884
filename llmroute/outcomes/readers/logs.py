"""Logs of your own: CSV, TSV, JSONL or a JSON list, one row an answer.

A row is `prompt`, `model` and `score`, and whatever else is known. `ALIASES` has the other names
that columns may go by; columns with names that are not there are passed over.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble
from llmroute.outcomes.columns import Faults, Rows, shown
from llmroute.outcomes.readers.traces import find_traces, read_traces
from llmroute.outcomes.table import OutcomeTable, Split

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

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


def read_table(
    path: Path, split: Split | None = None, responses: bool = False, score_name: str | None = None
) -> OutcomeTable:
    """Reads a CSV or TSV file with a header line, in UTF-8.

    Args:
        path: The file; a name that ends in .tsv is separated by tabs, any other by commas.
        split: The side that is wanted; None for both.
        responses: Also read the answers' texts.
        score_name: The column that is the score, where it is not called that.

    Raises:
        ConfigurationError: Rows that cannot be used, a few at a time, by line.
    """
    faults = Faults(str(path), Rows("line"))
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open("rb") as file, _long_cells():
        cells = csv.reader(_decoded(file, faults), delimiter=delimiter, strict=True)
        header = _header(cells, faults)
        faults.check()
        if not header:
            raise ConfigurationError(f"{path} is empty. Its first line names the columns.")
        places = _known_columns(header, str(path), responses, score_name)
        columns, numbers = _columns(cells, places, len(header), faults)
    faults.check()
    return _assembled(columns, path, Rows("line", numbers), split)


def read_lines(
    path: Path, split: Split | None = None, responses: bool = False, score_name: str | None = None
) -> OutcomeTable:
    """Reads JSONL: a log of your own, or runs exported by LangSmith or Langfuse.

    Args:
        path: The file, one JSON object a line, in UTF-8.
        split: The side that is wanted; None for both.
        responses: Also read the answers' texts.
        score_name: The column, or the feedback score of a trace, that is the quality.

    Raises:
        ConfigurationError: Rows that cannot be used, a few at a time, by line.
    """
    faults = Faults(str(path), Rows("line"))
    objects: list[Any] = []
    numbers: list[int] = []
    with path.open("rb") as file:
        for number, line in enumerate(_decoded(file, faults), start=1):
            if line.strip():
                objects.append(_parsed(line, number, faults))
                numbers.append(number)
    faults.check()
    return _read_objects(objects, path, Rows("line", numbers), split, responses, score_name)


def read_document(
    path: Path, split: Split | None = None, responses: bool = False, score_name: str | None = None
) -> OutcomeTable:
    """Reads a JSON file: an export of LangSmith or Langfuse, or a list of rows of your own.

    Args:
        path: The file, in UTF-8.
        split: The side that is wanted; None for both.
        responses: Also read the answers' texts.
        score_name: The column, or the feedback score of a trace, that is the quality.

    Raises:
        ConfigurationError: Rows that cannot be used, a few at a time, by their place in the list.
    """
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise ConfigurationError(
            f"{path} is not UTF-8 (byte {fault.start}). Save it as UTF-8."
        ) from None
    except (ValueError, RecursionError) as fault:
        raise ConfigurationError(f"{path} is no JSON: {_position(fault)}.") from None
    return _read_objects(document, path, Rows("entry"), split, responses, score_name)


def _read_objects(
    document: Any,
    path: Path,
    rows: Rows,
    split: Split | None,
    responses: bool,
    score_name: str | None,
) -> OutcomeTable:
    traces = find_traces(document)
    if traces is not None:
        outcomes = read_traces(
            traces, str(path), rows, split, responses=responses, score_name=score_name
        )
        return replace(outcomes, source=path.stem)
    if not isinstance(document, list) or not all(isinstance(o, dict) for o in document):
        raise ConfigurationError(
            f"{path}: a list of objects was expected, each an answer with prompt, model and score, "
            "or the runs of a LangSmith or Langfuse export."
        )
    if not document:
        raise ConfigurationError(f"{path} is empty.")
    names = list(dict.fromkeys(name for row in document for name in row))
    places = _known_columns(names, str(path), responses, score_name)
    columns = {name: [row.get(names[at]) for row in document] for name, at in places.items()}
    return _assembled(columns, path, rows, split)


def _assembled(
    columns: Mapping[str, Sequence[object]], path: Path, rows: Rows, split: Split | None
) -> OutcomeTable:
    if not len(columns["prompt"]):
        raise ConfigurationError(f"{path} has no rows after its header.")
    outcomes = assemble(columns, source=str(path), rows=rows, split=split)
    return replace(outcomes, source=path.stem)


def _known_columns(
    header: Sequence[str], source: str, responses: bool, score_name: str | None
) -> dict[str, int]:
    """Column → its place in the header, by its name or another it goes by."""
    plain = [str(name).strip().lower() for name in header]
    places: dict[str, int] = {}
    for column, others in ALIASES.items():
        own = column
        if column == "score" and score_name is not None:
            own, others = score_name.strip().lower(), ()
        found = [at for at, name in enumerate(plain) if name == own]
        found = found or [at for at, name in enumerate(plain) if name in others]
        if len(found) > 1:
            raise ConfigurationError(
                f"{source}: columns {', '.join(repr(header[at]) for at in found)} could each be "
                f"the {column}. Rename the one that is meant to {column!r}."
            )
        if found and (column != "response" or responses):
            places[column] = found[0]
    if "latency_s" in places:
        places.pop("latency_ms", None)
    missing = [column for column in _NEEDED if column not in places]
    if missing:
        raise ConfigurationError(f"{source} {_lacks(missing, header, score_name)}")
    return places


def _lacks(missing: Sequence[str], header: Sequence[str], score_name: str | None) -> str:
    named = [score_name if c == "score" and score_name else c for c in missing]
    also = [
        f"{column} may also be called {' or '.join(ALIASES[column])}"
        for column in missing
        if column in named
    ]
    text = f"has no column {', '.join(named)}; it has {', '.join(map(shown, header[:20]))}."
    if also:
        text += f" {'; '.join(also)}."
    if len(header) == 1 and ";" in header[0]:
        text += " It looks as if semicolons separate the cells: save it with commas."
    return text


def _header(cells: Iterator[list[str]], faults: Faults) -> list[str]:
    """The first row that is not empty; an empty list where there is none."""
    try:
        return next((row for row in cells if row), [])
    except csv.Error as fault:
        faults.add([0], f"{fault}. {_MEND_QUOTES}")
        return []


def _columns(
    cells: CsvReader, places: Mapping[str, int], width: int, faults: Faults
) -> tuple[dict[str, list[str]], list[int]]:
    """The columns at some places of the rows, and the line on which each row begins."""
    columns: dict[str, list[str]] = {name: [] for name in places}
    numbers: list[int] = []
    adding = [(columns[name].append, at) for name, at in places.items()]
    start = cells.line_num + 1
    try:
        for row in cells:
            if len(row) == width:
                numbers.append(start)
                for add, at in adding:
                    add(row[at])
            elif row:
                faults.add([start - 1], _ragged(len(row), width))
            start = cells.line_num + 1
    except csv.Error as fault:
        faults.add([start - 1], f"{fault}. {_MEND_QUOTES}")
    return columns, numbers


def _ragged(found: int, expected: int) -> str:
    return (
        f"{found} cells, where the header has {expected}. Put quotation marks around texts with "
        "separators in them."
    )


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


def _parsed(line: str, number: int, faults: Faults) -> Any:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as fault:
        faults.add([number - 1], f"no JSON: {_position(fault)}.")
        return {}
    if not isinstance(value, dict):
        faults.add([number - 1], "no JSON object. Each line is one: {…}.")
        return {}
    return value


def _position(fault: Exception) -> str:
    """What is wrong with a JSON text, without a piece of it."""
    if isinstance(fault, json.JSONDecodeError):
        where = f"line {fault.lineno}, " if fault.lineno > 1 else ""
        return f"{fault.msg} at {where}column {fault.colno}"
    return "it is nested too deeply" if isinstance(fault, RecursionError) else "a number too long"


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lets cells be long while a file is read: the limit is the whole process's."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)
