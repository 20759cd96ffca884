"""What counts as an answer."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from llmroute.engine.messages import is_cut, is_empty


@pytest.mark.parametrize(
    "message",
    [
        AIMessage(""),
        AIMessage([]),
        AIMessage([{"type": "text", "text": ""}]),
        AIMessage("", additional_kwargs={"refusal": None}),
        AIMessageChunk(""),
    ],
    ids=repr,
)
def test_nothing_a_user_could_use(message: Any) -> None:
    assert is_empty(message)


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("x"),
        AIMessage([{"type": "text", "text": "x"}]),
        AIMessage([{"type": "image", "url": "http://127.0.0.1/x.png"}]),
        AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]),
        AIMessage("", additional_kwargs={"reasoning_content": "hm"}),
        AIMessageChunk("", tool_call_chunks=[{"name": "f", "args": "", "id": "1", "index": 0}]),
    ],
    ids=repr,
)
def test_something_a_user_could_use(message: Any) -> None:
    assert not is_empty(message)


@pytest.mark.parametrize(
    ("provider", "reason"),
    [("openai", "finish_reason"), ("openai", "status"), ("anthropic", "stop_reason")],
)
def test_an_answer_without_a_reason_to_end_is_a_cut_one(provider: str, reason: str) -> None:
    assert is_cut(AIMessage("half", response_metadata={"model_provider": provider}))
    whole = {"model_provider": provider, reason: "stop"}
    assert not is_cut(AIMessage("whole", response_metadata=whole))


def test_of_a_provider_whose_manners_are_unknown_nothing_is_a_cut() -> None:
    assert not is_cut(AIMessage("of whoever", response_metadata={}))
