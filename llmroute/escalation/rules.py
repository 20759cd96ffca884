"""Rules: when a draft is good enough. Each is a frozen value; `|` and `&` put them together.

A rule is a generator like the flow: it yields the calls it needs, is sent what came of them, and
ends in a `Finding`. `a | b` escalates when either wants to, `a & b` only when both do; the second
is not asked when the first has settled it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from llmroute.answers import logprobs
from llmroute.answers.votes import NO_ANSWER, lead_probability, leaders
from llmroute.engine.flow import Step
from llmroute.errors import ConfigurationError
from llmroute.escalation import prompts
from llmroute.escalation.context import DraftContext, Finding, Generation, representative
from llmroute.request.request import Variation
from llmroute.validation import Frozen, readable_errors

Examination = Generator[Step, Any, Finding]


class Rule(Frozen, ABC):
    """When a draft is good enough. Subclass it for a rule of your own."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def __init__(self, **settings: Any) -> None:
        with readable_errors(type(self).__name__):
            super().__init__(**settings)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the draft has to be asked with, for the rule to have its evidence."""
        return {}

    @abstractmethod
    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Look at a draft, asking further where that helps.

        Args:
            draft: The answer that waits.
            context: The request, and how to ask for more.

        Yields:
            Calls, through `context`.

        Returns:
            What was found.
        """

    def to_record(self) -> dict[str, Any]:
        """The rule's name and numbers, as they stand in a Decision."""
        return {"name": type(self).__name__, **self.model_dump(mode="json", exclude_none=True)}

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError when the rule cannot work with these models."""

    def __or__(self, other: Rule | Callable[..., bool]) -> Rule:
        """Escalate when this rule or the other wants to."""
        return Either(rules=(self, rule_of(other)))

    def __and__(self, other: Rule | Callable[..., bool]) -> Rule:
        """Escalate when this rule and the other want to."""
        return Both(rules=(self, rule_of(other)))

    def _found(
        self, context: DraftContext, draft: Generation, good: bool, reason: str, **more: Any
    ) -> Finding:
        finding = Finding(good, reason, **more)
        context.check(type(self).__name__, draft.model, finding)
        return finding


class Margin(Rule):
    """The model is unsure of the token that decides (two-tier selection, arXiv 2405.02134).

    It reads the log-probabilities of the draft, which cost nothing. A model whose provider gives
    none is not checked by it: the draft passes, and the record says so.

    Args:
        below: Escalate below this, 0..1.
        of: What is compared: `"margin"`, the first token of the final answer, its probability
            minus the next likeliest token's, or, for prose, code, JSON and tool calls, the mean;
            `"mean"`, the geometric mean of all tokens' probabilities; `"min"`, the least of them.
    """

    below: float = Field(ge=0, le=1)
    of: Literal["margin", "mean", "min"] = "margin"

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Log-probabilities."""
        return logprobs.ARGUMENTS

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Compare the draft's certainty with the limit; no further call is made."""
        score = context.confidence(draft, self.of)
        if score is None:
            reason = f"{draft.model} gave no log-probabilities, so its certainty is unknown."
            return self._found(context, draft, True, reason)
        good = score >= self.below
        relation = "reaches" if good else "is below"
        reason = f"Certainty ({self.of}) {score:.3f} {relation} {self.below:g}."
        return self._found(context, draft, good, reason, score=score)
        yield  # makes this a generator, as all rules are


class StrongShare(Rule):
    """A share of the traffic goes to the strong model: the answers that are least certain.

    The threshold is the running quantile of the certainties that the router has seen (two-tier
    selection, arXiv 2405.02134).

    Args:
        share: Part of the drafts that may be escalated, 0..1.
        of: What is compared; see `Margin`.
    """

    share: float = Field(ge=0, le=1)
    of: Literal["margin", "mean", "min"] = "margin"

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Log-probabilities."""
        return logprobs.ARGUMENTS

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Compare the draft's certainty with those seen before; no further call is made."""
        score = context.confidence(draft, self.of)
        if score is None:
            reason = f"{draft.model} gave no log-probabilities, so its certainty is unknown."
            return self._found(context, draft, True, reason)
        quantile = context.state.quantile(f"{type(self).__name__} {self.of}", self.share)
        good = not quantile.escalate(1 - score)
        place = "not among" if good else "among"
        reason = f"Certainty ({self.of}) {score:.3f} is {place} the least {self.share:.0%} of late."
        return self._found(context, draft, good, reason, score=score)
        yield  # makes this a generator, as all rules are


