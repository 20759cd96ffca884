"""`escalation="auto"`: which model to ask, what evidence to buy, and when to stop, as one choice.

The scorer's estimates are what is believed before anything is heard; each answer heard is evidence;
the judge makes both into probabilities, and the planner goes on as long as a further call is worth
its cost (cascade routing, arXiv 2410.10347).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llmroute.answers import logprobs
from llmroute.answers.votes import NO_ANSWER, Vote
from llmroute.engine.flow import Answered, Ask, Flow, Talk
from llmroute.engine.flow import Step as Call
from llmroute.errors import AllModelsFailed, ProviderError
from llmroute.escalation.belief import Belief
from llmroute.escalation.context import Case, Finding, Generation
from llmroute.escalation.next_call import Plan, Step
from llmroute.escalation.request_plan import SAMPLES, Outlook
from llmroute.escalation.stronger import no_time
from llmroute.request.request import Request
from llmroute.state.confidence_ranks import ConfidenceRanks
from llmroute.state.router_state import RouterState

#: Temperature of further samples.
_TEMPERATURE = 0.7


@dataclass
class Planned:
    """One request, asked by judge and planner.

    Attributes:
        outlook: What is believed before the first call.
        request: The request.
        state: What the router has seen so far.
        keep: Return the best answer in hand when no stronger model can be had.
        agreement: The user's own measure of whether two answers agree, or None.
        latency: Seconds the whole request may take, or None.
    """

    outlook: Outlook
    request: Request
    state: RouterState
    keep: bool = True
    agreement: Any = None
    latency: float | None = None
    _failed: set[int] = field(default_factory=set)
    _bought: set[tuple[str, int]] = field(default_factory=set)

    def run(self, talk: Talk) -> Flow:
        """Ask through `talk` until the planner stops.

        Args:
            talk: The calls of the request.
        """
        case = Case(
            self.request,
            talk,
            self.agreement,
            logprobs.ARGUMENTS,
            self.latency,
            only_known=True,
            state=self.state,
        )
        hearing = _Hearing(case)
        if case.is_late_for(talk.decision.chosen):
            return (yield from no_time(case))
        step = Step("ask", hearing.column(talk.decision.chosen), 0.0)
        while True:
            answer = yield from self._take(step, hearing)
            if answer is not None:
                return answer
            belief = self._belief(hearing)
            step = self._next(belief, hearing)
            self._note(step, belief, hearing)
            if step.kind == "stop":
                return self._stopped(step, belief, hearing)

    def _take(self, step: Step, hearing: _Hearing) -> Generator[Call, Any, Answered | None]:
        """Make one step; the end of the flow where it ends it."""
        case, name = hearing.case, hearing.names[step.model]
        self._bought.add((step.kind, step.model))
        if step.kind == "verify":
            yield from hearing.verify(name)
            self._remember(step, hearing)
        elif step.kind == "sample":
            yield from hearing.sample(name)
        elif hearing.generations and self._is_last(step, hearing):
            return (yield from self._end(step, hearing))
        else:
            heard = yield from case.hear(name, "draft")
            if isinstance(heard, Generation):
                hearing.generations.append(heard)
                self._remember(step, hearing)
            elif not hearing.generations:
                return (yield from case.talk.fall_back(heard))
            else:
                self._failed.add(step.model)
        return None

    def _remember(self, step: Step, hearing: _Hearing) -> None:
        """What a model's confidences are worth shows beside those that it gave before."""
        votes = hearing.votes()
        vote = next(v for v in reversed(votes) if v.model == step.model)
        if step.kind == "verify":
            vote = replace(vote, confidence=math.nan)
        self.outlook.judge.note(vote, hearing.form, self._ranks(hearing))

    def _end(self, step: Step, hearing: _Hearing) -> Generator[Call, Any, Answered | None]:
        """A model whose answer is the user's whatever it says; it may stream."""
        ask = Ask(hearing.names[step.model], "answer")
        answered = yield from hearing.case.talk.ask(ask, lenient=True)
        if answered.result.error is None:
            return replace(answered, escalated=True)
        self._failed.add(step.model)
        return None

    def _stopped(self, step: Step, belief: Belief, hearing: _Hearing) -> Answered:
        """The best answer in hand; marked where a model that failed was wanted."""
        talk = hearing.case.talk
        unchecked = bool(self._failed) and (
            self._next(belief, hearing, also_failed=True).kind != "stop"
        )
        if unchecked and not self.keep:
            failed = [call for call in talk.calls if call.status != "ok"]
            last = ProviderError(failed[-1].error or "it failed", model=failed[-1].model)
            raise AllModelsFailed(talk.calls, last)
        best = hearing.returned(belief, step)
        first = next(g for g in hearing.generations if g.model == talk.decision.chosen)
        agree = hearing.case.groups([first, best])
        return hearing.case.accept(
            best, unchecked=unchecked, escalated=first is not best and agree[0] != agree[1]
        )

    def _belief(self, hearing: _Hearing) -> Belief:
        outlook = self.outlook
        return outlook.judge.belief(
            outlook.prior, hearing.votes(), hearing.form, self._ranks(hearing)
        )

    def _ranks(self, hearing: _Hearing) -> ConfidenceRanks:
        return self.state.confidence_ranks(hearing.names)

    def _next(self, belief: Belief, hearing: _Hearing, *, also_failed: bool = False) -> Step:
        outlook, talk = self.outlook, hearing.case.talk
        spent = sum(call.cost_usd or 0.0 for call in talk.calls)
        may = [
            m
            for m in outlook.allowed
            if (also_failed or m not in self._failed)
            and (hearing.names[m] == talk.decision.strongest or not hearing.is_late_for(m))
        ]
        prices = replace(
            outlook.prices,
            verify=self._without_bought(outlook.prices.verify),
            sample=self._without_bought(outlook.prices.sample),
        )
        plan = Plan(belief, prices, models=may, limit=outlook.aim.limit - spent)
        return plan.step(outlook.aim.worth)

    def _without_bought(self, price: Sequence[float]) -> list[float]:
        """Prices of evidence without what was bought already: one kind of each answer is enough."""
        bought = {model for kind, model in self._bought if kind in ("verify", "sample")}
        return [math.nan if model in bought else usd for model, usd in enumerate(price)]

    def _is_last(self, step: Step, hearing: _Hearing) -> bool:
        """Whether a model's answer would be the one returned, whatever it is."""
        votes, outlook = hearing.votes(), self.outlook
        known = {vote.answer for vote in votes} - {NO_ANSWER}
        for answer in {*known, max(known, default=NO_ANSWER) + 1}:
            after = outlook.judge.belief(
                outlook.prior,
                [*votes, Vote(step.model, answer)],
                hearing.form,
                self._ranks(hearing),
            )
            if after.answers[after.best] != answer or self._next(after, hearing).kind != "stop":
                return False
        return True

    def _note(self, step: Step, belief: Belief, hearing: _Hearing) -> None:
        """Put what is believed now, and what follows from it, into the record."""
        name = hearing.names[step.model]
        todo = {
            "verify": f"{name} is asked to verify its answer",
            "sample": f"{name} is asked again",
        }
        reason = f"The best answer is good with {belief.held:.3f}"
        if step.kind == "stop":
            reason += "; no further call is worth it."
        else:
            asked = todo.get(step.kind, f"{name} is asked")
            reason += f": {asked}, for {step.cost:.2g} USD."
        speaker = hearing.names[belief.speaker]
        finding = Finding(step.kind == "stop", reason, score=belief.held)
        hearing.case.check("auto", speaker, finding)


