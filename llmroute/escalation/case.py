"""One request whose answer is looked at: what was said so far, and how to hear more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from llmroute.decision import CheckRecord, Decision, Purpose
from llmroute.errors import UnsupportedParameter
from llmroute.escalation import logprobs, wordings
from llmroute.escalation.wordings import STYLES
from llmroute.flow import Answered, Ask, Step, Talk, Variation
from llmroute.request import Request

if TYPE_CHECKING:
    from llmroute.escalation.agreement import Agreement
    from llmroute.escalation.answers import Answer
    from llmroute.escalation.expecting import Expected


@dataclass(frozen=True)
class Generation:
    """One answer that was heard and not shown.

    Attributes:
        message: The message.
        model: Who said it.
        call: The call it came from.
        value: What the call gave: the message; for structured output raw and parsed.
        style: In what way it was asked; see `wordings.STYLES`.
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

    def accepted(self, *, unchecked: bool = False) -> Answered:
        """The end of the flow with this answer for the user.

        Args:
            unchecked: It failed its check, and nothing better could be had.
        """
        reply = replace(self.call.reply, value=self.value)
        return replace(self.call, reply=reply, unchecked=unchecked)


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


_STYLE_OF = {words: name for name, words in STYLES.items()}


@dataclass
class Case:
    """One request whose answer is looked at.

    Attributes:
        request: The request.
        talk: Its calls and their record.
        agreement: The user's own measure of whether two answers agree, or None.
        arguments: What every answer of this request is asked with beside the request's own.
        latency: Seconds the whole request may take, or None.
    """

    request: Request
    talk: Talk
    agreement: Agreement | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    latency: float | None = None

    def is_late_for(self, model: str) -> bool:
        """Whether one more call of a model leaves too little time for the strongest's answer.

        Models of unknown speed never make it late.

        Args:
            model: The pool member that would be asked.
        """
        if self.latency is None:
            return False
        ahead = seconds(self.talk.decision, model) + seconds(
            self.talk.decision, self.talk.decision.strongest
        )
        return self.talk.elapsed_s + ahead > self.latency

    def hear(
        self,
        model: str,
        purpose: Purpose,
        variation: Variation | None = None,
    ) -> Generator[Step, Any, Generation | Answered]:
        """One answer of a model, hidden; or, where it cannot be had, how the last try ended.

        Args:
            model: The pool member.
            purpose: Why it is asked.
            variation: How the call differs from the request.

        Raises:
            ProviderError: An error that another model would not cure.
        """
        ask = Ask(model, purpose, hidden=True, variation=variation or self._plain(model))
        answered = yield from self.talk.ask(ask)
        if isinstance(answered.reply.error, UnsupportedParameter) and variation is None:
            # It was not known that this model gives no log-probabilities.
            answered = yield from self.talk.ask(replace(ask, attempt=1, variation=Variation()))
        return answered if answered.reply.error is not None else _generations(answered)[0]

    def sample(
        self, model: str, styles: Sequence[str], temperature: float | None
    ) -> Generator[Step, Any, list[Generation]]:
        """Several further answers of a model at once; those that failed are missing.

        Where the provider gives several answers in one call, those of one style share the call,
        so that their prompt is billed once.

        Args:
            model: The pool member.
            styles: The style of each.
            temperature: Their sampling temperature; None for the model's own.
        """
        together = self.talk.pool[model].capabilities.several and self.request.schema is None
        asks = []
        for style, count in Counter(styles).items():
            shares = [count] if together else [1] * count
            asks += [
                Ask(model, "sample", hidden=True, variation=self._sample(style, n, temperature))
                for n in shares
            ]
        answered = yield from self.talk.together(asks)
        return [g for one in answered for g in _generations(one)]

    def check(self, rule: str, model: str, finding: Finding) -> None:
        """Put what a rule found into the record.

        Args:
            rule: Its name.
            model: Whose answer it was.
            finding: What it found.
        """
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
        # What reads answers is imported when the first one is read: a decision needs none of it.
        from llmroute.escalation.expecting import expected

        return expected(self.request)

    def groups(self, generations: Sequence[Generation]) -> tuple[int, ...]:
        """Numbers of the groups of generations that agree; see `agreement.groups`.

        Args:
            generations: Answers to this request.
        """
        from llmroute.escalation.agreement import groups

        answers = [g.message if g.parsed is None else g.parsed for g in generations]
        return groups(answers, self.asked, agreement=self.agreement)

    def final_words(self, generation: Generation) -> str | None:
        """The words of a generation that are its final answer; None where none can be read off.

        Args:
            generation: An answer to this request.
        """
        answer = self._answer(generation)
        return None if answer is None else answer.said

    def _answer(self, generation: Generation) -> Answer | None:
        from llmroute.escalation.answers import answer_of

        given = generation.message if generation.parsed is None else generation.value
        return answer_of(given, self.asked)

    def kind(self, generation: Generation) -> str | None:
        """What kind of answer a generation gives; None where none can be read off.

        Args:
            generation: An answer to this request.
        """
        answer = self._answer(generation)
        return None if answer is None else answer.kind

    def verification(self, draft: Generation) -> Variation:
        """The call in which a model says whether its answer is right.

        Args:
            draft: The answer.
        """
        arguments: dict[str, Any] = {"max_tokens": 5}
        if self.can(draft.model, "logprobs"):
            arguments |= {**logprobs.ARGUMENTS, "top_logprobs": 5}
        messages = wordings.verifying(self.request.messages, draft.message)
        return Variation(arguments, messages=messages, bare=True)

    def peer_of(self, model: str) -> str | None:
        """The cheapest eligible model beside this one and the strongest, or None.

        Args:
            model: The pool member.
        """
        decision = self.talk.decision
        others = [n for n in decision.ranking if n not in (model, decision.strongest)]
        return min(others, key=self._cost, default=None)

    def _cost(self, model: str) -> float:
        estimate = self.talk.decision.estimates.get(model)
        # Of unknown cost: after those whose cost is known.
        return math.inf if estimate is None or estimate.cost is None else estimate.cost

    def can(self, model: str, capability: str) -> bool:
        """Whether a model has a capability, as far as is known.

        Args:
            model: The pool member.
            capability: A field of `llmroute.pool.Capabilities`.
        """
        return getattr(self.talk.pool[model].capabilities, capability) is not False

    def _plain(self, model: str) -> Variation:
        return Variation({} if not self.can(model, "logprobs") else self.arguments)

    def _sample(self, style: str, count: int, temperature: float | None) -> Variation:
        arguments: dict[str, Any] = {"n": count} if count > 1 else {}
        if temperature is not None:
            arguments["temperature"] = temperature
        return Variation(arguments, style=STYLES[style])


def seconds(decision: Decision, model: str) -> float:
    """Seconds a model is expected to take for the whole answer; 0 where that is not known.

    Args:
        decision: Whose estimates are read.
        model: The pool member.
    """
    estimate = decision.estimates.get(model)
    return (estimate.latency if estimate is not None else None) or 0.0


def _generations(answered: Answered) -> list[Generation]:
    ask, values = answered.ask, answered.reply.value
    if not isinstance(values, list):
        values = [values]
    return [
        Generation(
            message=value["raw"] if isinstance(value, dict) else value,
            model=ask.model,
            call=answered,
            value=value,
            style=_STYLE_OF[ask.variation.style],
        )
        for value in values
    ]
