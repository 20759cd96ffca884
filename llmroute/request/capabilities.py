"""What a request needs of a model, and which models of a pool cannot take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.messages.utils import convert_to_openai_messages

from llmroute.pool import Model, ModelPool
from llmroute.scoring.text import RoutingText

_IMAGE_BOUND = 4096


@dataclass(frozen=True)
class Needs:
    """What a request needs, as far as capabilities go."""

    tools: bool = False
    json_schema: bool = False  # an answer of a given shape, by whatever means
    schema_format: bool = False  # a JSON schema as the provider's own response format
    vision: bool = False
    audio: bool = False
    pdf: bool = False
    logprobs: bool = False
    several: bool = False  # generations in one call

    def unmet_by(self, model: Model) -> str | None:
        """Why the model cannot take the request, or None. Unknown capabilities pass."""
        can = model.capabilities
        for needed, able, what in (
            (self.tools, can.tools, "tools are bound, and it does not call tools"),
            # Structured output works through a forced tool call too, so either capability will do.
            (
                self.json_schema,
                can.json_schema is not False or can.tools is not False,
                "a JSON schema is asked for, and it supports neither schemas nor tools",
            ),
            (
                self.schema_format,
                can.json_schema,
                "a JSON schema is asked for as response format, and it takes none",
            ),
            (self.vision, can.vision, "the request holds an image, and it does not see"),
            (self.audio, can.audio, "the request holds audio, and it does not hear"),
            (self.pdf, can.pdf, "the request holds a file, and it does not read files"),
            (self.logprobs, can.logprobs, "log-probabilities are asked for, and it has none"),
            (self.several, can.several, "n > 1 is asked for, and it gives one generation a call"),
        ):
            if needed and able is False:
                return what
        return None


_NOTHING = Needs()


def rule_out(
    pool: ModelPool, needs: Needs, text: RoutingText, messages: Sequence[BaseMessage]
) -> dict[str, str]:
    """Which models of the pool cannot take the request, each with why.

    Args:
        pool: The pool.
        needs: The capabilities the request needs.
        text: Its size; tokens are counted only where the size leaves the answer open.
        messages: The messages, for the exact count.
    """
    plain = needs == _NOTHING
    reasons = {
        model.name: (None if plain else needs.unmet_by(model)) or _too_long(model, text, messages)
        for model in pool
    }
    return {name: why for name, why in reasons.items() if why}


def must_count(pool: ModelPool, text: RoutingText) -> bool:
    """Whether the size of a request leaves it open if it fits every context window of a pool."""
    return any(_may_be_too_long(model, text) for model in pool)


def _may_be_too_long(model: Model, text: RoutingText) -> bool:
    # A token is at least one byte and a character at most four, so most requests fit for certain
    # and need no tokenizer. An image is a few thousand tokens at the most.
    bound = 4 * text.characters + _IMAGE_BOUND * text.images
    return model.context_window is not None and bound > model.context_window


def _too_long(model: Model, text: RoutingText, messages: Sequence[BaseMessage]) -> str | None:
    window = model.context_window
    if window is None or not _may_be_too_long(model, text):
        return None
    # What stands in no message (tools, a schema) is counted by its size.
    tokens = count_tokens(model.litellm_name, messages) + text.extra_characters // 4
    if tokens <= window:
        return None
    return f"the request has {tokens:,} tokens, and its context window takes {window:,}"


def count_tokens(litellm_name: str, messages: Sequence[BaseMessage]) -> int:
    """Tokens of the messages, counted with the model's own tokenizer as far as LiteLLM has it."""
    from llmroute.backends.litellm import import_litellm  # noqa: PLC0415  # a decision needs none of it

    converted: Any = convert_to_openai_messages(list(messages))
    return int(
        import_litellm().token_counter(
            model=litellm_name, messages=converted, use_default_image_token_count=True
        )
    )
