"""Pickles are programs. These try to run something, in the ways there are, and none may succeed."""

import copyreg
import io
import operator
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from llmroute.outcomes.readers import pickles
from llmroute.outcomes.readers.pickles import Frame
from tests.outcomes.readers.published import WIDE

pd = pytest.importorskip("pandas")


class Calls:
    """What a pickle of this does: it calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def text(value: str) -> bytes:
    """The opcode that pushes a text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def stack_global(module: str, name: str, *arguments: str) -> bytes:
    """A pickle of protocol 4 that calls a name with texts; a dotted name walks to an attribute."""
    pushed = b"".join(map(text, arguments))
    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + pushed + b"tR."


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def refused(folder: Path, content: bytes) -> str:
    path = folder / "evil.pkl"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        Outcomes.read(path)
    return str(caught.value)


def touching(canary: Path) -> str:
    return f"{sys.executable} -c \"open(r'{canary}', 'w')\""


def test_the_canary_dies_when_a_pickle_is_loaded(canary: Path) -> None:
    """That what follows can tell something: the same pickle, loaded as pickles are."""
    pickle.loads(pickle.dumps(Calls(os.system, touching(canary))))
    assert canary.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_of_the_system_is_refused(tmp_path: Path, canary: Path, protocol: int) -> None:
    said = refused(tmp_path, pickle.dumps(Calls(os.system, touching(canary)), protocol))
    assert f"it asks for {os.system.__module__}.system, which no table of outcomes needs" in said
    assert "Nothing in it was executed" in said
    assert not canary.exists()


def evil(canary: Path) -> dict[str, bytes]:
    """Name that must be refused → a pickle that asks for it."""
    code = f"open(r'{canary}', 'w')"
    command = touching(canary)
    system = f"{os.system.__module__}.system"
    quoted = command.replace("\\", "\\\\").replace("'", "\\'").encode()
    by_value = {
        "builtins.eval": Calls(eval, code),
        "builtins.exec": Calls(exec, code),
        "builtins.getattr": Calls(getattr, "x", "upper"),
        "builtins.__import__": Calls(__import__, "os"),
        f"{open.__module__}.open": Calls(open, str(canary), "w"),
        "subprocess.check_output": Calls(subprocess.check_output, command),
        "functools.partial": partial(os.system, command),
        "operator.attrgetter": operator.attrgetter("system"),
        f"{__name__}.Calls": Calls,
    }
    by_name = {
        # Dotted names, which walk from an allowed class to what it has.
        ("pandas", "DataFrame.eval"): code,
        ("pandas.core.frame", "DataFrame.to_pickle"): str(canary),
        ("numpy", "ndarray.tofile"): str(canary),
        ("builtins", "slice.__class__"): "x",
        # Functions of packages that are there anyway.
        ("pandas", "read_pickle"): str(canary),
        ("pandas.io.pickle", "read_pickle"): str(canary),
        ("pandas", "eval"): code,
        ("numpy", "load"): str(canary),
        ("numpy.testing._private.utils", "runstring"): code,
        ("numpy.f2py.crackfortran", "myeval"): code,
        ("timeit", "timeit"): code,
        ("pty", "spawn"): command,
        ("torch.serialization", "load"): str(canary),
    }
    by_opcode = {
        "__builtin__.eval": pickle.dumps(Calls(eval, code), 2),
        "copyreg._reconstructor": b"ccopyreg\n_reconstructor\n(c__builtin__\nobject\nNtR.",
        # INST, OBJ and NEWOBJ name a class and make one of it in the same breath.
        system: b"(S'" + quoted + b"'\ni" + system.replace(".", "\n").encode() + b"\n.",
        "os.popen": b"(cos\npopen\nS'x'\no.",
        "os.listdir": b"\x80\x02cos\nlistdir\n)\x81.",
    }
    return {
        **{name: pickle.dumps(value) for name, value in by_value.items()},
        **{".".join(name): stack_global(*name, given) for name, given in by_name.items()},
        **by_opcode,
    }


@pytest.mark.parametrize("name", [*evil(Path("x"))])
def test_every_other_name_is_refused(tmp_path: Path, canary: Path, name: str) -> None:
    assert f"it asks for {name}, which" in refused(tmp_path, evil(canary)[name])
    assert not canary.exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_inside_of_a_frame_is_refused(tmp_path: Path, canary: Path, protocol: int) -> None:
    cells = np.array(["a", Calls(os.system, touching(canary))], dtype=object)
    frame = pd.DataFrame({"prompt": cells, "score": [1.0, 0.0]})
    assert ".system, which" in refused(tmp_path, pickle.dumps(frame, protocol))
    assert not canary.exists()


def test_a_persistent_id_is_refused(tmp_path: Path) -> None:
    assert "a persistent id" in refused(tmp_path, b"Pmy id\n.")
    assert "a persistent id" in refused(tmp_path, b"\x80\x04" + text("my id") + b"Q.")


