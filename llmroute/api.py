"""Short forms: a router in one line, and functions that route a prompt without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from llmroute.chain import RouterChain
from llmroute.errors import ConfigurationError
from llmroute.policies import CheapestAbove
from llmroute.pool import Model, ModelPool

Pool = ModelPool | Sequence[Model | str]


def init_router(*models: Model | str, quality: float | None = None, **settings: Any) -> RouterChain:
    """Make a router in one line, as `init_chat_model` makes a chat model.

        router = init_router("openai/gpt-4.1-nano", "openai/gpt-4.1", quality=0.9, temperature=0)

    Args:
        models: The pool: LiteLLM names, or `Model`s.
        quality: Short for `policy=CheapestAbove(quality=quality)`: the share of the best model's
            expected quality that is enough, 0..1.
        settings: `RouterChain`'s other settings: `escalation`, `timeout`, `temperature`, …

    Raises:
        ConfigurationError: A pool that cannot work, or a quality beside a policy.
    """
    if quality is not None:
        if "policy" in settings:
            raise ConfigurationError(
                "quality is short for policy=CheapestAbove(quality=...); give one of the two."
            )
        settings["policy"] = CheapestAbove(quality=quality)
    return RouterChain(pool=list(models), **settings)


def route(input: LanguageModelInput, *, pool: Pool, **options: Any) -> AIMessage:
    """Route one prompt, and return the answer.

        pool = ["openai/gpt-4.1-nano", "openai/gpt-4.1"]
        answer = route("Prove that √2 is irrational.", pool=pool)
        answer.content, answer.response_metadata["llmroute"]["cost_usd"]

    Args:
        input: A string, messages, or a prompt value.
        pool: A `ModelPool`, or a list of models or of their names.
        options: `RouterChain`'s: `policy`, `scorer`, `timeout`, `temperature`, …

    Returns:
        The answer; `response_metadata["llmroute"]` holds the record.

    Raises:
        NoEligibleModel: No model can take the request.
        ProviderError: The request failed in a way that another model would not cure.
        AllModelsFailed: Every eligible model failed.
    """
    return RouterChain(pool=pool, **options).invoke(input)


async def aroute(input: LanguageModelInput, *, pool: Pool, **options: Any) -> AIMessage:
    """`route` on an event loop."""
    return await RouterChain(pool=pool, **options).ainvoke(input)


def route_batch(
    inputs: Sequence[LanguageModelInput],
    *,
    pool: Pool,
    max_concurrency: int | None = None,
    return_exceptions: bool = False,
    **options: Any,
) -> list[AIMessage]:
    """Route many prompts, several at a time.

    Args:
        inputs: Strings, messages, or prompt values.
        pool: A `ModelPool`, or a list of models or of their names.
        max_concurrency: The most prompts that are routed at a time.
        return_exceptions: Return an error in its prompt's place instead of raising it.
        options: `RouterChain`'s.

    Returns:
        The answers, in the order of the inputs.
    """
    config = RunnableConfig(max_concurrency=max_concurrency) if max_concurrency else None
    router = RouterChain(pool=pool, **options)
    answers: list[Any] = router.batch(list(inputs), config, return_exceptions=return_exceptions)
    return answers
