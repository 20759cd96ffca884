"""Columns of a long table: texts as codes, cells as numbers, and what is wrong with them.

Prompts are private: no error text holds one. Rows are named by their number in the file instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.table import SHARES, Texts

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
#: Cells that say there is no number.
_BLANK = {"", "nan", "null", "none"}
_TRUTH = {"true": 1.0, "false": 0.0}
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


@dataclass(frozen=True)
class Rows:
    """How error texts name the rows of a table.

    Attributes:
        word: What a row is called, such as `"line"`.
        numbers: (N,) the rows' numbers as their owner counts them; None for 1, 2, 3, …
    """

    word: str = "row"
    numbers: Sequence[int] | Ints | None = None

    def name(self, row: int) -> str:
        """The name of a row.

        Args:
            row: Its index, from 0.
        """
        return f"{self.word} {row + 1 if self.numbers is None else self.numbers[row]}"


class Faults:
    """What is wrong with the rows of a table, collected so that several are told at once.

    Args:
        source: The file, as error texts name it.
        rows: How they name its rows.
    """

    def __init__(self, source: str, rows: Rows) -> None:
        self.source = source
        self.rows = rows
        self._found: list[tuple[int, str]] = []
        self._more = 0

    def add(
        self,
        rows: Iterable[int] | npt.NDArray[np.int64],
        text: str | Callable[[int], str],
    ) -> None:
        """Notes a fault of some rows.

        Args:
            rows: Their indices, from 0.
            text: What is wrong, what was expected, and how to mend it; or what says so of a row.
        """
        for count, row in enumerate(sorted(int(row) for row in rows)):
            if count < _SHOWN:
                self._found.append((row, text if isinstance(text, str) else text(row)))
            else:
                self._more += 1

    def check(self) -> None:
        """Raises what was noted, in the file's order.

        Raises:
            ConfigurationError: Something was noted.
        """
        if not self._found:
            return
        self._found.sort(key=lambda fault: fault[0])
        shown = [f"{self.rows.name(row)}: {text}" for row, text in self._found[:_SHOWN]]
        more = self._more + len(self._found) - len(shown)
        if more:
            shown.append(f"… and {more} more of such faults")
        raise ConfigurationError(f"{self.source} cannot be used:\n  " + "\n  ".join(shown))


@dataclass(frozen=True)
class Coded:
    """N texts as numbers.

    Attributes:
        codes: (N,) index in `names`.
        names: The different texts, in the order of their first row.
    """

    codes: Ints
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Iterable[str]) -> Coded:
        """The codes of some texts.

        Args:
            values: The N texts.
        """
        values = list(values)
        index = {name: code for code, name in enumerate(dict.fromkeys(values))}
        codes = np.fromiter(map(index.__getitem__, values), dtype=np.int64, count=len(values))
        return cls(codes, tuple(index))

    def renamed(self, names: Iterable[str]) -> Coded:
        """The same rows with other texts; texts that have become the same get one code.

        Args:
            names: The new text of each old one.
        """
        other = Coded.of(names)
        return Coded(other.codes[self.codes], other.names)

    def first(self) -> Ints:
        """(names,) the first row of each text."""
        rows = np.empty(len(self.names), dtype=np.int64)
        backwards = np.arange(len(self.codes))[::-1]
        rows[self.codes[backwards]] = backwards
        return rows

    def sorted(self) -> Coded:
        """The same texts, numbered in alphabetical order."""
        order = sorted(range(len(self.names)), key=lambda code: self.names[code])
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        return Coded(place[self.codes], tuple(self.names[code] for code in order))


def check_pairs(prompt: Ints, model: Ints, models: Sequence[str], faults: Faults) -> None:
    """Notes rows of a model that has answered the same prompt in an earlier row.

    Args:
        prompt: (N,) index of the prompt; -1 for one that does not count.
        model: (N,) index of the model.
        models: The M names.
        faults: Where to note them.
    """
    earlier = repeated(prompt, model)
    faults.add(
        earlier,
        lambda row: (
            f"model {models[model[row]]!r} has answered the prompt of "
            f"{faults.rows.name(earlier[row])} already. Keep one of the two, or give different "
            "questions different prompt_id."
        ),
    )


def repeated(prompt: Ints, model: Ints) -> dict[int, int]:
    """Rows that repeat the prompt and model of an earlier row → the row before of that pair.

    Args:
        prompt: (N,) index of the prompt; -1 for one that does not count.
        model: (N,) index of the model.
    """
    if not len(prompt):
        return {}
    key = prompt * (int(model.max()) + 1) + model
    order = np.argsort(key, kind="stable")
    again = np.flatnonzero((key[order][1:] == key[order][:-1]) & (prompt[order][1:] >= 0))
    return dict(zip(order[again + 1].tolist(), order[again].tolist(), strict=True))


def check_numbers(numbers: Mapping[str, Floats], faults: Faults) -> None:
    """Notes numbers that are out of their range; NaN is in every range.

    Args:
        numbers: Name of a field of `Outcomes` → (N,) values.
        faults: Where to note them.
    """
    for name, values in numbers.items():
        _check_range(name, values, faults, name)


def _check_range(name: str, values: Floats, faults: Faults, label: str) -> None:
    with np.errstate(invalid="ignore"):
        if NUMBER_COLUMNS.get(name, name) in SHARES:
            outside = (values < 0) | (values > 1)
            mend = (
                "0..1 was expected. Give a probability, not its logarithm."
                if name == "confidence"
                else "0..1 was expected. Scale the scores: stars 1..5 become (stars − 1)/4."
            )
        else:
            outside = (values < 0) | np.isinf(values)
            mend = "a finite number, 0 or more, was expected. Correct it, or empty the cell."
    faults.add(np.flatnonzero(outside), lambda row: f"{label} is {values[row]:g}; {mend}")


def text_column(
    columns: Mapping[str, Sequence[object]],
    column: str,
    faults: Faults,
    *,
    strip: bool = True,
    blank: str | None = None,
) -> Coded:
    """A column of texts as codes.

    Args:
        columns: The table.
        column: Which one.
        faults: Where to note cells that are empty or no text.
        strip: Take white space off both ends.
        blank: What stands for an empty cell; None when there must be none.
    """
    values = columns[column]
    if not set(map(type, values)) <= {str}:
        # Ids may be numbers, which JSON tells apart from text.
        texts = (str, int) if column == "prompt_id" else (str,)
        bad = [
            row
            for row, v in enumerate(values)
            if v is not None and (not isinstance(v, texts) or isinstance(v, bool))
        ]
        faults.add(bad, lambda row: f"{column} is {_kind(values[row])}; a text was expected.")
        wrong = set(bad)
        values = [
            # Not empty: one fault a cell is enough.
            "?" if row in wrong else "" if v is None else str(v)
            for row, v in enumerate(values)
        ]
    coded = Coded.of(values)  # type: ignore[arg-type]
    if strip:
        coded = coded.renamed(name.strip() for name in coded.names)
    empty = np.array([not name.strip() for name in coded.names], dtype=bool)
    if not empty.any():
        return coded
    if blank is not None:
        return coded.renamed(name or blank for name in coded.names)
    faults.add(
        np.flatnonzero(empty[coded.codes]),
        f"{column} is empty; every row needs one. Fill it in, or remove the row.",
    )
    return coded


def number_column(
    column: str,
    values: Sequence[object],
    faults: Faults,
    *,
    label: str | None = None,
    needed: bool = False,
) -> Floats:
    """A column of numbers, in the unit of its field; NaN for an empty cell.

    Args:
        column: Its name, one of `NUMBER_COLUMNS`, which says what range and unit it has.
        values: The N cells: numbers, texts of numbers, None; of a score also booleans.
        faults: Where to note cells that are no number or out of range.
        label: What error texts call it, where that is not its name.
        needed: Note empty cells too.
    """
    label = label or column
    score = column == "score"
    kinds = set(map(type, values))
    array = None
    try:
        if kinds <= {int, float, type(None)}:
            array = np.array(values, dtype=np.float64)  # None becomes NaN
        elif kinds == {str}:
            array = np.fromiter(map(float, values), dtype=np.float64, count=len(values))  # type: ignore[arg-type]
    except (ValueError, OverflowError):  # not all of them are numbers, so each is looked at
        array = None
    if array is None:
        parsed = [_number(value, truth=score) for value in values]
        faults.add(
            [row for row, number in enumerate(parsed) if number is None],
            lambda row: (
                f"{label} is {shown(values[row])}, which is not a number. "
                + ("0..1, true or false was expected." if score else "Correct it, or empty it.")
            ),
        )
        # A cell that was noted already must not be noted again below.
        array = np.array([0.0 if n is None else n for n in parsed], dtype=np.float64)
    if needed:
        faults.add(
            np.flatnonzero(np.isnan(array)),
            f"{label} is empty; a number was expected. Fill it in, or remove the row.",
        )
    _check_range(column, array, faults, label)
    return array / 1000 if column == "latency_ms" else array


def _number(value: object, *, truth: bool) -> float | None:
    """A cell's number, NaN for an empty one, None for one that is no number."""
    if value is None:
        return np.nan
    if isinstance(value, bool):
        return float(value) if truth else None
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _BLANK:
            return np.nan
        if truth and text in _TRUTH:
            return _TRUTH[text]
        value = text
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def response_column(values: Sequence[object], faults: Faults) -> Texts:
    """A column of answers, each a text or None.

    Args:
        values: The N cells.
        faults: Where to note cells that are something else.
    """
    faults.add(
        [row for row, v in enumerate(values) if v is not None and not isinstance(v, str)],
        lambda row: f"response is {_kind(values[row])}; a text was expected.",
    )
    return np.fromiter(values, dtype=object, count=len(values))


def shown(value: object) -> str:
    """A cell for an error text: short, because it may be a prompt that got into this column.

    Args:
        value: The cell.
    """
    if not isinstance(value, str):
        return repr(value) if isinstance(value, bool | int | float) else _kind(value)
    short = value[:_SHOWN_OF_A_CELL]
    return repr(short) if short == value else f"{short!r}…"


def _kind(value: object) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"of type {type(value).__name__}")