@pytest.mark.parametrize(
    "target",
    [
        ("pandas", "Index"),
        ("pandas.core.indexes.base", "_new_Index"),
        ("numpy", "dtype"),
        ("numpy._core.numeric", "_frombuffer"),
    ],
)
def test_what_is_named_cannot_be_changed(tmp_path: Path, target: tuple[str, str]) -> None:
    """BUILD on a class sets its attributes: for the whole process, had it been the real one."""
    module, name = target
    stand_in = pickles._STAND_INS[target]
    before = dict(vars(stand_in))
    state = b"N}" + text("__doc__") + text("changed") + b"s\x86"
    content = b"\x80\x04" + text(module) + text(name) + b"\x93" + state + b"b."
    assert "cannot be read as a pickle" in refused(tmp_path, content)
    assert dict(vars(stand_in)) == before


def test_what_copyreg_has_cached_is_not_handed_out(tmp_path: Path, canary: Path) -> None:
    """An extension code gives what an earlier pickle of this process found under it."""
    module, name = os.system.__module__, os.system.__name__
    copyreg.add_extension(module, name, 241)
    try:
        content = b"\x80\x02\x82\xf1(" + text(touching(canary)) + b"tR."
        assert pickle.loads(b"\x80\x02\x82\xf1.") is os.system
        assert f"it asks for {module}.{name}, which" in refused(tmp_path, content)
    finally:
        copyreg.remove_extension(module, name, 241)
    assert not canary.exists()


def test_no_stand_in_is_what_it_stands_for() -> None:
    for stand_in in pickles._STAND_INS.values():
        assert issubclass(stand_in, pickles.Record)
        assert not hasattr(stand_in, "eval")


class Named:
    """Writes a stand-in under the name it stands for, so that crafted pickles can be made."""

    class Pickler(pickle.Pickler):
        def reducer_override(self, value: Any) -> Any:
            return value.crafted if isinstance(value, Named) else NotImplemented

    def __init__(self, function: Any, arguments: tuple[Any, ...], state: Any = None) -> None:
        self.crafted = (function, arguments, state)

    @classmethod
    def dumps(cls, value: Any) -> bytes:
        file = io.BytesIO()
        cls.Pickler(file, 4).dump(value)
        return file.getvalue()


def crafted_frame(values: Any, size: int = 1) -> bytes:
    """A frame with one column, `score`, of some values."""
    from pandas._libs.internals import _unpickle_block
    from pandas.core.indexes.base import _new_Index
    from pandas.core.internals.managers import BlockManager

    columns = Named(_new_Index, (pd.Index, {"data": np.array(["score"], dtype=object)}))
    index = Named(_new_Index, (pd.RangeIndex, {"start": 0, "stop": size, "step": 1}))
    block = Named(_unpickle_block, (values, slice(0, 1, 1), 2))
    manager = Named(BlockManager, ((block,), [columns, index]))
    return Named.dumps(Named(pd.DataFrame, (), {"_mgr": manager}))


def array(shape: tuple[int, ...], dtype: Any, data: Any) -> Named:
    reconstruct = np.array([1]).__reduce__()[0]
    return Named(reconstruct, (np.ndarray, (0,), b"b"), (1, shape, dtype, False, data))


def read(folder: Path, content: bytes) -> Any:
    path = folder / "crafted.pkl"
    path.write_bytes(content)
    return Frame(path).column("score")


def test_a_crafted_frame_is_read(tmp_path: Path) -> None:
    """That the refusals below are for what is wrong with the values."""
    assert read(tmp_path, crafted_frame(np.array([[0.5]]))).tolist() == [0.5]


def dtype(name: str, *state: Any) -> Named:
    return Named(np.dtype, (name, False, True), state or None)


WRONG = {
    # Of these two, numpy itself would follow the bytes as pointers, or read beyond them.
    "bytes as objects": array((1, 1), dtype("O8", 3, "|", None, None, None, -1, -1, 0), b"\1" * 8),
    "a huge element": array((1, 1), dtype("f8", 3, "<", None, None, None, 1 << 40, 8, 0), b"\0"),
    "a huge shape": array((1 << 40, 1), np.dtype("f8"), b"\0" * 8),
    "bytes that do not fit": array((-1, 1), np.dtype("f8"), b"\0" * 7),
    "too few rows": array((1, 0), np.dtype("f8"), b""),
    "raw memory": array((1, 1), dtype("V8"), b"\0" * 8),
    "dates": array((1, 1), dtype("M8"), b"\0" * 8),
    "an order of bytes that is none": array((1, 1), dtype("f8", 3, "<>"), b"\0" * 8),
    "a type that is a text": array((1, 1), "f8", b"\0" * 8),
    "data that are a text": array((1, 1), np.dtype("f8"), "text"),
    "no data": array((1, 1), np.dtype("f8"), None),
    "a list": [[0.5]],
    "nothing": None,
}


@pytest.mark.parametrize("what", WRONG)
def test_arrays_that_are_not_what_they_say(tmp_path: Path, what: str) -> None:
    with pytest.raises(ConfigurationError, match="no data frame that can be read"):
        read(tmp_path, crafted_frame(WRONG[what]))


