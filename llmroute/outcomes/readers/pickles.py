"""Pickles of data frames, read without running anything that is in them.

A pickle is a program: it names functions of any installed package and calls them. An allow-list of
harmless names is not enough, because even `numpy.dtype` and `pyarrow`'s array functions read memory
they should not when a crafted file calls them. So nothing that a pickle names is ever looked up.
Each name of a short list stands for a class of this module that records what it was called with,
and any other name ends the reading. What is left is a tree of such records, plain Python values and
bytes, which `Frame` turns into columns, checking sizes itself.
"""

from __future__ import annotations

import copyreg
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError

Column = npt.NDArray[Any]

#: Kinds of numpy numbers that are read: boolean, signed, unsigned, float.
_NUMBER_KINDS = "biuf"
#: How numpy writes the order of a number's bytes.
_ORDERS = "<>|="
#: Name of an arrow type of texts → how its ends are kept.
_OFFSETS: dict[str, np.dtype[Any]] = {"large_string": np.dtype("<i8"), "string": np.dtype("<i4")}


class Record:
    """A call that a pickle asked for, and that was not made.

    Its kind says what was called, `arguments` with what, and `state` what the result was to be
    filled with, or None.
    """

    kind = ""
    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Record:
        """Notes a call instead of making it."""
        record = super().__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


#: Everything that pickles of data frames name, as pandas 1.0 to 3.1 and numpy 1 and 2 write them
#: with protocols 2 to 5: the modules, the names in them, and the kind of record that stands for
#: them. Pandas 1.3 is not read: it names `functools.partial`.
_NAMES = (
    ("pandas.core.frame pandas", "DataFrame", "frame"),
    ("pandas.core.internals.managers", "BlockManager", "manager"),
    ("pandas._libs.internals", "_unpickle_block", "block"),
    ("pandas.core.indexes.base", "_new_Index", "index"),
    ("pandas.core.indexes.base pandas", "Index", "type"),
    ("pandas.core.indexes.range pandas", "RangeIndex", "type"),
    ("pandas.core.indexes.numeric", "Int64Index UInt64Index Float64Index", "type"),  # until 2
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked", "backed"),
    ("pandas.core.arrays.categorical pandas", "Categorical", "type"),
    ("pandas.core.dtypes.dtypes pandas", "CategoricalDtype", "categories"),
    ("pandas.core.arrays.string_ pandas", "StringDtype", "type"),
    ("pandas.core.arrays.string_ pandas.arrays", "StringArray", "type"),
    ("pandas.core.arrays.string_arrow pandas.arrays", "ArrowStringArray", "arrow strings"),
    (
        "pandas.core.arrays.string_arrow pandas.arrays",
        "ArrowStringArrayNumpySemantics",
        "arrow strings",
    ),
    ("pyarrow.lib", "_restore_array", "arrow array"),
    ("pyarrow.lib", "chunked_array", "arrow chunks"),
    ("pyarrow.lib", "type_for_alias", "arrow type"),
    ("pyarrow.lib", "py_buffer", "arrow buffer"),
    ("numpy.core.multiarray numpy._core.multiarray", "_reconstruct", "array"),
    ("numpy.core.multiarray numpy._core.multiarray", "scalar", "scalar"),
    ("numpy.core.numeric numpy._core.numeric", "_frombuffer", "array of buffer"),
    ("numpy", "ndarray", "type"),
    ("numpy", "dtype", "dtype"),
    ("builtins __builtin__", "slice", "slice"),
    ("builtins __builtin__", "bytes bytearray", "bytes"),
    ("_codecs", "encode", "encoded"),
)
_STAND_INS: dict[tuple[str, str], type[Record]] = {
    (module, name): type("Record", (Record,), {"kind": kind, "__slots__": ()})
    for modules, names, kind in _NAMES
    for module in modules.split()
    for name in names.split()
}


class _Refused(Exception):  # not an Error of its own: it never leaves this module
    """A name that is not on the list."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # The whole name is looked up in a table, so a dotted one that would walk from an allowed
        # class to one of its methods is not found.
        stand_in = _STAND_INS.get((module, name))
        if stand_in is None:
            raise _Refused(f"{module}.{name}")
        return stand_in

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _Refused("a persistent id")


def load_records(path: Path) -> Any:
    """What a pickle holds, as records of the calls it asks for; none of them is made."""
    # Pickle hands out what it has cached for copyreg's extension codes without asking find_class.
    copyreg.clear_extension_cache()
    try:
        with path.open("rb") as file:
            return _Reader(file).load()
    except _Refused as refused:
        raise ConfigurationError(
            f"{path} was not read: it asks for {refused}, which no table of outcomes needs. "
            "Nothing in it was executed. Do not open it with pickle or pandas; get the file from "
            "its publisher again and compare its SHA-256."
        ) from None
    except Exception as fault:  # bytes at random can make a pickle fail in any way
        raise ConfigurationError(
            f"{path} cannot be read as a pickle: {type(fault).__name__}. Nothing in it was "
            "executed. It may be cut short; get it again and compare its SHA-256."
        ) from None


class _Damaged(Exception):
    """The records do not make a frame; the text says what is the matter."""


class Frame:
    """The data frame of a pickle, read without pandas. Columns are made when they are asked for.

    ConfigurationError where the pickle asks for anything else, is damaged, or is no data frame.
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

        ConfigurationError where it is of a kind that is not read, such as dates, or damaged.
        """
        block, row = self._places[self.columns.index(name)]
        with self._faults(f"column {name!r}: "):
            values = _values(block)
            values = values[row] if values.ndim == 2 else values
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
    state = _expect(records, "frame").state
    manager = _expect(state.get("_mgr", state.get("_data")), "manager")
    if manager.arguments:  # pandas 1.3 and later
        blocks, axes = manager.arguments
        return [_expect(block, "block").arguments[:2] for block in blocks], tuple(axes)
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
    names: list[str] = _values(_expect(index, "index").arguments[1]["data"]).tolist()
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise _Damaged("column names that are no texts, or the same twice")
    return tuple(names)


def _index_size(index: Any) -> int:
    state = _expect(index, "index").arguments[1]
    if "data" in state:
        return len(_values(state["data"]))
    return len(range(state["start"], state["stop"], state["step"]))


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
    names = _values(_expect(types[0].state["categories"], "index").arguments[1]["data"])
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
        actual = record.kind if isinstance(record, Record) else type(record).__name__
        raise _Damaged(f"{actual} where {kind} was expected")
    return record