class Disagreement(Rule):
    """The weak model's generations do not agree (cascades by disagreement, arXiv 2310.03094).

    The draft is the first of k generations. Further ones are asked one after the other and only
    until the vote is decided, or all at once where time counts more than money. The answer that
    most agree on is the one that is returned.

    Args:
        samples: Generations in all, the draft among them, 2 or more.
        agree: The share of them that must agree, above 0..1.
        temperature: Sampling temperature of the further ones; None leaves it to the model.
        styles: Ways to ask, in turn: `""` as the user did, `"steps"` step by step, `"program"` by
            writing a program. Mixing them finds more mistakes than one alone.
        sure: Stop sampling early when the leading answer would win against the second with this
            probability, were there no end of samples (adaptive consistency, arXiv 2305.11860);
            1 stops only when no further sample could change the outcome.
        together: Ask all further samples at once.
    """

    samples: int = Field(default=3, ge=2, le=64)
    agree: float = Field(default=0.6, gt=0, le=1)
    temperature: float | None = Field(default=0.7, ge=0)
    styles: tuple[str, ...] = ("",)
    sure: float = Field(default=1.0, gt=0.5, le=1)
    together: bool = False

    @field_validator("styles")
    @classmethod
    def _known_styles(cls, styles: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [style for style in styles if style not in prompts.STYLES]
        if unknown or not styles:
            raise ConfigurationError(
                f"styles are some of {', '.join(map(repr, prompts.STYLES))}; "
                f"{', '.join(map(repr, unknown)) or 'none'} was given."
            )
        return styles

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Sample until the vote is decided."""
        observed, asked = [draft], 1
        while not self._settled(context.groups(observed), asked):
            if context.is_late_for(draft.model):
                return self._found(context, draft, False, "There was no time for more answers.")
            count = self.samples - asked if self.together else 1
            styles = [self.styles[(asked + i) % len(self.styles)] for i in range(count)]
            observed += yield from context.sample(draft.model, styles, self.temperature)
            asked += count
        return self._finding(draft, observed, context)

    def _settled(self, groups: Sequence[int], asked: int) -> bool:
        left = self.samples - asked
        if left == 0:
            return True
        leading, second = leaders(groups)
        if not self.together and leading >= self._enough:
            return True
        if leading + left < self._enough:
            return True
        return asked > 1 and self.sure < 1 and lead_probability(leading, second) >= self.sure

    @property
    def _enough(self) -> int:
        return max(math.ceil(self.agree * self.samples - 1e-9), 2)

    def _finding(
        self, draft: Generation, observed: list[Generation], context: DraftContext
    ) -> Finding:
        if len(observed) == 1:
            reason = f"No second answer of {draft.model} could be had."
            return self._found(context, draft, False, reason)
        groups = list(context.groups(observed))
        leading, second = leaders(groups)
        share = leading / len(observed)
        early = self.sure < 1 and lead_probability(leading, second) >= self.sure
        good = leading >= self._enough or (early and share >= self.agree)
        reason = f"{leading} of {len(observed)} answers of {draft.model} agree; {self._enough} of "
        reason += f"{self.samples} are asked for."
        voted = representative(observed, groups)
        return self._found(context, draft, good, reason, score=share, answer=voted)


class CrossModel(Rule):
    """Two cheap models differ: agreement of models is stronger than that of one model's samples.

    Args:
        model: The second model; by default the cheapest eligible one beside the draft's and the
            strongest.
    """

    model: str | None = None

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError unless there is a second model."""
        if self.model is not None and self.model not in models:
            raise ConfigurationError(f"CrossModel names {self.model!r}, which is not in the pool.")
        if self.model is None and len(models) < 3:
            raise ConfigurationError(
                f"CrossModel compares two cheap models before a stronger one is asked, and the "
                f"pool has {len(models)}. Add a third, or use Disagreement(samples=3)."
            )

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Ask the second model, and compare."""
        other = self.model or context.second_model(draft.model)
        decision = context.talk.decision
        if other not in decision.ranking or other in (draft.model, decision.strongest):
            reason = "There is no second cheap model to compare with that can take the request."
            return self._found(context, draft, False, reason)
        if context.is_late_for(other):
            return self._found(context, draft, False, "There was no time for a second model.")
        second = yield from context.ask(other, "draft")
        if not isinstance(second, Generation):
            return self._found(context, draft, False, f"{other} gave no answer to compare with.")
        first_group, second_group = context.groups([draft, second])
        good = first_group == second_group != NO_ANSWER
        verb = "agree" if good else "differ"
        return self._found(context, draft, good, f"{draft.model} and {other} {verb}.")


class SelfVerify(Rule):
    """The model itself doubts its answer, asked once: "is it correct?" (AutoMix, arXiv 2310.12963).

    The probability of "yes" is read off its token where the provider gives log-probabilities,
    otherwise off the word. The call costs the prompt once more.

    Args:
        below: Escalate below this probability of yes, 0..1.
    """

    below: float = Field(default=0.5, ge=0, le=1)

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Ask the question."""
        if context.is_late_for(draft.model):
            return self._found(context, draft, False, "There was no time for a verification.")
        yes = yield from context.verify(draft)
        if yes is None:
            reason = f"{draft.model} did not say whether its answer is right."
            return self._found(context, draft, False, reason)
        good = yes >= self.below
        relation = "reaches" if good else "is below"
        reason = f"{draft.model} calls its answer right with {yes:.3f}, which {relation} "
        reason += f"{self.below:g}."
        return self._found(context, draft, good, reason, score=yes)


class Refine(Rule):
    """A rung between weak and strong: the model criticises and rewrites its draft first.

    A draft that fails the check is rewritten by the same model (self-refinement, arXiv 2310.07611),
    and the rewritten one is checked again; only then the stronger model is asked.

    Args:
        check: When an answer is good enough.
    """

    check_with: Any = Field(alias="check")

    def __init__(self, check: Rule | Callable[..., bool], **settings: Any) -> None:
        super().__init__(**{"check": rule_of(check), **settings})

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The check's."""
        arguments: Mapping[str, Any] = self.check_with.arguments
        return arguments

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError when the check cannot work with these models."""
        self.check_with.check(models)

    def to_record(self) -> dict[str, Any]:
        """The rule and its check."""
        return {"name": "Refine", "check": self.check_with.to_record()}

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Check, rewrite, check again."""
        finding: Finding = yield from self.check_with.examine(draft, context)
        if finding.good or context.is_late_for(draft.model):
            return finding
        messages = prompts.refining(context.request.messages, draft.message)
        has_logprobs = context.talk.pool[draft.model].capabilities.logprobs is not False
        arguments = context.arguments if has_logprobs else {}
        rewritten = yield from context.ask(
            draft.model, "refine", Variation(arguments, messages=messages)
        )
        if not isinstance(rewritten, Generation):
            return self._found(context, draft, False, f"{draft.model} did not rewrite its answer.")
        again = yield from self.check_with.examine(rewritten, context)
        return Finding(again.good, again.reason, again.score, again.answer or rewritten)


class Either(Rule):
    """Escalate when one of the rules wants to; the later ones are not asked then."""

    rules: tuple[Any, ...]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """All rules'."""
        return {name: value for rule in self.rules for name, value in rule.arguments.items()}

    def check(self, models: tuple[str, ...]) -> None:
        """Raise ConfigurationError when one of them cannot work with these models."""
        for rule in self.rules:
            rule.check(models)

    def to_record(self) -> dict[str, Any]:
        """The rules."""
        return {"name": type(self).__name__, "rules": [rule.to_record() for rule in self.rules]}

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """One rule after the other, until one of them rejects the answer."""
        return (yield from self._until(False, draft, context))

    def _until(self, good: bool, draft: Generation, context: DraftContext) -> Examination:
        best = draft
        for rule in self.rules:
            finding: Finding = yield from rule.examine(best, context)
            best = finding.answer or best
            if finding.good == good:
                break
        return Finding(finding.good, finding.reason, finding.score, best)


class Both(Either):
    """Escalate only when all of the rules want to; the later ones are not asked otherwise."""

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """One rule after the other, until one of them accepts the answer."""
        return (yield from self._until(True, draft, context))


class FunctionRule(Rule):
    """A plain function decides.

    Args:
        function: Takes the answer (an `AIMessage`, or what was parsed for structured output) and
            says whether to escalate.
    """

    function: Callable[[Any], bool]

    def to_record(self) -> dict[str, Any]:
        """The function's name."""
        return {"name": getattr(self.function, "__name__", type(self.function).__name__)}

    def examine(self, draft: Generation, context: DraftContext) -> Examination:
        """Ask the function; no further call is made."""
        answer = draft.message if draft.parsed is None else draft.parsed
        name = self.to_record()["name"]
        good = not self.function(answer)
        finding = Finding(good, f"{name} says that it is {'' if good else 'not '}good enough.")
        context.check(name, draft.model, finding)
        return finding
        yield


def rule_of(given: Rule | Callable[..., bool]) -> Rule:
    """A rule, from a rule or a plain function.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(given, Rule):
        return given
    if callable(given):
        return FunctionRule(function=given)
    raise ConfigurationError(
        "an escalation rule is Margin, Disagreement, CrossModel, SelfVerify, Refine, several of "
        "them joined by | and &, or a function from the answer to whether to escalate; "
        f"a {type(given).__name__} was given."
    )
