"""The demo's provider: three scripted models behind real HTTP on loopback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmroute.chain import RouterChain
from llmroute.cli.demo.demo_prompts import DemoPrompt
from llmroute.pool import Model, ModelPool
from llmroute.testing import Fault, Question, ScriptedModel, ScriptedProvider

#: Sent as the key, so that every part of a call is there.
NOT_A_KEY = "sk-demo-not-a-key"

LABEL = (
    "These answers are stand-ins from a scripted server: the choices, HTTP calls, tokens and costs "
    "are real in form; quality is NOT measured here."
)
_WRONG = "A poor answer would stand here."
_FILLER = "This sentence only takes up the room of an answer."
#: Name, USD per million input and output tokens, context window, ability for the router and for
#: the script. The prices are like today's.
_STAND_INS = (
    ("standin-small", 0.10, 0.40, 8_192, 0.5, 0.35),
    ("standin-medium", 0.40, 1.60, 131_072, 0.9, 0.6),
    ("standin-large", 2.00, 8.00, 1_047_576, 1.25, 0.9),
)


def scripted_provider(prompts: Sequence[DemoPrompt]) -> ScriptedProvider:
    """The provider, which starts as a context manager and knows answers of a plausible length."""
    models = [
        ScriptedModel(name, input_price=input_price, output_price=output_price, ability=ability)
        for name, input_price, output_price, _, _, ability in _STAND_INS
    ]
    questions = [
        Question(
            prompt.question,
            answer=_padded(prompt.answer, prompt.tokens),
            difficulty=prompt.difficulty,
            wrong=[_padded(_WRONG, prompt.tokens)],
        )
        for prompt in prompts
    ]
    return ScriptedProvider(models, questions=questions)


def stand_in_pool(base_url: str) -> ModelPool:
    """The stand-ins as pool members that LiteLLM calls where the provider listens."""
    fields = ("input_price", "output_price", "context_window", "ability")
    served: dict[str, Any] = {"api_base": base_url, "api_key": NOT_A_KEY}
    return ModelPool(
        [
            Model(name, model=f"openai/{name}", **served, **dict(zip(fields, known, strict=True)))
            for name, *known, _ in _STAND_INS
        ]
    )


def make_trouble(provider: ScriptedProvider, router: RouterChain, prompt: DemoPrompt) -> None:
    """Let the model that the router will choose for a prompt fail, where the prompt says so."""
    if prompt.trouble is None:
        return
    chosen = router.decide(prompt.messages).chosen
    if prompt.trouble == "rate_limit":
        provider.fail(chosen, Fault.rate_limit(retry_after=0.2))
    else:  # as often as the router tries, so that it goes on to another model
        provider.fail(chosen, Fault.server_error(), times=router.max_retries + 1)


def _padded(answer: str, tokens: int) -> str:
    """The answer with filler up to about so many tokens."""
    room = tokens - len(answer.split())
    return " ".join([answer, *[_FILLER] * max(round(room / len(_FILLER.split())), 0)])
