"""The model about to read a conversation: what it wrote itself, and what its provider takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from langchain_core.messages import BaseMessage

from llmroute.pool import Model

#: Providers for which LiteLLM takes Anthropic's cache markers, or translates them.
_TAKE_MARKERS = ("anthropic/", "bedrock/", "vertex_ai/", "gemini/", "openrouter/", "litellm_proxy/")
#: `claude-sonnet-4-5-20250929` is what answers to `claude-sonnet-4-5`; OpenAI writes 2025-04-14.
_DATE = re.compile(r"[-@]20\d{2}-?\d{2}-?\d{2}$")


@dataclass(frozen=True)
class Reader:
    """The model that a conversation is made safe for.

    Attributes:
        name: The pool member.
        provider: What its answers say of who made them, under `model_provider`.
        model: The model's name without provider and date.
        is_anthropics: Whether it is a model of Anthropic's, asked in Anthropic's way.
        takes_markers: Whether its provider takes `cache_control`.
    """

    name: str
    provider: str
    model: str
    is_anthropics: bool
    takes_markers: bool

    @classmethod
    def of(cls, member: Model) -> Reader:
        """The reader that a pool member is."""
        model = _undated(member.litellm_name)
        if member.chat_model is not None:
            provider = member.litellm_name.partition("/")[0]
            # Claude by way of another protocol, such as OpenRouter's, is asked in that one's words.
            own = provider == "anthropic" or "anthropic" in member.chat_model._llm_type
            return cls(member.name, provider, model, own, own)
        names = _names(member)
        is_anthropics = all(_is_anthropics(name) for name in names)
        takes_markers = is_anthropics or all(name.startswith(_TAKE_MARKERS) for name in names)
        return cls(member.name, "litellm", model, is_anthropics, takes_markers)

    def made(self, message: BaseMessage) -> bool:
        """Whether it made an answer itself; an answer that does not say so is another model's."""
        metadata = message.response_metadata
        record = metadata.get("llmroute")
        if isinstance(record, Mapping) and record.get("answered_by"):
            return bool(record["answered_by"] == self.name)
        name = metadata.get("model_name") or metadata.get("model")
        if metadata.get("model_provider") != self.provider or not isinstance(name, str):
            return False
        return _undated(name) == self.model


def _names(member: Model) -> list[str]:
    """LiteLLM's names of the models that may answer for a member: one, but for a router's group."""
    if member.litellm_router is None:
        return [member.litellm_name]
    return [
        deployment["litellm_params"]["model"]
        for deployment in member.litellm_router.model_list or ()
        if deployment["model_name"] == member.litellm_name
    ] or [member.litellm_name]


def _is_anthropics(name: str) -> bool:
    return "claude" in name.lower() or "anthropic" in name.partition("/")[0]


def _undated(model: str) -> str:
    return _DATE.sub("", model.rpartition("/")[2])
