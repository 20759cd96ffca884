"""Data frames out of the records of a pickle: columns as arrays, every size checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.outcomes.readers.pickles import Record, load_records

Column = npt.NDArray[Any]

#: Kinds of numpy numbers that are read: boolean, signed, unsigned, float.
_NUMBER_KINDS = "biuf"
#: How numpy writes the order of a number's bytes.
_ORDERS = "<>|="
#: Name of an arrow type of texts → how its ends are kept.
_OFFSETS: dict[str, np.dtype[Any]] = {"large_string": np.dtype("<i8"), "string": np.dtype("<i4")}


class _Damaged(Exception):
    """The records do not make a frame; the text says what is the matter."""


class Frame:
    """The data frame of a pickle, read without pandas. Columns are made when they are asked for.

    Attributes:
        source: The file, as error texts name it.
        columns: The columns' names.

    Args:
        path: The file.

    Raises:
        ConfigurationError: The pickle asks for anything else, is damaged, or is no data frame.
    """

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        records = load_records(path)
        with self._faults():
            blocks, (columns, index) = _manager(records)
            self.columns = _column_names(columns)
            self._size = _index_size(index)
            self._places = _places(blocks, len(self.columns))

    def __len__(self) -> int:
        return self._size

    def column(self, name: str) -> Column:
        """A column: numbers, or objects where they are texts or mixed.

        Raises:
            ConfigurationError: It is of a kind that is not read, such as dates, or damaged.
        """
        block, row = self._places[self.columns.index(name)]
        with self._faults(f"column {name!r}: "):
            values = _values(block)
            if values.ndim == 2:
                values = values[row]
            if values.shape != (self._size,):
                raise _Damaged(f"{values.shape} values for {self._size} rows")
        return values

    @contextmanager
    def _faults(self, part: str = "") -> Iterator[None]:
        try:
            yield
        except Exception as fault:  # crafted or damaged records can fail in any way
            text = str(fault) if isinstance(fault, _Damaged) else type(fault).__name__
            raise ConfigurationError(
                f"{self.source} holds no data frame that can be read ({part}{text}). Get it again "
                "from its publisher, or save the table as CSV or JSONL, which are read too."
            ) from None


def _manager(records: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
    """Each block's values and placement, and the two axes: columns, rows."""
    state = _mapping(_expect(records, "frame").state, "a frame")
    manager = _expect(state.get("_mgr", state.get("_data")), "manager")
    if manager.arguments:  # pandas 1.3 and later
        blocks, axes = manager.arguments
        parts = [_expect(block, "block").arguments[:2] for block in blocks]
        return [(values, placement) for values, placement in parts], tuple(axes)
    old = manager.state[3]["0.14.1"]
    return [(block["values"], block["mgr_locs"]) for block in old["blocks"]], tuple(old["axes"])


def _places(blocks: list[tuple[Any, Any]], columns: int) -> list[tuple[Any, int]]:
    """Of each column, the values of its block and its row in them."""
    places: dict[int, tuple[Any, int]] = {}
    for values, placement in blocks:
        if isinstance(placement, Record) and placement.kind == "slice":
            numbers = list(range(columns)[slice(*placement.arguments)])
        else:
            numbers = _values(placement).tolist()
        places.update((number, (values, row)) for row, number in enumerate(numbers))
    return [places[column] for column in range(columns)]


def _column_names(index: Any) -> tuple[str, ...]:
    names: list[str] = _values(_index_state(index)["data"]).tolist()
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise _Damaged("column names that are no texts, or the same twice")
    return tuple(names)


def _index_size(index: Any) -> int:
    state = _index_state(index)
    if "data" in state:
        return len(_values(state["data"]))
    return len(range(state["start"], state["stop"], state["step"]))


def _index_state(index: Any) -> dict[str, Any]:
    _, state = _expect(index, "index").arguments
    return _mapping(state, "an index")


def _values(record: Any) -> Column:
    """The array that a record stands for."""
    if not isinstance(record, Record):
        raise _Damaged(f"a {type(record).__name__} where an array was expected")
    match record.kind:
        case "array":
            _, shape, dtype, fortran, data = record.state[:5]
            return _array(data, dtype, shape, bool(fortran))
        case "array of buffer":
            data, dtype, shape, order = record.arguments[:4]
            return _array(data, dtype, shape, order == "F")
        case "backed":
            return _backed(record)
        case "arrow strings":
            array = record.state["_pa_array"]
            chunks = array.arguments[0] if array.kind == "arrow chunks" else [array]
            return np.concatenate([np.empty(0, dtype=object), *map(_arrow_texts, chunks)])
    raise _Damaged(f"values of kind {record.kind!r}, which are not read")


