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
from llmroute.engine.flow import Answered, Ask, Flow, Step, Talk
from llmroute.errors import AllModelsFailed, ProviderError
from llmroute.escalation.belief import Belief
from llmroute.escalation.context import DraftContext, Finding, Generation
from llmroute.escalation.next_call import NextCall, NextCallPlan
from llmroute.escalation.request_plan import SAMPLES, RequestPlan
from llmroute.escalation.stronger import no_time
from llmroute.request.request import Request
from llmroute.state.confidence_ranks import ConfidenceRanks
from llmroute.state.router_state import RouterState

#: Temperature of further samples.
_TEMPERATURE = 0.7


@dataclass
class AutoEscalation:
    """One request, asked by judge and planner.

    Attributes:
        request_plan: What is believed before the first call.
        request: The request.
        state: What the router has seen so far.
        keep: Return the best answer in hand when no stronger model can be had.
        agreement: The user's own measure of whether two answers agree, or None.
        latency: Seconds the whole request may take, or None.
    """

    request_plan: RequestPlan
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
        context = DraftContext(
            self.request,
            talk,
            self.agreement,
            logprobs.ARGUMENTS,
            self.latency,
            only_known=True,
            state=self.state,
        )
        observations = _Observations(context)
        if context.is_late_for(talk.decision.chosen):
            return (yield from no_time(context))
        step = NextCall("ask", observations.column(talk.decision.chosen), 0.0)
        while True:
            answer = yield from self._take(step, observations)
            if answer is not None:
                return answer
            belief = self._belief(observations)
            step = self._next(belief, observations)
            self._note(step, belief, observations)
            if step.kind == "stop":
                return self._stopped(step, belief, observations)

    def _take(
        self, step: NextCall, observations: _Observations
    ) -> Generator[Step, Any, Answered | None]:
        """Make one step; the end of the flow where it ends it."""
        context, name = observations.context, observations.names[step.model]
        self._bought.add((step.kind, step.model))
        if step.kind == "verify":
            yield from observations.verify(name)
            self._remember(step, observations)
        elif step.kind == "sample":
            yield from observations.sample(name)
        elif observations.generations and self._is_last(step, observations):
            return (yield from self._end(step, observations))
        else:
            observed = yield from context.hear(name, "draft")
            if isinstance(observed, Generation):
                observations.generations.append(observed)
                self._remember(step, observations)
            elif not observations.generations:
                return (yield from context.talk.fall_back(observed))
            else:
                self._failed.add(step.model)
        return None

    def _remember(self, step: NextCall, observations: _Observations) -> None:
        """What a model's confidences are worth shows beside those that it gave before."""
        votes = observations.votes()
        vote = next(v for v in reversed(votes) if v.model == step.model)
        if step.kind == "verify":
            vote = replace(vote, confidence=math.nan)
        self.request_plan.belief_model.note(vote, observations.form, self._ranks(observations))

    def _end(
        self, step: NextCall, observations: _Observations
    ) -> Generator[Step, Any, Answered | None]:
        """A model whose answer is the user's whatever it says; it may stream."""
        ask = Ask(observations.names[step.model], "answer")
        answered = yield from observations.context.talk.ask(ask, lenient=True)
        if answered.result.error is None:
            return replace(answered, escalated=True)
        self._failed.add(step.model)
        return None

    def _stopped(self, step: NextCall, belief: Belief, observations: _Observations) -> Answered:
        """The best answer in hand; marked where a model that failed was wanted."""
        talk = observations.context.talk
        unchecked = bool(self._failed) and (
            self._next(belief, observations, also_failed=True).kind != "stop"
        )
        if unchecked and not self.keep:
            failed = [call for call in talk.calls if call.status != "ok"]
            last = ProviderError(failed[-1].error or "it failed", model=failed[-1].model)
            raise AllModelsFailed(talk.calls, last)
        best = observations.returned(belief, step)
        first = next(g for g in observations.generations if g.model == talk.decision.chosen)
        agree = observations.context.groups([first, best])
        return observations.context.accept(
            best, unchecked=unchecked, escalated=first is not best and agree[0] != agree[1]
        )

    def _belief(self, observations: _Observations) -> Belief:
        request_plan = self.request_plan
        return request_plan.belief_model.belief(
            request_plan.prior, observations.votes(), observations.form, self._ranks(observations)
        )

    def _ranks(self, observations: _Observations) -> ConfidenceRanks:
        return self.state.confidence_ranks(observations.names)

    def _next(
        self, belief: Belief, observations: _Observations, *, also_failed: bool = False
    ) -> NextCall:
        request_plan, talk = self.request_plan, observations.context.talk
        spent = sum(call.cost_usd or 0.0 for call in talk.calls)
        may = [
            m
            for m in request_plan.allowed
            if (also_failed or m not in self._failed)
            and (
                observations.names[m] == talk.decision.strongest or not observations.is_late_for(m)
            )
        ]
        prices = replace(
            request_plan.prices,
            verify=self._without_bought(request_plan.prices.verify),
            sample=self._without_bought(request_plan.prices.sample),
        )
        plan = NextCallPlan(belief, prices, models=may, limit=request_plan.objective.limit - spent)
        return plan.step(request_plan.objective.value_per_answer)

    def _without_bought(self, price: Sequence[float]) -> list[float]:
        """Prices of evidence without what was bought already: one kind of each answer is enough."""
        bought = {model for kind, model in self._bought if kind in ("verify", "sample")}
        return [math.nan if model in bought else usd for model, usd in enumerate(price)]

    def _is_last(self, step: NextCall, observations: _Observations) -> bool:
        """Whether a model's answer would be the one returned, whatever it is."""
        votes, request_plan = observations.votes(), self.request_plan
        known = {vote.answer for vote in votes} - {NO_ANSWER}
        for answer in {*known, max(known, default=NO_ANSWER) + 1}:
            after = request_plan.belief_model.belief(
                request_plan.prior,
                [*votes, Vote(step.model, answer)],
                observations.form,
                self._ranks(observations),
            )
            if (
                after.answers[after.best] != answer
                or self._next(after, observations).kind != "stop"
            ):
                return False
        return True

    def _note(self, step: NextCall, belief: Belief, observations: _Observations) -> None:
        """Put what is believed now, and what follows from it, into the record."""
        name = observations.names[step.model]
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
        speaker = observations.names[belief.speaker]
        finding = Finding(step.kind == "stop", reason, score=belief.held)
        observations.context.check("auto", speaker, finding)


