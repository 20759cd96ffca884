"""The router's scorer and policy as a decision model, for LangChain's own `ModelRouterMiddleware`.

    classifier = RouterDecisionModel(router=RouterChain(pool=[...]))
    ModelRouterMiddleware(choices={...}, instructions="...", classifier=classifier)

It needs langchain-core 1.8 or newer, which has decision models. That middleware decides once for a
whole run and checks no answer; `llmroute.middleware.RouterMiddleware` decides every step and checks
answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from llmroute.chain import RouterChain
from llmroute.errors import ConfigurationError
from llmroute.pool import ModelPool
from llmroute.records import Decision, ModelEstimate

try:
    # mypy reads whichever langchain-core is installed; the older ones lack the module.
    from langchain_core.decisions import (  # type: ignore[import-not-found, unused-ignore]
        BaseDecisionModel,
        Choice,
        ChoiceAnswer,
        ClassifierResponse,
        Question,
        State,
    )
except ImportError:
    from langchain_core import __version__ as _core

    raise ConfigurationError(
        "RouterDecisionModel needs langchain-core 1.8 or newer, which has decision models; "
        f"{_core} is installed. Update it with: pip install -U 'langchain-core>=1.8'"
    ) from None

__all__ = ["RouterDecisionModel"]


class RouterDecisionModel(BaseDecisionModel):  # type: ignore[misc, unused-ignore]
    """Answers `Choice` questions about the models of a router's pool; it calls no model.

    The label chosen is the model that the router's policy chooses from the prompt alone. The
    router's escalation is left out, because nobody would check the answer. The question's
    instructions and criteria are not read; what the models are good at comes from the scorer.

    In the answer, `confidence` is the estimated probability (0..1) that the chosen model answers
    well. `probabilities` has for each label the probability that its model is the cheapest one to
    answer well. This assumes that a better model gets right whatever a weaker one does; the
    probability that no model is right is added to the best one's. They sum to 1. The label chosen
    need not be the most probable one: that is up to the policy.

    Args:
        router: The router; its pool has a model for each label.
        model: The name in traces; by default the scorer's.

    Raises:
        ConfigurationError: A question of another kind, or a label that is not in the pool.
        NoEligibleModel: No model among the labels can take the request.
    """

    router: RouterChain
    model: str = ""

    def __init__(self, *, router: RouterChain, **settings: Any) -> None:
        own = router.model_copy(update={"escalation": None})
        settings.setdefault("model", str(own._identifying_params["scorer"]))
        super().__init__(router=own, **settings)

    @property
    def _provider(self) -> str:
        return "llmroute"

    def _classify(self, state: State, questions: dict[str, Question]) -> ClassifierResponse:
        prompt = _prompt_of(state)
        answers = {name: self._answer(name, q, prompt) for name, q in questions.items()}
        return ClassifierResponse(model=self.model, answers=answers)

    def _answer(self, name: str, question: Question, prompt: Any) -> ChoiceAnswer:
        if not isinstance(question, Choice):
            raise ConfigurationError(
                f"The question {name!r} is a {type(question).__name__}. A router chooses between "
                "models: ask it a Choice whose labels are members of its pool."
            )
        decision = self._among(name, list(question.criteria)).decide(prompt)
        estimate = decision.estimates.get(decision.chosen)
        return ChoiceAnswer(
            type="choice",
            choice=decision.chosen,
            probabilities=_cheapest_good(decision, list(question.criteria)),
            confidence=_chance(estimate) if estimate else 0.0,
        )

    def _among(self, name: str, labels: Sequence[str]) -> RouterChain:
        """The router, with the members among the labels for its pool."""
        pool = self.router.pool
        if unknown := [label for label in labels if label not in pool.names]:
            raise ConfigurationError(
                f"The question {name!r} offers {', '.join(map(repr, unknown))}, and the pool has "
                f"{', '.join(map(repr, pool.names))}. Name the choices like the pool's members."
            )
        if len(labels) == len(pool):
            return self.router
        few = ModelPool([member for member in pool if member.name in labels])
        self.router.policy.check(few.names)
        self.router.active_scorer()  # once: the copy shares it
        return self.router.model_copy(update={"pool": few})


def _prompt_of(state: State) -> Any:
    """What of a decision model's input a router reads: text or messages, other state as JSON."""
    if isinstance(state, str):
        return state
    if isinstance(state, BaseMessage):
        return [state]
    if isinstance(state, Sequence) and state and all(isinstance(s, BaseMessage) for s in state):
        return list(state)
    return json.dumps(state, ensure_ascii=False, default=_text_of)


def _text_of(value: Any) -> str:
    return str(value.text) if isinstance(value, BaseMessage) else str(value)


def _chance(estimate: ModelEstimate) -> float:
    # A scorer of one's own may estimate in numbers that are no probabilities.
    return min(max(estimate.quality, 0.0), 1.0)


def _cheapest_good(decision: Decision, labels: Sequence[str]) -> dict[str, float]:
    """How probable it is of each label that its member is the cheapest to answer well."""
    shares = dict.fromkeys(labels, 0.0)
    able = {n: e for n, e in decision.estimates.items() if n not in decision.excluded}
    if not able:  # the scorer failed, and the strongest was chosen without it
        return {**shares, decision.chosen: 1.0}
    costs = {name: estimate.cost for name, estimate in able.items()}
    known = None not in costs.values()
    good = 0.0
    for name in sorted(able, key=lambda n: (costs[n] if known else 0.0, able[n].quality)):
        shares[name] = max(_chance(able[name]) - good, 0.0)
        good += shares[name]
    best = max(able, key=lambda n: able[n].quality)
    shares[best] += 1.0 - good
    return shares
