"""Pickles of data frames, read without running anything that is in them.

A pickle is a program: it names functions of any installed package and calls them. An allow-list of
harmless names is not enough, because even `numpy.dtype` and `pyarrow`'s array functions read memory
they should not when a crafted file calls them. So nothing that a pickle names is ever looked up.
Each name of a short list stands for a class of this module that records what it was called with,
and any other name ends the reading. What is left is a tree of such records, plain Python values and
bytes, which `frames` turns into columns, checking sizes itself.
"""

from __future__ import annotations

import copyreg
import pickle
from pathlib import Path
from typing import Any, NoReturn

from llmroute.errors import ConfigurationError


class Record:
    """A call that a pickle asked for, and that was not made.

    Attributes:
        kind: What was called: one of this module's table.
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
    (module, name): type("Record", (Record,), {"kind": kind})
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
    """What a pickle holds, as records of the calls it asks for; none of them is made.

    Raises:
        ConfigurationError: It names something that a data frame does not need, or it is damaged.
    """
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