def arrow(
    length: int, offset: int, ends: list[int], data: bytes, valid: bytes | None = None
) -> Named:
    pa = pytest.importorskip("pyarrow")
    buffers = [valid, np.array(ends, dtype="<i8").tobytes(), data]
    parts = [None if b is None else Named(pa.py_buffer, (b,)) for b in buffers]
    kind = Named(pa.lib.type_for_alias, ("large_string",))
    stored = Named(pa.lib._restore_array, ((kind, length, 0, offset, parts, [], None),))
    return Named(pd.arrays.ArrowStringArray, (), {"_pa_array": stored})


def test_arrow_strings_within_their_buffers(tmp_path: Path) -> None:
    values = arrow(2, 1, [0, 1, 3, 4], b"abcd", b"\x02")
    assert read(tmp_path, crafted_frame(values, 2)).tolist() == ["bc", None]
    assert read(tmp_path, crafted_frame(arrow(0, 0, [], b""), 0)).tolist() == []


@pytest.mark.parametrize(
    ("length", "offset", "ends", "valid"),
    [
        (2, 0, [0, 1], None),
        (1, 5, [0, 1], None),
        (1, 0, [0, 1 << 50], None),
        (1, 0, [-9, 1], None),
        (1, -7, [0, 1], None),
        (1 << 50, 0, [0, 1], None),
        (9, 0, list(range(10)), b"\xff"),
    ],
)
def test_arrow_strings_beyond_their_buffers(
    tmp_path: Path, length: int, offset: int, ends: list[int], valid: bytes | None
) -> None:
    values = arrow(length, offset, ends, b"abcd", valid)
    with pytest.raises(ConfigurationError, match="no data frame that can be read"):
        read(tmp_path, crafted_frame(values))


@given(st.sampled_from(sorted(WIDE)), st.floats(0, 1, exclude_max=True))
def test_a_pickle_that_is_cut_anywhere_is_an_error(version: str, where: float) -> None:
    content = WIDE[version]
    with NamedTemporaryFile() as file:
        file.write(content[: int(where * len(content))])
        file.flush()
        with pytest.raises(ConfigurationError, match="may be cut short"):
            Frame(Path(file.name))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as a pickle: EOFError"),
        (b"not a pickle", "cannot be read as a pickle"),
        (WIDE["pandas 2.1.2"][:-100], "cannot be read as a pickle"),
        (pickle.dumps({"a": 1}), "dict where frame was expected"),
        (pickle.dumps([1, 2]), "list where frame was expected"),
        (pickle.dumps(np.zeros(3)), "where frame was expected"),
    ],
)
def test_files_that_hold_no_frame(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in refused(tmp_path, content)


class TestFrames:
    FRAME = pd.DataFrame(
        {
            "text": ["a", None, "ü"],
            "mixed": np.array([True, 0.5, "x"], dtype=object),
            "number": [0.5, np.nan, -1e300],
            "whole": np.array([1, 2, 3], dtype=np.int32),
            "flag": [True, False, True],
            "kind": pd.Categorical(["u", None, "v"]),
            "scalar": np.array([np.float64(0.25), np.int64(3), None], dtype=object),
        }
    )
    SHAPES: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "whole": lambda frame: frame,
        "rows of it": lambda frame: frame.iloc[[2, 0]],
        "columns of it": lambda frame: frame[["whole", "text", "number"]],
        "joined": lambda frame: pd.concat([frame, frame]),
        "with texts as objects": lambda frame: frame.astype({"text": object}).set_axis(
            pd.Index(list(frame.columns), dtype=object), axis=1
        ),
        "without rows": lambda frame: frame.iloc[:0],
    }

    @pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize("shape", SHAPES)
    def test_frames_of_the_pandas_that_is_installed(
        self, tmp_path: Path, protocol: int, shape: str
    ) -> None:
        expected = self.SHAPES[shape](self.FRAME)
        path = tmp_path / "frame.pkl"
        expected.to_pickle(path, protocol=protocol)
        frame = Frame(path)
        assert frame.columns == tuple(expected.columns)
        assert len(frame) == len(expected)
        for name in frame.columns:
            found = pd.Series(frame.column(name), dtype=object)
            same = found.eq(expected[name].astype(object).reset_index(drop=True))
            missing = found.isna() & expected[name].isna().reset_index(drop=True)
            assert (same | missing).all(), name

    @pytest.mark.parametrize("version", WIDE)
    def test_frames_of_older_ones(self, tmp_path: Path, version: str) -> None:
        path = tmp_path / "frame.pkl"
        path.write_bytes(WIDE[version])
        frame = Frame(path)
        assert frame.columns[:3] == ("sample_id", "prompt", "eval_name")
        assert frame.column("eval_name").tolist() == ["mmlu-anatomy", "mmlu-anatomy", "mtbench"]
        assert frame.column("gpt-4-1106-preview|total_cost").tolist() == [0.001, 0.002, 0.003]
