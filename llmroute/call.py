"""The one-call form: route a prompt without building a router first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from llmroute.chain import RouterChain
from llmroute.pool import Model, ModelPool

Pool = ModelPool | Sequence[Model | str]


def route(input: LanguageModelInput, *, pool: Pool, **options: Any) -> AIMessage:
    """Send one prompt to the model of the pool that suits it.

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
        ProviderError: The request itself failed, in a way another model would not cure.
        AllModelsFailed: Every eligible model was asked in vain.
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
    """Send many prompts, each to the model that suits it, several at once.

    Args:
        inputs: Strings, messages, or prompt values.
        pool: A `ModelPool`, or a list of models or of their names.
        max_concurrency: How many calls may be under way at once.
        return_exceptions: Return an error in its prompt's place instead of raising it.
        options: `RouterChain`'s.

    Returns:
        The answers, in the order of the inputs.
    """
    config = RunnableConfig(max_concurrency=max_concurrency) if max_concurrency else None
    router = RouterChain(pool=pool, **options)
    answers: list[Any] = router.batch(list(inputs), config, return_exceptions=return_exceptions)
    return answers