@dataclass
class _Hearing:
    """What was heard of one request."""

    case: Case
    generations: list[Generation] = field(default_factory=list)
    verified: dict[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The pool's models."""
        return self.case.talk.pool.names

    def column(self, name: str) -> int:
        """A model's place in the pool."""
        return self.names.index(name)

    @property
    def form(self) -> str | None:
        """What kind of answer the request asks for; where it does not tell, what was answered."""
        kinds = (self.case.kind(generation) for generation in self.generations)
        return self.case.asked.kind or next((kind for kind in kinds if kind), None)

    def is_late_for(self, model: int) -> bool:
        """Whether asking a model leaves no time for the strongest."""
        return self.case.is_late_for(self.names[model])

    def votes(self) -> list[Vote]:
        """The generations as the judge sees them."""
        groups = self.case.groups(self.generations)
        return [
            Vote(
                model=self.column(generation.model),
                answer=group,
                confidence=self._confidence(generation),
                verified=self.verified.get(generation.model, math.nan),
                style=generation.style,
            )
            for generation, group in zip(self.generations, groups, strict=True)
        ]

    def _confidence(self, generation: Generation) -> float:
        tokens = logprobs.tokens_of(generation.message)
        if self.case.is_long(generation):
            sure = logprobs.mean_probability(tokens)
        else:
            token = logprobs.decisive(tokens, self.case.final_words(generation))
            sure = None if token is None else token.probability
        return math.nan if sure is None else sure

    def verify(self, name: str) -> Generator[Call, Any, None]:
        """Ask a model whether its answer is right."""
        draft = next(g for g in self.generations if g.model == name)
        said = yield from self.case.hear(name, "verify", self.case.verification(draft))
        yes = logprobs.yes_probability(said.message) if isinstance(said, Generation) else None
        if yes is not None:
            self.verified[name] = yes

    def sample(self, name: str) -> Generator[Call, Any, None]:
        """Ask a model again, as often as a vote needs, all at once."""
        styles = [""] * (SAMPLES - 1)
        self.generations += yield from self.case.sample(name, styles, _TEMPERATURE)

    def returned(self, belief: Belief, step: Step) -> Generation:
        """The generation to return for the best answer: in the speaker's words."""
        groups = self.case.groups(self.generations)
        best = belief.answers[belief.best]
        same = [g for g, group in zip(self.generations, groups, strict=True) if group == best]
        return min(same, key=lambda g: (g.model != self.names[step.model], g.style != ""))
