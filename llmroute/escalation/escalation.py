"""What checks a model's answer before the user sees it: `"auto"`, or a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator

from llmroute.answers.answer_type import expected
from llmroute.engine.flow import Checking, Flow, Talk
from llmroute.errors import AllModelsFailed, ProviderError
from llmroute.escalation.auto import AutoEscalation
from llmroute.escalation.context import DraftContext, Generation, stronger
from llmroute.escalation.request_plan import RequestPlanner
from llmroute.escalation.rules import Rule, rule_of
from llmroute.numerics import Bools
from llmroute.policies import Policy
from llmroute.pool import ModelPool
from llmroute.records import Decision, Estimates
from llmroute.request.request import Request
from llmroute.state.router_state import RouterState
from llmroute.validation import Frozen, readable_errors

#: The rule that plans every call.
AUTO = "auto"


class Escalation(Frozen):
    """When and how a model's answer is checked before the user sees it.

        RouterChain(pool=pool, escalation=Escalation(Margin(below=0.2), keep=False))

    A rule alone in its place is taken with the defaults.

    Args:
        rule: When an answer is good enough: a rule, or a function from the answer to whether to
            escalate; or `"auto"`, which plans every call by what it is expected to gain and cost.
        keep: When no stronger model can be had, return the rejected answer, marked `unchecked` in
            the record; otherwise raise.
        agreement: Whether two answers mean the same; takes two messages (or two parsed values).
            By default final answers are compared, and free text by meaning.
        latency: Seconds the whole request may take. Where a draft and the strongest model after it
            are not expected to fit in, the strongest model is asked at once; where further
            evidence would not fit, it is not gathered and the draft counts as rejected.
        buys: For `"auto"`: what further evidence it may buy of an answer beside other models'
            answers: verification calls, further samples, both or neither.
        calibration: For `"auto"`: a file made by `llmroute calibrate`, with what your own recorded
            answers say of evidence and success. Without it rounded general numbers serve.

    Raises:
        ConfigurationError: A rule that is none, or a calibration that cannot be read.
    """

    rule: Any
    keep: bool = True
    buys: tuple[Literal["verify", "sample"], ...] = ("verify", "sample")
    agreement: Callable[[Any, Any], bool] | None = Field(default=None, repr=False)
    latency: float | None = Field(default=None, gt=0)
    calibration: str | None = None

    def __init__(self, rule: Rule | Callable[..., bool] | Literal["auto"], **settings: Any) -> None:
        with readable_errors("Escalation"):
            super().__init__(**{"rule": rule, **settings})

    @field_validator("rule", mode="before")
    @classmethod
    def _is_a_rule(cls, rule: Any) -> Any:
        return rule if rule == AUTO else rule_of(rule)

    @cached_property
    def request_planner(self) -> RequestPlanner:
        """Makes the plans of `"auto"`; a calibration is read at first use, or by `check`."""
        return RequestPlanner(self.calibration, self.buys)

    @property
    def is_auto(self) -> bool:
        """Whether calls are planned, and no rule is followed."""
        return bool(self.rule == AUTO)

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError when the rule cannot work with these models."""
        if self.is_auto:
            _ = self.request_planner  # reads the calibration
        else:
            self.rule.check(models)

    def to_record(self) -> dict[str, Any]:
        """The rule's name and numbers, as they stand in a Decision."""
        if self.is_auto:
            return {"name": AUTO} | ({"calibration": self.calibration} if self.calibration else {})
        record: dict[str, Any] = self.rule.to_record()
        return record

    def begin(
        self,
        policy: Policy,
        estimates: Estimates,
        allowed: Bools,
        strongest: int,
        pool: ModelPool,
        request: Request,
        state: RouterState,
    ) -> FirstCall:
        """Which model is asked first, and whether its answer is checked.

        With a rule the policy chooses. `"auto"` chooses by what follows, too, where the policy
        gives a value of a good answer, and costs are known.

        Args:
            policy: The policy.
            estimates: Of one prompt.
            allowed: (1, M) which models can be asked.
            strongest: Column of the strongest model.
            pool: The models.
            request: The request.
            state: What the router has seen so far.
        """
        plan = None
        if self.is_auto:
            form = _form(request, pool)
            plan = self.request_planner.of_estimates(policy, estimates, allowed, pool, form)
        if plan is None:
            chosen = int(policy.choose_next(estimates, allowed, state)[0])
            is_due = not self.is_auto and chosen != strongest
            return FirstCall(chosen, policy.why(estimates, 0, allowed, chosen), is_due)
        chosen, quality, cost, checks = plan.first_call()
        is_due = chosen != strongest and checks
        if not is_due and chosen == int(policy.choose_next(estimates, allowed, state)[0]):
            return FirstCall(chosen, policy.why(estimates, 0, allowed, chosen), False)
        then = "and is looked at" if is_due else "and its answer is taken as it comes"
        reason = (
            f"{pool.names[chosen]} is asked first {then}: that is the best plan, with an expected "
            f"quality of {quality:.3f} at {cost:.2g} USD."
        )
        return FirstCall(chosen, reason, is_due)

    def of(
        self,
        request: Request,
        decision: Decision,
        policy: Policy,
        pool: ModelPool,
        state: RouterState,
    ) -> Checking:
        """The check of one request's answer, once it was decided which model is asked first."""
        limits = (self.latency, request.overrides.latency)
        latency = min((limit for limit in limits if limit is not None), default=None)
        if not self.is_auto:
            return _RuleEscalation(self, request, latency, state)
        plan = self.request_planner.of_decision(policy, decision, pool, _form(request, pool))
        return AutoEscalation(plan, request, state, self.keep, self.agreement, latency)


def _form(request: Request, pool: ModelPool) -> str | None:
    """The form of answer; two models are compared by it only where a third may follow."""
    return expected(request).kind if len(pool) > 2 else None


class FirstCall(NamedTuple):
    """The first call of a request.

    Attributes:
        chosen: Column of the model.
        reason: Why, in one sentence.
        is_due: Whether its answer is checked before the user sees it.
    """

    chosen: int
    reason: str
    is_due: bool


@dataclass(frozen=True)
class _RuleEscalation:
    escalation: Escalation
    request: Request
    latency: float | None
    state: RouterState

    def run(self, talk: Talk) -> Flow:
        decision, rule = talk.decision, self.escalation.rule
        context = DraftContext(
            self.request,
            talk,
            self.escalation.agreement,
            rule.arguments,
            self.latency,
            state=self.state,
        )
        if context.is_late_for(decision.chosen):
            return (yield from context.ask_strongest())
        draft = yield from context.ask(decision.chosen, "draft")
        if not isinstance(draft, Generation):
            return (yield from talk.fall_back(draft))
        finding = yield from rule.examine(draft, context)
        best: Generation = finding.answer or draft
        if finding.good:
            return context.accept(best)
        try:
            answered = yield from talk.until_answered(stronger(decision))
        except (ProviderError, AllModelsFailed):
            if not self.escalation.keep:
                raise
            return context.accept(best, unchecked=True)
        return replace(answered, escalated=True)


def escalation_of(given: Any) -> Escalation:
    """What a router does with its models' answers, from what its user wrote.

    Args:
        given: An `Escalation`, `"auto"`, a rule, or a function from the answer to whether to
            escalate.

    Raises:
        ConfigurationError: It is none of these.
    """
    return given if isinstance(given, Escalation) else Escalation(given)
