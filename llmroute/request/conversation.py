"""A conversation and its model: who answered last, and what changing the model would cost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import Field

from llmroute.pool import Model, ModelPool
from llmroute.records import Estimates
from llmroute.state.sessions import Turn
from llmroute.validation import Frozen

#: In the names of models that keep a prompt only when they are told to, whoever serves them, so
#: that nothing is in their cache unless an answer's usage says so.
_KEEP_WHEN_TOLD = ("anthropic", "claude", "bedrock")


class Conversation(Frozen):
    """How a conversation stays with its model.

    The rule: inside a tool loop, from the model's call of a tool to the user's next words, the
    model that called is asked. Otherwise every turn is decided by itself, and the model that
    answered last is expected to find the conversation so far in its provider's prompt cache: its
    input counts at the cached price, so another model has to be better or cheaper by more than
    that.

    Who answered last is read from the record on the conversation's last answer; where messages
    carry none, from what the router remembers of the session (`session_id` or `thread_id` of the
    config). How long ago that was is known of a session only.

    Args:
        pin_tool_loops: Ask the model that called the tools until the user speaks again.
        count_cache: Let the last model's input count at its cached price.
        cache_seconds: How long a provider is expected to keep a prompt.
        cache_tokens: The shortest conversation that providers keep, tokens.
    """

    pin_tool_loops: bool = True
    count_cache: bool = True
    cache_seconds: float = Field(default=300.0, ge=0)
    cache_tokens: int = Field(default=1024, ge=0)

    def tool_loop_model(self, messages: Sequence[BaseMessage], turn: Turn | None) -> str | None:
        """The model that the tool loop of a conversation belongs to, or None outside of one."""
        in_loop = self.pin_tool_loops and bool(messages) and messages[-1].type == "tool"
        return turn.model if in_loop and turn is not None else None

    def cached(self, turn: Turn | None, pool: ModelPool, prompt_tokens: float) -> int:
        """Tokens of the request that its last model is expected to find in its prompt cache."""
        if not self.count_cache or turn is None or turn.is_cached is False:
            return 0
        if turn.is_cached is None and _is_told_to_keep(pool[turn.model]):
            return 0
        if turn.at is not None and time.time() - turn.at > self.cache_seconds:
            return 0
        tokens = int(prompt_tokens if turn.tokens is None else min(turn.tokens, prompt_tokens))
        return tokens if tokens >= self.cache_tokens else 0


#: What a router does that was told nothing.
DEFAULT = Conversation()


def with_cache(
    estimates: Estimates, model: Model, cached_tokens: int
) -> tuple[Estimates, str | None]:
    """The estimates of one prompt whose first tokens a model has in its cache, and a remark."""
    price, cached_price = model.input_price, model.cached_input_price
    if not cached_tokens or price is None or cached_price is None or cached_price >= price:
        return estimates, None
    cost = estimates.cost.copy()
    column = estimates.models.index(model.name)
    whole = cost[0, column]
    # A scorer may have its costs from elsewhere than tokens and prices: cached input is never
    # cheaper than all of the cost at the cached price.
    least = whole * cached_price / price
    cost[0, column] = max(whole - cached_tokens * (price - cached_price) / 1e6, least)
    remark = (
        f"{model.name} answered last: about {cached_tokens:,} tokens are in its prompt cache and "
        "count at the cached price."
    )
    return replace(estimates, cost=cost), remark


def last_turn(
    messages: Sequence[BaseMessage], names: Sequence[str], remembered: Turn | None = None
) -> Turn | None:
    """The conversation's last answer, as far as it is known who gave it.

    Args:
        messages: The conversation, oldest first.
        names: The pool's members; another's answer is nobody's.
        remembered: The last answer that the conversation's session is known to have had. It need
            not be this conversation's: sub-agents and nodes of a graph share one.
    """
    answers = [message for message in messages if isinstance(message, AIMessage)]
    if not answers:
        return None
    turn = _read(answers[-1])
    if turn is None and any("llmroute" in answer.response_metadata for answer in answers):
        return None  # the history carries records, and its last answer is somebody else's
    if turn is None:
        turn = remembered
    elif remembered is not None:
        turn = replace(turn, at=remembered.at)  # at the latest: the session has been silent since
    return turn if turn is not None and turn.model in names else None


def _read(message: AIMessage) -> Turn | None:
    record = message.response_metadata.get("llmroute")
    if not isinstance(record, dict) or not record.get("answered_by"):
        return None
    usage = message.usage_metadata
    if usage is None:
        return Turn(record["answered_by"])
    details = usage.get("input_token_details", {})
    kept = (details.get("cache_read") or 0) + (details.get("cache_creation") or 0)
    tokens = usage["input_tokens"] + usage["output_tokens"]
    return Turn(record["answered_by"], tokens, is_cached=True if kept else None)


def _is_told_to_keep(model: Model) -> bool:
    name = model.litellm_name.lower()
    return any(part in name for part in _KEEP_WHEN_TOLD)
