"""Data frames out of the records of a pickle: columns as arrays, every size checked."""

from __future__ import annotations

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
#: What crafted or damaged records can make the reading fail with.
_FAULTS = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)
#: Name of an arrow type of texts → how its ends are kept.
_OFFSETS: dict[str, np.dtype[Any]] = {"large_string": np.dtype("<i8"), "string": np.dtype("<i4")}


class _Damaged(Exception):
    """The records do not make a frame; the text says what is the matter."""


class Frame:
    """A data frame that was read without pandas. Columns are made when they are asked for.

    Args:
        records: What `load_records` returned.
        source: The file, as error texts name it.

    Raises:
        ConfigurationError: The records do not make a data frame.
    """

    def __init__(self, records: Any, source: str) -> None:
        self.source = source
        try:
            blocks, (columns, index) = _manager(records)
            self.columns: tuple[str, ...] = tuple(_index(columns))
            self.size = _index_size(index)
            self._places = _places(blocks, len(self.columns))
        except _Damaged as fault:
            raise self._fault(str(fault)) from None
        except _FAULTS as fault:
            raise self._fault(type(fault).__name__) from None

    def __len__(self) -> int:
        return self.size

    @classmethod
    def read(cls, path: Path) -> Frame:
        """The data frame of a pickle.

        Args:
            path: The file.

        Raises:
            ConfigurationError: The pickle asks for anything else, is damaged, or is no data frame.
        """
        return cls(load_records(path), str(path))

    def column(self, name: str) -> Column:
        """A column: numbers, or objects where they are texts or mixed.

        Args:
            name: Its name, one of `columns`.

        Raises:
            ConfigurationError: It is of a kind that is not read, such as dates, or damaged.
        """
        values, row = self._places[self.columns.index(name)]
        try:
            column = _values(values)
            if column.ndim == 2:
                column = column[row]
            if column.shape != (self.size,):
                raise _Damaged(f"{column.shape} values for {self.size} rows")
        except _Damaged as fault:
            raise self._fault(f"column {name!r}: {fault}") from None
        except _FAULTS as fault:
            raise self._fault(f"column {name!r}: {type(fault).__name__}") from None
        return column

    def _fault(self, text: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.source} holds no data frame that can be read ({text}). Get it again from its "
            "publisher, or save the table as CSV or JSONL, which are read too."
        )


def _manager(records: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, Any]]:
    """Each block's values and placement, and the two axes: columns, rows."""
    state = _expect(records, "frame").state
    if not isinstance(state, dict):
        raise _Damaged("an empty frame")
    manager = _expect(state.get("_mgr", state.get("_data")), "manager")
    if manager.arguments:  # pandas 1.3 and later
        found, axes = manager.arguments
        blocks = [_expect(block, "block").arguments[:2] for block in found]
        return [(values, place) for values, place in blocks], tuple(axes)
    old = manager.state[3]["0.14.1"]
    return [(block["values"], block["mgr_locs"]) for block in old["blocks"]], tuple(old["axes"])


def _places(blocks: list[tuple[Any, Any]], columns: int) -> list[tuple[Any, int]]:
    """Of each column, the values of its block and its row in them."""
    places: dict[int, tuple[Any, int]] = {}
    for values, placement in blocks:
        if isinstance(placement, Record) and placement.kind == "slice":
            taken = range(columns)[slice(*placement.arguments)]
        else:
            taken = _values(placement).tolist()
        for row, column in enumerate(taken):
            places[column] = (values, row)
    return [places[column] for column in range(columns)]


def _index(record: Any) -> list[str]:
    names: list[str] = _values(_index_state(record)["data"]).tolist()
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise _Damaged("column names that are no texts, or the same twice")
    return names


def _index_size(record: Any) -> int:
    state = _index_state(record)
    if "data" in state:
        return len(_values(state["data"]))
    return len(range(state["start"], state["stop"], state["step"]))


def _index_state(record: Any) -> dict[str, Any]:
    _, state = _expect(record, "index").arguments
    if not isinstance(state, dict):
        raise _Damaged("an index that is none")
    return state


def _values(record: Any) -> Column:
    """The array that a record stands for."""
    if not isinstance(record, Record):
        raise _Damaged(f"a {type(record).__name__} where an array was expected")
    if record.kind == "array":
        _, shape, dtype, fortran, data = record.state[:5]
        return _array(data, dtype, shape, bool(fortran))
    if record.kind == "array of buffer":
        data, dtype, shape, order = record.arguments[:4]
        return _array(data, dtype, shape, order == "F")
    if record.kind == "backed":
        return _backed(record)
    if record.kind == "arrow strings":
        return _arrow_strings(record)
    raise _Damaged(f"values of kind {record.kind!r}, which are not read")


def _array(data: Any, dtype: Any, shape: Any, fortran: bool) -> Column:
    kind = _dtype(dtype)
    flat: Column
    if kind.hasobject:
        if not isinstance(data, list):
            raise _Damaged("objects that are not in a list")
        flat = np.fromiter(map(_plain, data), dtype=object, count=len(data))
    else:
        # Without this, numpy would take the pickle's word for how long the data are.
        flat = np.frombuffer(_bytes(data), dtype=kind)
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
    values = next(_values(part) for part in parts if part.kind.startswith("array"))
    types = [part for part in parts if part.kind == "categories"]
    if not types:
        return values
    names = _values(_index_state(types[0].state["categories"])["data"])
    if values.min(initial=0) < -1:
        raise _Damaged("a category that is none")
    padded = np.fromiter([*names.tolist(), None], dtype=object)  # code −1 is a missing value
    column: Column = padded[values]
    return column


def _arrow_strings(record: Record) -> Column:
    array = record.state["_pa_array"]
    if array.kind == "chunked_array":
        chunks = [_arrow_chunk(chunk) for chunk in array.arguments[0]]
        return np.concatenate([np.empty(0, dtype=object), *chunks])
    return _arrow_chunk(array)


def _arrow_chunk(record: Any) -> Column:
    """Arrow's layout of strings: bits that say which are there, where each ends, and the text."""
    arguments = _expect(record, "_restore_array").arguments
    parts = arguments[0] if len(arguments) == 1 else arguments
    kind, length, _, offset, buffers = parts[:5]
    width = _OFFSETS.get(_expect(kind, "type_for_alias").arguments[0])
    if width is None:
        raise _Damaged("an arrow array of no texts")
    there, ends, text = (None if b is None else _bytes(b.arguments[0]) for b in buffers)
    if not length:
        return np.empty(0, dtype=object)
    bounds = np.frombuffer(ends or b"", dtype=width)[offset : offset + length + 1].tolist()
    if len(bounds) != length + 1 or bounds[0] < 0 or bounds[-1] > len(text or b""):
        raise _Damaged("an arrow array that is cut short")
    raw = bytes(text or b"")
    found = [raw[start:end].decode("utf-8") for start, end in pairwise(bounds)]
    column = np.fromiter(found, dtype=object, count=length)
    if there is not None:
        bits = np.unpackbits(np.frombuffer(there, dtype=np.uint8), bitorder="little")
        column[bits[offset : offset + length] == 0] = None
    return column


def _expect(record: Any, kind: str) -> Record:
    if not isinstance(record, Record) or record.kind != kind:
        found = record.kind if isinstance(record, Record) else type(record).__name__
        raise _Damaged(f"{found} where {kind} was expected")
    return record
