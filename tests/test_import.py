"""Importing llmroute costs next to nothing, and nothing heavy comes along."""

from __future__ import annotations

import subprocess
import sys

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
    assert set(llmroute.__all__) == set(llmroute._HOME)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import llmroute

    assert not hasattr(llmroute, "nothing_like_this")
