"""The demo on real providers: which models the environment's keys reach, and what it may cost."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from llmroute.backends.prices import lookup
from llmroute.chain import RouterChain
from llmroute.cli.demo.demo_prompts import DemoPrompt
from llmroute.cli.options import pool_of
from llmroute.errors import ConfigurationError
from llmroute.pool import ModelPool

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


def models_for(environment: Mapping[str, str]) -> list[str]:
    """The models that the keys of an environment reach."""
    sizes = [names for key, pair in _PROVIDERS.items() if environment.get(key) for names in pair]
    priced = [[n for n in names if lookup(n).get("output_price") is not None] for names in sizes]
    return [names[0] for names in priced if names]


def live_pool(api_base: str | None = None) -> ModelPool:
    """A pool of what the environment's keys reach; ConfigurationError where there is no key."""
    names = models_for(os.environ)
    if not names:
        raise ConfigurationError(
            "--live calls real providers and needs a key in the environment: one of "
            f"{', '.join(_PROVIDERS)}. Without --live the demo needs none."
        )
    return pool_of([{"name": name} for name in names], api_base)


def expected_and_greatest_cost(
    router: RouterChain, prompts: Sequence[DemoPrompt]
) -> tuple[float, float]:
    """USD of a run: by the router's estimates, and with full answers of each prompt's dearest."""
    decisions = router.decide_batch([prompt.messages for prompt in prompts])
    expected = sum(d.estimates[d.chosen].cost or 0.0 for d in decisions)
    greatest = sum(
        max(model.price(d.prompt_tokens, MAX_TOKENS) or 0.0 for model in router.pool)
        for d in decisions
    )
    return expected, greatest