@dataclass
class _Observations:
    """What was heard of one request."""

    context: DraftContext
    generations: list[Generation] = field(default_factory=list)
    verified: dict[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The pool's models."""
        return self.context.talk.pool.names

    def column(self, name: str) -> int:
        """A model's place in the pool."""
        return self.names.index(name)

    @property
    def form(self) -> str | None:
        """What kind of answer the request asks for; where it does not tell, what was answered."""
        kinds = (self.context.kind(generation) for generation in self.generations)
        return self.context.asked.kind or next((kind for kind in kinds if kind), None)

    def is_late_for(self, model: int) -> bool:
        """Whether asking a model leaves no time for the strongest."""
        return self.context.is_late_for(self.names[model])

    def votes(self) -> list[Vote]:
        """The generations as the judge sees them."""
        groups = self.context.groups(self.generations)
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
        if self.context.is_long(generation):
            sure = logprobs.mean_probability(tokens)
        else:
            token = logprobs.decisive(tokens, self.context.final_words(generation))
            sure = None if token is None else token.probability
        return math.nan if sure is None else sure

    def verify(self, name: str) -> Generator[Step, Any, None]:
        """Ask a model whether its answer is right."""
        draft = next(g for g in self.generations if g.model == name)
        said = yield from self.context.hear(name, "verify", self.context.verification(draft))
        yes = logprobs.yes_probability(said.message) if isinstance(said, Generation) else None
        if yes is not None:
            self.verified[name] = yes

    def sample(self, name: str) -> Generator[Step, Any, None]:
        """Ask a model again, as often as a vote needs, all at once."""
        styles = [""] * (SAMPLES - 1)
        self.generations += yield from self.context.sample(name, styles, _TEMPERATURE)

    def returned(self, belief: Belief, step: NextCall) -> Generation:
        """The generation to return for the best answer: in the speaker's words."""
        groups = self.context.groups(self.generations)
        best = belief.answers[belief.best]
        same = [g for g, group in zip(self.generations, groups, strict=True) if group == best]
        return min(same, key=lambda g: (g.model != self.names[step.model], g.style != ""))
