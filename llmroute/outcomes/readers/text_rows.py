"""Rows of CSV, TSV and JSONL files in UTF-8, each with the line on which it begins."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from llmroute.errors import ConfigurationError
from llmroute.outcomes.columns import Faults, Rows

#: Characters a cell may have. Python's own limit, 131,072, is shorter than some responses.
_LONGEST_CELL = 2**31 - 1
_MEND_QUOTES = "Is a quotation mark missing or not doubled?"
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def csv_columns(
    path: Path, choose: Callable[[list[str]], Mapping[str, int]]
) -> tuple[dict[str, list[str]], Rows]:
    """Columns of a CSV file with a header line.

    Args:
        path: The file; a name that ends in .tsv is separated by tabs, any other by commas.
        choose: Header → the wanted columns' names and their places in it.

    Raises:
        ConfigurationError: Lines that are no CSV or not UTF-8, a few at a time; an empty file.
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
    """The objects of a JSONL file.

    Raises:
        ConfigurationError: Lines that are no JSON object or not UTF-8, a few at a time.
    """
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
                faults.add([number - 1], f"no JSON: {json_fault(fault)}.")
                continue
            if isinstance(value, dict):
                objects.append(value)
                numbers.append(number)
            else:
                faults.add([number - 1], "no JSON object. Each line is one: {…}.")
    faults.check()
    return objects, Rows("line", numbers)


def json_fault(fault: Exception) -> str:
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
