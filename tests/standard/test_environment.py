"""What the suite's `test_init_from_env` asks of a class that reads the environment itself.

A router reads none; its members read that of their providers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from langchain_openai import ChatOpenAI

from llmroute import Model, RouterChain
from llmroute.testing import ScriptedProvider
from tests.conftest import KEY


@pytest.mark.parametrize(
    "member",
    [
        lambda: Model("openai/small"),
        lambda: Model("small", chat_model=ChatOpenAI(model="small")),
    ],
    ids=["by name", "a chat model"],
)
def test_members_find_address_and_key_in_the_environment(
    member: Callable[[], Model], provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    assert RouterChain(pool=[member()]).invoke("Hello").text
    assert provider.requests[-1].headers["authorization"] == f"Bearer {KEY}"