def _array(data: Any, dtype_record: Any, shape: Any, fortran: bool) -> Column:
    dtype = _dtype(dtype_record)
    flat: Column
    if dtype.hasobject:
        if not isinstance(data, list):
            raise _Damaged("objects that are not in a list")
        flat = np.fromiter(map(_plain, data), dtype=object, count=len(data))
    else:
        # Without this, numpy would take the pickle's word for how long the data are.
        flat = np.frombuffer(_bytes(data), dtype=dtype)
    return flat.reshape(tuple(int(size) for size in shape), order="F" if fortran else "C")


def _dtype(record: Any) -> np.dtype[Any]:
    """The type a record names, if it is a plain one; its flags and fields are not followed."""
    name = _expect(record, "dtype").arguments[0]
    if not isinstance(name, str):
        raise _Damaged("a type without a name")
    if name in ("O8", "O4", "O"):
        return np.dtype(object)
    order = record.state[1] if record.state else "|"
    if name[:1] not in _NUMBER_KINDS or not name[1:].isdigit() or order not in _ORDERS:
        raise _Damaged(f"values of type {name[:20]!r}, which are not read")
    return np.dtype(f"{order}{name}")


def _bytes(data: Any) -> bytes | bytearray:
    if isinstance(data, bytes | bytearray):
        return data
    if isinstance(data, Record) and data.kind == "bytes":
        return _bytes(data.arguments[0]) if data.arguments else b""
    # Protocol 2 has no bytes: it writes them as the text of their Latin-1 characters.
    text, encoding = _expect(data, "encoded").arguments
    if encoding != "latin1":
        raise _Damaged("bytes of another encoding than Latin-1")
    return str(text).encode("latin-1")


def _plain(value: Any) -> Any:
    """An element of an array of objects: a numpy scalar as a number, anything else as it is."""
    if not isinstance(value, Record):
        return value
    dtype, data = _expect(value, "scalar").arguments
    return np.frombuffer(_bytes(data), dtype=_dtype(dtype))[0].item()


def _backed(record: Record) -> Column:
    """A categorical or string array, which pandas keeps as an array and a type."""
    parts = [part for part in record.state if isinstance(part, Record)]
    values = next(_values(part) for part in parts if part.kind in ("array", "array of buffer"))
    types = [part for part in parts if part.kind == "categories"]
    if not types:
        return values
    names = _values(_index_state(types[0].state["categories"])["data"])
    if values.min(initial=0) < -1:
        raise _Damaged("a category that is none")
    padded = np.fromiter([*names.tolist(), None], dtype=object)  # code −1 is a missing value
    column: Column = padded[values]
    return column


def _arrow_texts(record: Any) -> Column:
    """Arrow's layout of strings: bits that say which are there, where each ends, and the text."""
    arguments = _expect(record, "arrow array").arguments
    parts = arguments[0] if len(arguments) == 1 else arguments
    kind, length, _, offset, buffers = parts[:5]
    width = _OFFSETS.get(_expect(kind, "arrow type").arguments[0])
    if width is None:
        raise _Damaged("an arrow array of no texts")
    there, ends, text = (None if b is None else _bytes(b.arguments[0]) for b in buffers)
    if not length:
        return np.empty(0, dtype=object)
    bounds = np.frombuffer(ends or b"", dtype=width)[offset : offset + length + 1].tolist()
    if len(bounds) != length + 1 or bounds[0] < 0 or bounds[-1] > len(text or b""):
        raise _Damaged("an arrow array that is cut short")
    raw = bytes(text or b"")
    texts = (raw[start:end].decode("utf-8") for start, end in pairwise(bounds))
    column = np.fromiter(texts, dtype=object, count=length)
    if there is not None:
        bits = np.unpackbits(np.frombuffer(there, dtype=np.uint8), bitorder="little")
        column[bits[offset : offset + length] == 0] = None
    return column


def _expect(record: Any, kind: str) -> Record:
    if not isinstance(record, Record) or record.kind != kind:
        found = record.kind if isinstance(record, Record) else type(record).__name__
        raise _Damaged(f"{found} where {kind} was expected")
    return record


def _mapping(state: Any, what: str) -> dict[str, Any]:
    if not isinstance(state, dict):
        raise _Damaged(f"{what} without its parts")
    return state
