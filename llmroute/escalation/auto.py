"""`escalation="auto"`: which model to ask, what evidence to buy, and when to stop, as one choice.

The scorer's estimates are the prior; each answer is evidence; the belief model makes probabilities
of both, and calls go on as long as a further one gains more than it costs (cascade routing, arXiv
2410.10347).
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
from llmroute.escalation.next_call import NextCall, next_step
from llmroute.escalation.request_plan import SAMPLES, RequestPlan
from llmroute.request.request import Request
from llmroute.state.router_state import RouterState

#: Temperature of further samples.
_TEMPERATURE = 0.7


@dataclass
class AutoEscalation:
    """One request, asked by plan.

    Attributes:
        request_plan: What is expected before the first call.
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
    _context: DraftContext = field(init=False)
    _names: tuple[str, ...] = field(init=False)
    _generations: list[Generation] = field(default_factory=list)
    _verified: dict[str, float] = field(default_factory=dict)
    _failed: set[int] = field(default_factory=set)
    _checked: set[int] = field(default_factory=set)

    def run(self, talk: Talk) -> Flow:
        """Ask through `talk` until no further call is worth its cost."""
        self._names = talk.pool.names
        self._context = context = DraftContext(
            self.request,
            talk,
            self.agreement,
            logprobs.ARGUMENTS,
            self.latency,
            only_known=True,
            state=self.state,
        )
        if context.is_late_for(talk.decision.chosen):
            return (yield from context.ask_strongest())
        step = NextCall("ask", self._names.index(talk.decision.chosen))
        while True:
            answer = yield from self._take(step)
            if answer is not None:
                return answer
            belief = self._belief(self._votes())
            step = self._next(belief)
            self._record(step, belief)
            if step.kind == "stop":
                return self._stopped(step, belief)

    def _take(self, step: NextCall) -> Generator[Step, Any, Answered | None]:
        """Make one step; the end of the flow where it ends it."""
        context, name = self._context, self._names[step.model]
        if step.kind == "verify":
            self._checked.add(step.model)
            draft = next(g for g in self._generations if g.model == name)
            yes = yield from context.verify(draft)
            if yes is not None:
                self._verified[name] = yes
            self._note(step)
        elif step.kind == "sample":
            self._checked.add(step.model)
            styles = [""] * (SAMPLES - 1)
            self._generations += yield from context.sample(name, styles, _TEMPERATURE)
        elif self._generations and self._is_last(step):
            # The answer is the user's whatever it says, so it may stream.
            answered = yield from context.talk.ask(Ask(name, "answer"), lenient=True)
            if answered.result.error is None:
                return replace(answered, escalated=True)
            self._failed.add(step.model)
        else:
            ended = yield from context.ask(name, "draft")
            if isinstance(ended, Generation):
                self._generations.append(ended)
                self._note(step)
            elif not self._generations:
                return (yield from context.talk.fall_back(ended))
            else:
                self._failed.add(step.model)
        return None

    def _note(self, step: NextCall) -> None:
        """Take note of a confidence: it is ranked among those that the model gave before."""
        vote = next(v for v in reversed(self._votes()) if v.model == step.model)
        if step.kind == "verify":
            vote = replace(vote, confidence=math.nan)
        ranks = self.state.confidence_ranks(self._names)
        self.request_plan.belief_model.note(vote, self._form, ranks)

    def _stopped(self, step: NextCall, belief: Belief) -> Answered:
        """The best answer in hand; marked where a model that failed was wanted."""
        talk = self._context.talk
        unchecked = bool(self._failed) and self._next(belief, also_failed=True).kind != "stop"
        if unchecked and not self.keep:
            failed = [call for call in talk.calls if call.status != "ok"]
            last = ProviderError(failed[-1].error or "it failed", model=failed[-1].model)
            raise AllModelsFailed(talk.calls, last)
        # Of the generations with the best answer one of the step's model, asked as the user did.
        groups = self._context.groups(self._generations)
        group = belief.answers[belief.best]
        same = [g for g, its in zip(self._generations, groups, strict=True) if its == group]
        best = min(same, key=lambda g: (g.model != self._names[step.model], g.style != ""))
        first = next(g for g in self._generations if g.model == talk.decision.chosen)
        agree = self._context.groups([first, best])
        return self._context.accept(
            best, unchecked=unchecked, escalated=first is not best and agree[0] != agree[1]
        )

    def _belief(self, votes: Sequence[Vote]) -> Belief:
        plan, ranks = self.request_plan, self.state.confidence_ranks(self._names)
        return plan.belief_model.belief(plan.prior, votes, self._form, ranks)

    def _next(self, belief: Belief, *, also_failed: bool = False) -> NextCall:
        plan, talk = self.request_plan, self._context.talk
        spent = sum(call.cost_usd or 0.0 for call in talk.calls)
        models = [
            m
            for m, name in enumerate(self._names)
            if plan.allowed[m]
            and (also_failed or m not in self._failed)
            and (name == talk.decision.strongest or not self._context.is_late_for(name))
        ]
        # One kind of further evidence of each answer is enough.
        prices = replace(
            plan.prices,
            verify=self._without_checked(plan.prices.verify),
            sample=self._without_checked(plan.prices.sample),
        )
        return next_step(
            belief, prices, plan.value_per_answer, models=models, limit=plan.limit - spent
        )

    def _without_checked(self, price: Sequence[float]) -> list[float]:
        return [math.nan if model in self._checked else usd for model, usd in enumerate(price)]

    def _is_last(self, step: NextCall) -> bool:
        """Whether a model's answer would be the one returned, whatever it is."""
        votes = self._votes()
        known = {vote.answer for vote in votes} - {NO_ANSWER}
        for answer in {*known, max(known, default=NO_ANSWER) + 1}:
            after = self._belief([*votes, Vote(step.model, answer)])
            if after.answers[after.best] != answer or self._next(after).kind != "stop":
                return False
        return True

    def _record(self, step: NextCall, belief: Belief) -> None:
        """Put what is believed now, and what follows from it, into the record."""
        name = self._names[step.model]
        reason = f"The best answer is good with {belief.held:.3f}"
        if step.kind == "stop":
            reason += "; no further call is worth it."
        else:
            what = {"verify": " to verify its answer", "sample": " again"}.get(step.kind, "")
            reason += f": {name} is asked{what}, for {step.cost:.2g} USD."
        finding = Finding(step.kind == "stop", reason, score=belief.held)
        self._context.check("auto", self._names[belief.speaker], finding)

    @property
    def _form(self) -> str | None:
        """What kind of answer the request asks for; where it does not show, what was answered."""
        forms = (self._context.form(generation) for generation in self._generations)
        return self._context.asked.kind or next((form for form in forms if form), None)

    def _votes(self) -> list[Vote]:
        groups = self._context.groups(self._generations)
        votes = []
        for generation, group in zip(self._generations, groups, strict=True):
            confidence = self._context.confidence(generation, "probability")
            vote = Vote(
                model=self._names.index(generation.model),
                answer=group,
                confidence=math.nan if confidence is None else confidence,
                verified=self._verified.get(generation.model, math.nan),
            )
            votes.append(vote)
        return votes
