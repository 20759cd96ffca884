"""A router replayed on recorded outcomes: its own code, its calls answered from the records.

`outcomes` are P prompts that all of the router's M models answered; a model of its pool without
outcomes is a ConfigurationError. `name` is what a run is called in a report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from langchain_core.messages import HumanMessage

from llmroute.engine import flow
from llmroute.engine.drivers import drive
from llmroute.errors import ConfigurationError
from llmroute.escalation.escalation import Escalation
from llmroute.evaluation.recorded_provider import Records
from llmroute.evaluation.run import Run, run_of_choices, strongest
from llmroute.numerics import Bools, Floats, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import names_to_indices
from llmroute.policies import Policy
from llmroute.pool import ModelPool
from llmroute.records import Decision, Estimates, win_probability
from llmroute.request.capabilities import Needs, must_count, rule_out
from llmroute.request.request import Request
from llmroute.routing.decide import decide
from llmroute.routing.router import Router
from llmroute.scoring.text import RoutingText

#: Prompts decided together: enough to be quick, few enough that their records stay small.
_TOGETHER = 1024

Progress = Callable[[str, int, int], None]


def replay(
    router: Router, outcomes: Outcomes, estimates: Estimates | None = None
) -> Iterator[Decision]:
    """Each prompt through the router's own code, in order; no model is called.

    What the provider would have answered is read from the records, so the algorithm is the one that
    runs in production: `decide`, then the flow, then the record with every call. Yields P completed
    decisions. `estimates` are its scorer's, where they are known already. ConfigurationError where
    a model of the pool has no outcomes, NoEligibleModel where none can take one of the prompts.
    """
    names_to_indices(outcomes, router.pool.names)
    for decision, _, _ in _replay(router, outcomes, estimates):
        yield decision


def _replay(
    router: Router, outcomes: Outcomes, estimates: Estimates | None
) -> Iterator[tuple[Decision, float, float]]:
    # What a router remembers of its traffic is a replay's own: counts, how sure models were.
    router = router.fresh_copy(escalation=_replayable(router, outcomes))
    for start in range(0, len(outcomes), _TOGETHER):
        requests = [
            router.prepare_request(p, {}, {}) for p in outcomes.prompts[start : start + _TOGETHER]
        ]
        decision_context = router.decision_context()
        if estimates is not None:
            decision_context = replace(decision_context, scorer=_Known(estimates, start))
        decisions = decide(requests, decision_context)
        for i, (request, decision) in enumerate(zip(requests, decisions, strict=True)):
            yield _answered(router, decision, request, outcomes, start + i)


def _replayable(router: Router, outcomes: Outcomes) -> Escalation | None:
    """What looks at answers, as far as answers were recorded."""
    if router.escalation is None or outcomes.responses is not None or outcomes.samples is not None:
        escalation: Escalation | None = router.escalation
        return escalation
    if router.escalation.is_auto:
        return None  # answers give no evidence, so the policy chooses
    raise ConfigurationError(
        "to replay an escalation rule the answers are needed: Outcomes.read(…, responses=True)."
    )


class _Known:
    """A scorer whose estimates are known already, so that each prompt is read once."""

    def __init__(self, estimates: Estimates, start: int) -> None:
        self.name, _, self.version = estimates.scorer.partition(" ")
        self._estimates, self._start = estimates, start

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """The estimates of the prompts from `start` on."""
        return self._estimates.rows(slice(self._start, self._start + len(prompts)))


def _answered(
    router: Router, decision: Decision, request: Request, outcomes: Outcomes, row: int
) -> tuple[Decision, float, float]:
    """One prompt's completed decision, the score of the answer, and the spend of all its calls."""
    escalation = router.escalation
    records = Records(outcomes, row, lenient=escalation is not None and escalation.is_auto)
    # One after the other, so that a replay gives the same record every time; and nobody waits.
    steps = router.flow_for(request, decision)
    answered = drive(steps, records.result, together=map, wait=lambda seconds: None)
    ask, result = answered.ask, answered.result
    last = answered.accepted or flow.call_record(ask, result, decision, router.pool)
    completed = flow.complete(decision, answered, router.pool, last)
    return completed, records.score_of(result.value), records.cost


@dataclass(frozen=True)
class Replayed:
    """What a router made of P prompts, in numbers."""

    estimates: Estimates  #: its scorer's
    allowed: Bools  #: (P, M) which of the pool's models can take each prompt at all
    calls: Ints  #: (P, M) how often each of them was called
    score: Floats  #: (P,) quality of the answer that was returned, 0..1
    cost: Floats  #: (P,) spend of all calls, in the outcomes' unit


