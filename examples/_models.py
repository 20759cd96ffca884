"""The two models that the examples route between.

Without a key they are stand-ins: a provider on loopback, asked over real HTTP, that says what the
example has scripted. Give LiteLLM's names of real ones to ask those (their keys are read from the
environment):

    LLMROUTE_WEAK=openai/gpt-4.1-nano LLMROUTE_STRONG=openai/gpt-4.1 python examples/rag.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel

from llmroute import Model, ModelPool
from llmroute.testing import ScriptedModel, ScriptedProvider
from llmroute.testing.models import Script


@contextmanager
def two_models(weak: Script | None = None, strong: Script | None = None) -> Iterator[ModelPool]:
    """A weak and a strong model: the reader's own, or stand-ins that answer by the scripts."""
    if names := _named():
        yield ModelPool([Model(names[0], tier="weak"), Model(names[1], tier="strong")])
        return
    with _stand_ins(weak, strong) as provider:
        at = {"api_base": provider.base_url, "api_key": "any"}
        yield ModelPool(
            [
                Model("small", model="openai/small", input_price=0.1, output_price=0.4, **at),
                Model("large", model="openai/large", input_price=2, output_price=8, **at),
            ]
        )


@contextmanager
def two_chat_models(
    weak: Script | None = None, strong: Script | None = None
) -> Iterator[tuple[BaseChatModel, BaseChatModel]]:
    """The same two as LangChain's own chat models."""
    if names := _named():
        from langchain.chat_models import init_chat_model

        yield tuple(init_chat_model(name.replace("/", ":", 1)) for name in names)
        return
    from langchain_openai import ChatOpenAI

    with _stand_ins(weak, strong) as provider:
        at = {"base_url": provider.base_url, "api_key": "any"}
        yield ChatOpenAI(model="small", **at), ChatOpenAI(model="large", **at)


def bill(record: Mapping[str, Any]) -> str:
    """Who was asked, and for what, who answered, and what it cost: a record in one line."""
    asked = ", ".join(f"{call['model']} ({call['purpose']})" for call in record["calls"])
    cost = record["cost_usd"]
    paid = "at an unknown cost" if cost is None else f"{cost:.6f} USD"
    return f"[{record['answered_by']}; asked: {asked}; {paid}]"


def _named() -> tuple[str, str] | None:
    weak, strong = os.environ.get("LLMROUTE_WEAK"), os.environ.get("LLMROUTE_STRONG")
    return (weak, strong) if weak and strong else None


def _stand_ins(weak: Script | None, strong: Script | None) -> ScriptedProvider:
    return ScriptedProvider(
        [ScriptedModel("small", reply=weak), ScriptedModel("large", reply=strong)]
    )
