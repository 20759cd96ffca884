"""Columns of a long table: texts as codes, cells as numbers, and what is wrong with them.

Prompts are private: no error text holds one. Rows are named by their number in the file instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.table import Texts, out_of_range

#: Column of a number → field of `Outcomes`.
NUMBER_COLUMNS = {
    "score": "score",
    "cost_usd": "cost",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "latency_s": "latency",
    "latency_ms": "latency",
    "confidence": "confidence",
    "confidence_cost_usd": "confidence_cost",
}
#: How to mend a number that is out of its field's range.
_MEND = {
    "score": "Scale the scores: stars 1..5 become (stars − 1)/4.",
    "confidence": "Give a probability, not its logarithm.",
}
#: Cells that are no number in themselves → what they mean; the second of a score only.
_BLANK = dict.fromkeys((None, "", "nan", "null", "none"), np.nan)
_TRUTH = {"true": 1.0, "false": 0.0, True: 1.0, False: 0.0}
#: Faults shown of one file; of the others only how many there are.
_SHOWN = 5
#: Characters of a cell that an error text may hold.
_SHOWN_OF_A_CELL = 20
#: What a cell's type is called.
_KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


class Rows(NamedTuple):
    """How error texts name N rows: what a row is called, and their numbers if not 1, 2, 3 to N."""

    word: str = "row"
    numbers: Sequence[int] | None = None

    def name(self, row: int) -> str:
        """The name of a row, by its index from 0."""
        return f"{self.word} {row + 1 if self.numbers is None else self.numbers[row]}"

    def select(self, rows: Sequence[int]) -> Rows:
        """The names of some rows, by their indices from 0."""
        numbers = self.numbers
        return Rows(self.word, [row + 1 if numbers is None else numbers[row] for row in rows])


class Faults:
    """What is wrong with the rows of a file, collected so that an error names several at once."""

    def __init__(self, source: str, rows: Rows) -> None:
        self.source = source
        self.rows = rows
        self._shown: list[tuple[int, str]] = []
        self._more = 0

    def add(self, rows: Iterable[int], text: str | Callable[[int], str]) -> None:
        """Notes a fault of some rows, by their indices from 0.

        The text, or what makes it of a row, says what is wrong, was expected, and how to mend it.
        """
        for count, row in enumerate(sorted(map(int, rows))):
            if count < _SHOWN:
                self._shown.append((row, text if isinstance(text, str) else text(row)))
            else:
                self._more += 1

    def check(self) -> None:
        """Raises ConfigurationError where anything was noted, in the file's order."""
        if not self._shown:
            return
        self._shown.sort(key=lambda fault: fault[0])
        lines = [f"{self.rows.name(row)}: {text}" for row, text in self._shown[:_SHOWN]]
        more = self._more + len(self._shown) - len(lines)
        if more:
            lines.append(f"… and {more} more of such faults")
        raise ConfigurationError(f"{self.source} cannot be used:\n  " + "\n  ".join(lines))


@dataclass(frozen=True)
class Coded:
    """N texts as numbers."""

    codes: Ints  #: (N,) index in `names`
    names: tuple[str, ...]  #: the different texts, in the order of their first row

    @classmethod
    def of(cls, values: Iterable[str]) -> Coded:
        """The codes of N texts."""
        values = list(values)
        index = {name: code for code, name in enumerate(dict.fromkeys(values))}
        codes = np.fromiter(map(index.__getitem__, values), dtype=np.int64, count=len(values))
        return cls(codes, tuple(index))

    def renamed(self, names: Iterable[str]) -> Coded:
        """The same rows under new names; names that have become the same get one code."""
        merged = Coded.of(names)
        return Coded(merged.codes[self.codes], merged.names)

    def first(self) -> Ints:
        """(names,) the first row of each text."""
        return np.unique(self.codes, return_index=True)[1]

    def sorted(self) -> Coded:
        """The same texts, numbered in alphabetical order."""
        names = sorted(self.names)
        rank = {name: code for code, name in enumerate(names)}
        ranks = np.array([rank[name] for name in self.names], dtype=np.int64)
        return Coded(ranks[self.codes], tuple(names))


def repeated(prompt: Ints, model: Ints) -> dict[int, int]:
    """Rows that repeat the prompt and model of an earlier row → the row before of that pair.

    Both are N indices; a prompt of -1 does not count.
    """
    pair = prompt * (model.max(initial=0) + 1) + model
    order = np.argsort(pair, kind="stable")
    again = np.flatnonzero((pair[order][1:] == pair[order][:-1]) & (prompt[order][1:] >= 0))
    return dict(zip(order[again + 1].tolist(), order[again].tolist(), strict=True))


