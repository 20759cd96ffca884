"""Thinking of Anthropic's models: whether a call asks for it, and whether it can be had there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from llmroute.request.history.target import Reader

_THINKING, _EFFORT = "thinking", "reasoning_effort"
#: Where chat models keep arguments of every call: our own, and LangChain's.
_KEPT = ("params", "model_kwargs")
#: Blocks of thinking: Anthropic's two, and LangChain's.
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
_NO_EFFORT = (None, "none", "disable")


@dataclass(frozen=True)
class Thinking:
    """What a call says about thinking.

    Attributes:
        kind: Anthropic's `type`: `"enabled"` (by hand, with a budget of tokens), `"adaptive"` or
            `"disabled"`; None where the call says nothing and the model's default holds.
    """

    kind: str | None = None

    @classmethod
    def asked_of(cls, model: BaseChatModel, *arguments: Mapping[str, Any]) -> Thinking:
        """What a call of a chat model would say, by its arguments and those that are bound."""
        settings = list(_settings(model, *arguments))
        for setting in settings:
            thinking = setting.get(_THINKING)
            if isinstance(thinking, Mapping):
                return cls(thinking.get("type"))
        # LiteLLM makes a budget of it, for the models that have budgets.
        asked = any(setting.get(_EFFORT) not in _NO_EFFORT for setting in settings)
        return cls("enabled" if asked and hasattr(model, "params") else None)

    @property
    def must_begin_turn(self) -> bool:
        """Whether a turn of the model's has to begin with its thinking.

        https://platform.claude.com/docs/en/build-with-claude/thinking: adaptive thinking is free of
        this rule.
        """
        return self.kind == "enabled"

    @property
    def is_off(self) -> bool:
        """Whether no thinking may be in the conversation."""
        return self.kind == "disabled"


def goes_on_without_thought(messages: Sequence[BaseMessage], reader: Reader) -> bool:
    """Whether a tool loop goes on here that the reader has not thought about from its beginning.

    Anthropic then refuses a request with `thinking` of the type `enabled`: what the loop has so far
    counts as one turn of the model's, and a turn has to begin with its thinking.
    """
    turn: list[BaseMessage] = []
    for message in reversed(messages):
        if isinstance(message, AIMessage):
            if not turn and not message.tool_calls:
                return False
            turn.append(message)
        elif turn and not isinstance(message, ToolMessage):
            break
    if not turn:
        return False
    own = all(reader.made(message) and not was_asked_otherwise(message) for message in turn)
    return not (own and holds_thought(turn[-1], at_start=True))


def was_asked_otherwise(message: BaseMessage) -> bool:
    """Whether an answer may have been given to other words than stand before it.

    The router asks for samples and revisions in words of its own. Newer models of Anthropic's sign
    their thinking together with all that came before it, and refuse it after anything else:
    https://platform.claude.com/docs/en/build-with-claude/preserved-thinking
    """
    record = message.response_metadata.get("llmroute")
    if not isinstance(record, Mapping):
        return False
    return any(
        call.get("accepted") and call["purpose"] in ("sample", "refine")
        for call in record.get("calls") or ()
    )


def holds_thought(message: BaseMessage, *, at_start: bool = False) -> bool:
    """Whether an answer has its maker's thinking in it, or begins with it."""
    content = [] if isinstance(message.content, str) else message.content
    blocks = content[:1] if at_start else content
    in_content = any(isinstance(b, dict) and b.get("type") in _THOUGHTS for b in blocks)
    return in_content or bool(message.additional_kwargs.get("thinking_blocks"))


def without_thinking(model: BaseChatModel) -> BaseChatModel:
    """A copy of a chat model that is not asked to think."""
    update: dict[str, Any] = {
        name: without_asking(kept)
        for name in _KEPT
        if isinstance(kept := getattr(model, name, None), Mapping)
    }
    for name in (_THINKING, _EFFORT):
        if getattr(model, name, None) is not None:
            update[name] = None
    return model.model_copy(update=update)


def without_asking(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments without those that ask for thinking."""
    return {n: value for n, value in arguments.items() if n not in (_THINKING, _EFFORT)}


def _settings(model: BaseChatModel, *arguments: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    # What is set on ChatAnthropic itself comes before the call's.
    yield {name: getattr(model, name, None) for name in (_THINKING, _EFFORT)}
    yield from arguments
    for name in _KEPT:
        kept = getattr(model, name, None)
        if isinstance(kept, Mapping):
            yield kept
