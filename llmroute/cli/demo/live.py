"""The demo on real providers: which models the environment's keys reach, and what it may cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmroute.backends.prices import lookup
from llmroute.chain import RouterChain
from llmroute.cli.demo.prompts import DemoPrompt
from llmroute.errors import ConfigurationError
from llmroute.pool import Model, ModelPool

LABEL = (
    "These answers came from real providers, at the prices of LiteLLM's packaged table; "
    "quality is NOT measured here."
)
#: Output tokens an answer may have, so that the estimate holds.
MAX_TOKENS = 600

#: Environment variable → names to try for the cheap and the strong model, best first. A name is
#: taken when LiteLLM's packaged table has its prices.
_PROVIDERS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "OPENAI_API_KEY": (("openai/gpt-4.1-nano", "openai/gpt-4o-mini"), ("openai/gpt-4.1",)),
    "ANTHROPIC_API_KEY": (
        ("anthropic/claude-haiku-4-5", "anthropic/claude-3-5-haiku-latest"),
        ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-20250514"),
    ),
    "GEMINI_API_KEY": (("gemini/gemini-2.5-flash-lite",), ("gemini/gemini-2.5-flash",)),
    "MISTRAL_API_KEY": (("mistral/mistral-small-latest",), ("mistral/mistral-large-latest",)),
    "DEEPSEEK_API_KEY": ((), ("deepseek/deepseek-chat",)),
}


@dataclass(frozen=True)
class Estimate:
    """What a live run may cost, USD.

    Attributes:
        expected: By the router's own estimates.
        at_most: When every prompt goes to its dearest model and fills the answer's limit.
    """

    expected: float
    at_most: float


def models_for(environment: Mapping[str, str]) -> list[str]:
    """The models that the environment's keys reach.

    Args:
        environment: Variables and their values.
    """
    found = []
    for variable, sizes in _PROVIDERS.items():
        if environment.get(variable):
            found += [name for size in sizes if (name := _first_known(size)) is not None]
    return found


def _first_known(names: Sequence[str]) -> str | None:
    return next((n for n in names if lookup(n).get("output_price") is not None), None)


def live_pool(
    environment: Mapping[str, str] = os.environ, api_base: str | None = None
) -> ModelPool:
    """A pool of what the environment's keys reach.

    Args:
        environment: Variables and their values.
        api_base: Where all the models are served, when not at their providers.

    Raises:
        ConfigurationError: There is no key.
    """
    names = models_for(environment)
    if not names:
        raise ConfigurationError(
            "--live calls real providers and needs a key in the environment: one of "
            f"{', '.join(_PROVIDERS)}. Without --live the demo needs none."
        )
    stated = {} if api_base is None else {"api_base": api_base}
    return ModelPool([Model(name, **stated) for name in names])


def estimate(router: RouterChain, prompts: Sequence[DemoPrompt]) -> Estimate:
    """What the prompts may cost.

    Args:
        router: The router.
        prompts: The prompts.
    """
    decisions = router.decide_batch([prompt.messages for prompt in prompts])
    expected = sum(d.estimates[d.chosen].cost or 0.0 for d in decisions)
    at_most = sum(
        max(model.price(d.prompt_tokens, MAX_TOKENS) or 0.0 for model in router.pool)
        for d in decisions
    )
    return Estimate(expected, at_most)
