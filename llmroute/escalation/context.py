"""One request whose answer is checked: the answers so far, and how to ask for more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from langchain_core.messages import AIMessage

from llmroute import answers
from llmroute.answers import logprobs
from llmroute.answers.answer_type import Expected, expected
from llmroute.answers.votes import NO_ANSWER
from llmroute.engine.flow import Answered, Ask, Flow, Step, Talk
from llmroute.errors import InvalidRequest, UnsupportedParameter
from llmroute.escalation import prompts
from llmroute.escalation.prompts import STYLES
from llmroute.records import CheckRecord, Decision, Purpose
from llmroute.request.request import Request, Variation
from llmroute.state.router_state import RouterState


@dataclass(frozen=True)
class Generation:
    """One answer of a model that was not shown.

    Attributes:
        message: The message.
        model: The pool member that gave it.
        call: The call it came from.
        value: What the call gave: the message; for structured output raw and parsed.
        style: In what way it was asked; see `prompts.STYLES`.
    """

    message: AIMessage
    model: str
    call: Answered
    value: Any
    style: str = ""

    @property
    def parsed(self) -> Any:
        """What was parsed from it, for structured output; None otherwise."""
        return self.value["parsed"] if isinstance(self.value, dict) else None


@dataclass(frozen=True)
class Finding:
    """What a rule found out about a draft.

    Attributes:
        good: Whether it is good enough.
        reason: Why, in one sentence, without any of the answer's words.
        score: What was compared with the limit, 0..1; None where unknown.
        answer: A better answer than the draft that came up on the way, such as the majority's.
    """

    good: bool
    reason: str
    score: float | None = None
    answer: Generation | None = None


#: Kinds of answer in which no single token decides.
_LONG = frozenset({"prose", "code", "fields", "json", "tools"})
_STYLE_OF = {prompt: name for name, prompt in STYLES.items()}


@dataclass
class DraftContext:
    """One request whose answer is checked.

    Attributes:
        request: The request.
        talk: Its calls and their record.
        agreement: The user's own measure of whether two answers agree, or None.
        arguments: What every answer of this request is asked with beside the request's own.
        latency: Seconds the whole request may take, or None.
        only_known: Evidence is asked of those models only of which it is known that they give it.
        state: What the router has seen so far.
    """

    request: Request
    talk: Talk
    agreement: Callable[[Any, Any], bool] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    latency: float | None = None
    only_known: bool = False
    state: RouterState = field(default_factory=RouterState)

    def is_late_for(self, model: str) -> bool:
        """Whether one more call of a model leaves too little time for the strongest's answer.

        Models of unknown speed never make it late.
        """
        if self.latency is None:
            return False
        decision = self.talk.decision
        ahead = _seconds(decision, model) + _seconds(decision, decision.strongest)
        return self.talk.elapsed_s + ahead > self.latency

    def ask_strongest(self) -> Flow:
        """The strongest model at once, because a draft and it would take too long."""
        decision = self.talk.decision
        reason = f"There was no time for a draft of {decision.chosen}."
        self.check("latency", decision.chosen, Finding(False, reason))
        return (yield from self.talk.until_answered([*stronger(decision), decision.chosen]))

    def ask(
        self, model: str, purpose: Purpose, variation: Variation | None = None
    ) -> Generator[Step, Any, Generation | Answered]:
        """One answer of a model, hidden; or, where it cannot be had, how the last try ended.

        Without a variation evidence is asked for, where the model may give it.
        """
        plain = Variation(self._evidence(model)) if variation is None else variation
        ask = Ask(model, purpose, hidden=True, variation=plain)
        answered = yield from self.talk.ask(ask, lenient=True)
        refused = isinstance(answered.result.error, (UnsupportedParameter, InvalidRequest))
        if refused and variation is None and plain.arguments:
            # It was not known that this model gives no log-probabilities.
            ask = replace(ask, attempt=1, variation=Variation())
            answered = yield from self.talk.ask(ask, lenient=True)
        return answered if answered.result.error is not None else _generations(answered)[0]

    def sample(
        self, model: str, styles: Sequence[str], temperature: float | None
    ) -> Generator[Step, Any, list[Generation]]:
        """Several further answers of a model at once; those that failed are missing.

        Where the provider gives several answers in one call, those of one style share the call,
        so that their prompt is billed once.

        Args:
            model: The pool member.
            styles: The style of each; see `prompts.STYLES`.
            temperature: Of sampling; None for the model's own.
        """
        together = self.talk.pool[model].capabilities.several and self.request.schema is None
        asks = []
        for style, count in Counter(styles).items():
            for n in [count] if together else [1] * count:
                variation = self._sample(model, style, n, temperature)
                asks.append(Ask(model, "sample", hidden=True, variation=variation))
        if len(asks) == 1:
            alone = yield from self.talk.ask(asks[0], lenient=True)
            answered = [alone] if alone.result.error is None else []
        else:
            answered = yield from self.talk.together(asks)
        return [generation for each in answered for generation in _generations(each)]

    def verify(self, draft: Generation) -> Generator[Step, Any, float | None]:
        """The probability that a draft's model calls it right, 0..1; None if that call fails."""
        capabilities = self.talk.pool[draft.model].capabilities
        arguments: dict[str, Any] = {}
        if not capabilities.reasoning:
            # A reasoning model would spend the five on its thoughts, and takes no temperature.
            arguments = {"max_tokens": 5, "temperature": 0}
        if capabilities.logprobs or (capabilities.logprobs is None and not self.only_known):
            arguments |= {**logprobs.ARGUMENTS, "top_logprobs": 5}
        messages = prompts.verifying(self.request.messages, draft.message)
        variation = Variation(arguments, messages=messages, bare=True)
        answered = yield from self.ask(draft.model, "verify", variation)
        return (
            logprobs.yes_probability(answered.message) if isinstance(answered, Generation) else None
        )

    def check(self, rule: str, model: str, finding: Finding) -> None:
        """Put into the record what a rule found in a model's answer."""
        self.talk.checks.append(
            CheckRecord(
                rule=rule,
                model=model,
                passed=finding.good,
                score=None if finding.score is None else round(finding.score, 6),
                reason=finding.reason,
            )
        )

    @cached_property
    def asked(self) -> Expected:
        """What kind of answer the request asks for."""
        return expected(self.request)

    def groups(self, generations: Sequence[Generation]) -> tuple[int, ...]:
        """Numbers of the groups of answers to this request that agree; see `equivalence.groups`."""
        outputs = [g.message if g.parsed is None else g.parsed for g in generations]
        return answers.groups(outputs, self.asked, agreement=self.agreement)

    def form(self, generation: Generation) -> str | None:
        """What kind of answer a generation gives; None where none can be read."""
        answer = answers.answer_of(self._output(generation), self.asked)
        return None if answer is None else answer.kind

    def confidence(
        self, generation: Generation, of: Literal["probability", "margin", "mean", "min"]
    ) -> float | None:
        """How confident a model was of an answer, 0..1; None without log-probabilities.

        Args:
            generation: The answer.
            of: Its decisive token's probability or margin, or, for prose, code, JSON and tool
                calls, of which no single token decides, the mean; or all tokens' mean or least.
        """
        tokens = logprobs.tokens_of(generation.message)
        if of == "min":
            return logprobs.lowest_probability(tokens)
        answer = None if of == "mean" else answers.answer_of(self._output(generation), self.asked)
        if of == "mean" or (answer is not None and answer.kind in _LONG):
            return logprobs.mean_probability(tokens)
        token = logprobs.decisive(tokens, None if answer is None else answer.text)
        if token is None:
            return None
        return token.margin if of == "margin" else token.probability

    def _output(self, generation: Generation) -> Any:
        return generation.message if generation.parsed is None else generation.value

    def second_model(self, model: str) -> str | None:
        """The cheapest eligible model beside this one and the strongest, or None."""
        decision = self.talk.decision
        others = [n for n in decision.ranking if n not in (model, decision.strongest)]
        return min(others, key=self._cost, default=None)

    def _cost(self, model: str) -> float:
        estimate = self.talk.decision.estimates.get(model)
        # Of unknown cost: after those whose cost is known.
        return math.inf if estimate is None or estimate.cost is None else estimate.cost

    def accept(
        self, generation: Generation, *, unchecked: bool = False, escalated: bool = False
    ) -> Answered:
        """The end of the flow with an answer for the user; marks as in `flow.Answered`."""
        value = generation.value
        if not self.request.arguments.get("logprobs"):
            value = _without_logprobs(value)
        call = generation.call
        result = replace(call.result, value=value)
        return replace(call, result=result, unchecked=unchecked, escalated=escalated)

    def _evidence(self, model: str) -> dict[str, Any]:
        """The arguments for evidence that a model can give, and that the caller did not set."""
        known = self.talk.pool[model].capabilities.logprobs
        if known is False or (known is None and self.only_known):
            return {}
        own = self.request.arguments
        return {name: value for name, value in self.arguments.items() if name not in own}

    def _sample(self, model: str, style: str, count: int, temperature: float | None) -> Variation:
        arguments = self._evidence(model)
        if count > 1:
            arguments["n"] = count
        # Reasoning models take no temperature.
        if temperature is not None and not self.talk.pool[model].capabilities.reasoning:
            arguments["temperature"] = temperature
        # In a tool loop the last words are a tool's.
        return Variation(arguments, style="" if self.request.in_tool_loop else STYLES[style])


