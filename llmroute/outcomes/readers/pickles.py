"""Pickles of data frames, read without running anything that is in them.

A pickle is a program: it names functions of any installed package and calls them. An allow-list of
harmless names is not enough, because even `numpy.dtype` and `pyarrow`'s array functions read memory
they should not when a crafted file calls them. So nothing that a pickle names is ever looked up.
Each name of a short list stands for a class of this module that records what it was called with,
and any other name ends the reading. What is left is a tree of such records, plain Python values and
bytes, which `frames` turns into columns, checking sizes itself.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from llmroute.errors import ConfigurationError


class Record:
    """A call that a pickle asked for, and that was not made.

    Attributes:
        kind: What was called: a name of this module's list.
        arguments: What it was called with.
        state: What the result was to be filled with, or None.
    """

    kind = ""
    __slots__ = ("arguments", "state")

    def __new__(cls, *arguments: Any) -> Record:
        """Notes a call instead of making it."""
        record = super().__new__(cls)
        record.arguments = arguments
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state

    arguments: tuple[Any, ...]
    state: Any


def _names() -> Iterator[tuple[str, str, str]]:
    """Module, name and kind of everything that pickles of data frames name.

    Gathered from what pandas 1.0 to 3.1 and numpy 1 and 2 write with protocols 2 to 5. Pandas 1.3
    is not read: it names `functools.partial`.
    """
    frames = "pandas.core.frame", "pandas"
    yield from ((module, "DataFrame", "frame") for module in frames)
    yield "pandas.core.internals.managers", "BlockManager", "manager"
    yield "pandas._libs.internals", "_unpickle_block", "block"
    yield "pandas.core.indexes.base", "_new_Index", "index"
    for module in ("pandas.core.indexes.base", "pandas"):
        yield module, "Index", "Index"
    for module in ("pandas.core.indexes.range", "pandas"):
        yield module, "RangeIndex", "RangeIndex"
    for name in ("Int64Index", "UInt64Index", "Float64Index"):  # until pandas 2
        yield "pandas.core.indexes.numeric", name, "Index"
    yield "pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked", "backed"
    for module in ("pandas.core.arrays.categorical", "pandas"):
        yield module, "Categorical", "Categorical"
    for module in ("pandas.core.dtypes.dtypes", "pandas"):
        yield module, "CategoricalDtype", "categories"
    for module in ("pandas.core.arrays.string_", "pandas"):
        yield module, "StringDtype", "StringDtype"
    for module in ("pandas.core.arrays.string_", "pandas.arrays"):
        yield module, "StringArray", "StringArray"
    for module in ("pandas.core.arrays.string_arrow", "pandas.arrays"):
        for name in ("ArrowStringArray", "ArrowStringArrayNumpySemantics"):
            yield module, name, "arrow strings"
    for name in ("_restore_array", "chunked_array", "type_for_alias", "py_buffer"):
        yield "pyarrow.lib", name, name
    for core in ("numpy.core", "numpy._core"):
        yield f"{core}.multiarray", "_reconstruct", "array"
        yield f"{core}.multiarray", "scalar", "scalar"
        yield f"{core}.numeric", "_frombuffer", "array of buffer"
    yield "numpy", "ndarray", "ndarray"
    yield "numpy", "dtype", "dtype"
    for module in ("builtins", "__builtin__"):
        yield module, "slice", "slice"
        yield module, "bytes", "bytes"
        yield module, "bytearray", "bytes"
    yield "_codecs", "encode", "encoded"


def _stand_ins() -> dict[tuple[str, str], type[Record]]:
    kinds: dict[str, type[Record]] = {}
    return {
        (module, name): kinds.setdefault(kind, type("Record", (Record,), {"kind": kind}))
        for module, name, kind in _names()
    }


_STAND_INS = _stand_ins()


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
    """What a pickle holds, as records of the calls it asks for; none of them is made.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It names something that a data frame does not need, or it is damaged.
    """
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