def check_pairs(prompt: Ints, model: Coded, faults: Faults) -> None:
    """Notes rows of a model that has answered the same prompt in an earlier row."""
    earlier = repeated(prompt, model.codes)
    faults.add(
        earlier,
        lambda row: (
            f"model {model.names[model.codes[row]]!r} has answered the prompt of "
            f"{faults.rows.name(earlier[row])} already. Keep one of the two, or give different "
            "questions different prompt_id."
        ),
    )


def check_range(field: str, values: Floats, faults: Faults, label: str) -> None:
    """Notes numbers that a field of `Outcomes` cannot hold; `label` is what errors call it."""
    outside, expected = out_of_range(field, values)
    mend = _MEND.get(field, "Correct it, or empty the cell.")
    faults.add(
        np.flatnonzero(outside), lambda row: f"{label} is {values[row]:g}; {expected}. {mend}"
    )


def text_column(
    column: str,
    values: Sequence[object],
    faults: Faults,
    *,
    strip: bool = True,
    blank: str | None = None,
) -> Coded:
    """A column of N texts as codes; notes cells that are empty or no text.

    White space is taken off both ends with `strip`. `blank` stands for an empty cell, where there
    may be one.
    """
    if not set(map(type, values)) <= {str}:
        # Ids may be numbers, which JSON tells apart from text.
        kinds = {str, int, type(None)} if column == "prompt_id" else {str, type(None)}
        bad = {row for row, value in enumerate(values) if type(value) not in kinds}
        faults.add(bad, lambda row: f"{column} is {_kind(values[row])}; a text was expected.")
        # A cell that was noted already must not be noted again below, for being empty.
        values = [
            "?" if row in bad else "" if value is None else str(value)
            for row, value in enumerate(values)
        ]
    coded = Coded.of(values)  # type: ignore[arg-type]
    if strip:
        coded = coded.renamed(name.strip() for name in coded.names)
    if blank is not None:
        return coded.renamed(name or blank for name in coded.names)
    empty = np.array([not name.strip() for name in coded.names], dtype=bool)
    faults.add(
        np.flatnonzero(empty[coded.codes]),
        f"{column} is empty; every row needs one. Fill it in, or remove the row.",
    )
    return coded


def number_column(
    column: str, values: Any, faults: Faults, *, label: str | None = None, needed: bool = False
) -> Floats:
    """A column of N numbers, in the unit of its field; NaN for an empty cell.

    Its name, one of `NUMBER_COLUMNS`, says what range and unit it has. Cells are numbers, texts of
    numbers, None; of a score also booleans. Others are noted, and with `needed` empty cells too.
    Error texts call the column `label`, by default its name.
    """
    label = label or column
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        array = values.astype(np.float64)
    else:
        cells = values.tolist() if isinstance(values, np.ndarray) else values
        array = _parsed(cells, column == "score", faults, label)
    if needed:
        faults.add(
            np.flatnonzero(np.isnan(array)),
            f"{label} is empty; a number was expected. Fill it in, or remove the row.",
        )
    check_range(NUMBER_COLUMNS[column], array, faults, label)
    return array / 1000 if column == "latency_ms" else array


def _parsed(values: Sequence[Any], is_score: bool, faults: Faults, label: str) -> Floats:
    meanings: dict[Any, float] = {**_BLANK, **_TRUTH} if is_score else _BLANK
    array = np.zeros(len(values))
    bad: list[int] = []
    for row, value in enumerate(values):
        cell = value.strip().lower() if isinstance(value, str) else value
        try:
            if isinstance(cell, bool) and not is_score:
                raise TypeError("a boolean")
            array[row] = meanings[cell] if cell in meanings else float(cell)
        except (TypeError, ValueError, OverflowError):
            bad.append(row)  # its 0 is in every range, so that it is noted once
    mend = "0..1, true or false was expected." if is_score else "Correct it, or empty it."
    faults.add(bad, lambda row: f"{label} is {shown(values[row])}, which is not a number. {mend}")
    return array


def response_column(values: Sequence[object], faults: Faults) -> Texts:
    """A column of N answers, each a text or None; notes cells that are something else."""
    faults.add(
        [row for row, value in enumerate(values) if not isinstance(value, str | None)],
        lambda row: f"response is {_kind(values[row])}; a text was expected.",
    )
    return np.fromiter(values, dtype=object, count=len(values))


def shown(value: object) -> str:
    """A cell for an error text: short, because it may be a prompt that got into this column."""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, bool | int | float) else _kind(value)
    short = value[:_SHOWN_OF_A_CELL]
    return repr(short) if short == value else f"{short!r}…"


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"of type {type(value).__name__}")