def stronger(decision: Decision) -> list[str]:
    """The models to ask when the chosen one's answer was rejected: the strongest, then the rest.

    Only those expected to answer better than the chosen one; those that cool down after
    failures come last.
    """
    quality = {name: estimate.quality for name, estimate in decision.estimates.items()}
    least = quality.get(decision.chosen, 0.0)
    others = [
        name
        for name in decision.ranking
        if name not in (decision.chosen, decision.strongest) and quality.get(name, 0.0) > least
    ]
    better = [decision.strongest, *sorted(others, key=lambda name: -quality[name])]
    return sorted(better, key=lambda name: name in decision.excluded)


def _without_logprobs(value: Any) -> Any:
    """An answer without log-probabilities, which the user did not ask for."""
    if isinstance(value, dict):
        return {**value, "raw": _without_logprobs(value["raw"])}
    metadata = {k: v for k, v in value.response_metadata.items() if k != "logprobs"}
    return value.model_copy(update={"response_metadata": metadata})


def _seconds(decision: Decision, model: str) -> float:
    """Seconds a model is expected to take for the whole answer; 0 where that is not known."""
    estimate = decision.estimates.get(model)
    return (estimate.latency if estimate is not None else None) or 0.0


def _generations(answered: Answered) -> list[Generation]:
    ask, values = answered.ask, answered.result.value
    return [
        Generation(
            message=value["raw"] if isinstance(value, dict) else value,
            model=ask.model,
            call=answered,
            value=value,
            style=_STYLE_OF[ask.variation.style],
        )
        for value in (values if isinstance(values, list) else [values])
    ]


def representative(generations: Sequence[Generation], groups: Sequence[int]) -> Generation:
    """A generation of the largest group, in the user's own way of asking where there is one.

    Where no answer could be read, it is the first, the draft.
    """
    counts = Counter(group for group in groups if group != NO_ANSWER)
    if not counts:
        return generations[0]
    winner, _ = counts.most_common(1)[0]
    of_winner = [g for g, group in zip(generations, groups, strict=True) if group == winner]
    return next((g for g in of_winner if not g.style), of_winner[0])
