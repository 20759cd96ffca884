"""Importing llmroute costs next to nothing, and nothing heavy comes along."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

HEAVY = ("litellm", "onnxruntime", "tokenizers", "torch", "pandas", "langchain_core", "numpy")


def loaded(code: str) -> set[str]:
    """The top-level modules a fresh interpreter has loaded after the code."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_package_alone_imports_nothing_heavy() -> None:
    assert not loaded("import llmroute; llmroute.__version__") & set(HEAVY)


def test_a_decision_imports_neither_litellm_nor_torch_nor_pandas() -> None:
    code = (
        "from llmroute import RouterChain\n"
        "RouterChain(pool=['openai/gpt-4.1-nano', 'openai/gpt-4.1']).decide('hello')"
    )
    assert not loaded(code) & {"litellm", "torch", "pandas"}


def test_every_public_name_is_there() -> None:
    import llmroute

    for name in llmroute.__all__:
        assert getattr(llmroute, name) is not None
    assert set(llmroute.__all__) <= set(dir(llmroute))
    assert set(llmroute.__all__) == set(llmroute._HOMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import llmroute

    assert not hasattr(llmroute, "nothing_like_this")


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("decision", "records", "Decision"),
        ("terms", "request.overrides", "Terms"),
        ("observing", "state.observers", "Observer"),
        ("conversation", "request.conversation", "Conversation"),
        ("configuration", "config", "router_schema"),
        ("evaluation.readers.download", "outcomes.readers.download", "download"),
        ("evaluation.metrics", "metrics", "aiq"),
    ],
)
def test_a_module_that_has_moved_is_found_by_its_old_name(old: str, new: str, name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"llmroute.{old} is now llmroute.{new}"):
        found = importlib.import_module(f"llmroute.{old}")
    moved = importlib.import_module(f"llmroute.{new}")
    assert found is moved
    assert getattr(found, name) is not None
    assert moved.__spec__ is not None
    assert moved.__spec__.name == f"llmroute.{new}"
    del sys.modules[f"llmroute.{old}"]


def test_a_module_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"llmroute\.nothing_like_this"):
        importlib.import_module("llmroute.nothing_like_this")


def test_a_command_that_has_moved_still_runs() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "llmroute.configuration"], capture_output=True, text=True, check=True
    )
    assert '"$schema"' in run.stdout