def replayed(router: Router, outcomes: Outcomes, progress: Progress | None = None) -> Replayed:
    """Every prompt through the router's own code, and what came of it."""
    place = {name: m for m, name in enumerate(router.pool.names)}
    estimates = router.active_scorer().estimate(outcomes.prompts, router.pool)
    calls = np.zeros((len(outcomes), len(place)), dtype=np.int64)
    score, cost = np.zeros(len(outcomes)), np.zeros(len(outcomes))
    for row, (decision, *figures) in enumerate(_replay(router, outcomes, estimates)):
        for call in decision.calls:
            calls[row, place[call.model]] += 1
        score[row], cost[row] = figures
        if progress is not None and (row + 1) % _TOGETHER == 0:
            progress("replaying", row + 1, len(outcomes))
    return Replayed(estimates, allowed_by(router.pool, outcomes), calls, score, cost)


def router_run(
    router: Router,
    outcomes: Outcomes,
    *,
    name: str = "llmroute",
    known: Replayed | None = None,
    progress: Progress | None = None,
) -> Run:
    """The run of a router: as configured, through its own code; at other settings, its policy's.

    `known` is what it made of the prompts, where they were replayed already.
    """
    if known is None:
        known = replayed(router, outcomes, progress)
    run = swept_run(router, outcomes, known.estimates, known.allowed, name=name)
    column = names_to_indices(outcomes, router.pool.names)
    run.score[run.setting] = known.score
    run.cost[run.setting] = known.cost
    run.strong[run.setting] = (known.calls[:, column == strongest(outcomes)] > 0).any(axis=1)
    return run


def swept_run(
    router: Router,
    outcomes: Outcomes,
    estimates: Estimates,
    allowed: Bools,
    *,
    name: str,
    home: str | None = None,
) -> Run:
    """What a router's policy makes of its scorer's estimates at each setting of its parameter.

    `allowed` tells, (P, M), which of the pool's models can take each prompt at all; `home` is of
    the `Run`. ConfigurationError where the policy leaves some prompt without a model.
    """
    column = names_to_indices(outcomes, router.pool.names)
    parameter, choices, setting = _sweep(router.policy, estimates, allowed)
    quality = np.full(outcomes.score.shape, np.nan)
    quality[:, column] = estimates.quality
    preference = None
    if len(column) == 2:
        strong = int(np.flatnonzero(column == strongest(outcomes))[0])
        preference = win_probability(estimates, weak=1 - strong, strong=strong)
    details = {"setting": setting, "quality": quality, "preference": preference, "home": home}
    return run_of_choices(name, outcomes, column[choices], parameter, **details)


def _sweep(policy: Policy, estimates: Estimates, allowed: Bools) -> tuple[Floats, Ints, int]:
    """The parameter's values, (N, P) the model chosen at each, and the row of the policy's own."""
    own = 0.0 if policy.parameter is None else getattr(policy, policy.parameter)
    if own is None:  # a limit that is not set
        own = np.inf
    parameter, choices = [], []
    for value in np.unique(np.append(policy.sweep_values(estimates), own)):
        at_value = policy if value == own else policy.with_parameter(value)
        admitted = at_value.admits(estimates) & allowed
        # At a limit that some prompt cannot keep, the router would refuse it: no setting.
        if admitted.any(axis=1).all():
            parameter.append(value)
            choices.append(at_value.choose(estimates, admitted))
    if own not in parameter:
        raise ConfigurationError(
            f"{type(policy).__name__} leaves some prompts without any model; widen its limits, or "
            "take those prompts out."
        )
    return np.array(parameter), np.stack(choices), parameter.index(own)


def allowed_by(pool: ModelPool, outcomes: Outcomes) -> Bools:
    """(P, M) which models can take each prompt at all; context windows may rule one out."""
    allowed = np.ones((len(outcomes), len(pool)), dtype=np.bool_)
    for row, prompt in enumerate(outcomes.prompts):
        text = RoutingText("", len(prompt))
        if must_count(pool, text):
            for name in rule_out(pool, Needs(), text, [HumanMessage(prompt)]):
                allowed[row, pool.names.index(name)] = False
    return allowed


def joined(parts: Sequence[Estimates], order: Ints | None = None) -> Estimates:
    """Estimates of several groups of prompts as those of all, without the costs' intervals.

    Where an order is given, (P,), prompt i is row `order[i]` of the parts one after the other.
    """
    rows = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Estimates)
        if field.name not in ("models", "prior_quality", "scorer", "output_cost", "output_range")
    }
    return Estimates(
        models=parts[0].models,
        prior_quality=np.mean([part.prior_quality for part in parts], axis=0),
        scorer=parts[0].scorer,
        **{name: values if order is None else values[order] for name, values in rows.items()},
    )
