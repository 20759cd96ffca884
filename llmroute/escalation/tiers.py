"""Two tiers: a draft of the chosen model, a rule that looks at it, and a stronger model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from llmroute.decision import Decision
from llmroute.errors import AllModelsFailed, ProviderError
from llmroute.escalation.case import Case, Generation
from llmroute.escalation.rules import Rule, rule_of
from llmroute.flow import Checking, Flow, Talk
from llmroute.pool import ModelPool
from llmroute.request import Request
from llmroute.validation import Frozen


class Escalation(Frozen):
    """When and how a model's answer is looked at before the user sees it.

        RouterChain(pool=pool, escalation=Escalation(Margin(below=0.2), keep=False))

    A rule alone in its place is taken with the defaults.

    Args:
        rule: When an answer is good enough: a rule, or a function from the answer to whether to
            escalate.
        keep: When no stronger model can be had, return the rejected answer, marked `unchecked` in
            the record; otherwise raise.
        agreement: Whether two answers mean the same; takes two messages (or two parsed values).
            By default final answers are compared, and free text by meaning.
        latency: Seconds the whole request may take. Where a draft and the strongest model after it
            are not expected to fit in, the strongest model is asked at once; where further
            evidence would not fit, it is not gathered and the draft counts as rejected.
    """

    rule: Any
    keep: bool = True
    agreement: Callable[[Any, Any], bool] | None = Field(default=None, repr=False)
    latency: float | None = Field(default=None, gt=0)

    def __init__(self, rule: Rule | Callable[..., bool], **settings: Any) -> None:
        super().__init__(**{"rule": rule, **settings})

    @field_validator("rule", mode="before")
    @classmethod
    def _is_a_rule(cls, rule: Any) -> Rule:
        return rule_of(rule)

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError when the rule cannot work with these models."""
        self.rule.check(models)

    def due(self, chosen: str, strongest: str) -> bool:
        """Whether a chosen model's answer is looked at: not if there is no stronger one.

        Args:
            chosen: The model the policy chose.
            strongest: The eligible model of the best standing.
        """
        return chosen != strongest

    def to_record(self) -> dict[str, Any]:
        """The rule's name and numbers, as they stand in a Decision."""
        record: dict[str, Any] = self.rule.to_record()
        return record

    def of(self, request: Request, decision: Decision, pool: ModelPool) -> Checking:
        """The check of one request's answer.

        Args:
            request: The request.
            decision: Which model was chosen.
            pool: The models.
        """
        return _TwoTiers(self, request)


@dataclass(frozen=True)
class _TwoTiers:
    escalation: Escalation
    request: Request

    def run(self, talk: Talk) -> Flow:
        decision, rule = talk.decision, self.escalation.rule
        case = Case(
            self.request, talk, self.escalation.agreement, rule.arguments, self.escalation.latency
        )
        if case.is_late_for(decision.chosen):
            return (yield from talk.until_answered(_above(decision)))
        draft = yield from case.hear(decision.chosen, "draft")
        if not isinstance(draft, Generation):
            return (yield from _stand_ins(talk, draft.reply.error))
        finding = yield from rule.examine(draft, case)
        best: Generation = finding.answer or draft
        if finding.good:
            return best.accepted()
        try:
            return (yield from talk.until_answered(_above(decision)))
        except (ProviderError, AllModelsFailed):
            if not self.escalation.keep:
                raise
            return best.accepted(unchecked=True)


def _above(decision: Decision) -> list[str]:
    """The models to ask when the chosen one's answer was rejected: the strongest, then the rest.

    Only those expected to answer better than the chosen one.
    """
    quality = {name: estimate.quality for name, estimate in decision.estimates.items()}
    least = quality.get(decision.chosen, 0.0)
    others = [
        name
        for name in decision.ranking
        if name not in (decision.chosen, decision.strongest) and quality.get(name, 0.0) > least
    ]
    return [decision.strongest, *sorted(others, key=lambda name: -quality[name])]


def _stand_ins(talk: Talk, error: ProviderError | None) -> Flow:
    """The models that come after one that failed."""
    others = talk.decision.ranking[1:]
    if not others:
        assert error is not None
        error.calls = tuple(talk.calls)
        raise error
    return (yield from talk.until_answered(others, "fallback"))


def escalation_of(given: Any) -> Escalation:
    """What a router does with its models' answers, from what its user wrote.

    Args:
        given: An `Escalation`, a rule, or a function from the answer to whether to escalate.

    Raises:
        ConfigurationError: It is none of these.
    """
    return given if isinstance(given, Escalation) else Escalation(given)
