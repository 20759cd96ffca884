"""From requests to decisions: rule out, estimate, choose. No model is called here."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from llmroute._version import __version__
from llmroute.errors import ConfigurationError, LLMRouteError, NoEligibleModel
from llmroute.numerics import Bools
from llmroute.policies import Pinned, Policy, StrongCalls
from llmroute.pool import ModelPool
from llmroute.records import Decision, Estimates, comparable_cost, model_estimates
from llmroute.request.capabilities import rule_out
from llmroute.request.conversation import with_cache
from llmroute.request.request import Request
from llmroute.scoring.scorer import Scorer
from llmroute.state.router_state import RouterState

if TYPE_CHECKING:
    from llmroute.escalation.escalation import Escalation

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DecisionContext:
    """What requests are decided on.

    Attributes:
        pool: The models.
        scorer: Estimates quality and cost.
        policy: Chooses by them.
        escalation: What looks at answers before the user sees them.
        state: What the router has seen so far.
        cooling_down: Models that failed in a row, each with why it is not asked first. They are
            asked after all others.
    """

    pool: ModelPool
    scorer: Scorer
    policy: Policy
    escalation: Escalation | None = None
    state: RouterState = field(default_factory=RouterState)
    cooling_down: Mapping[str, str] = field(default_factory=dict)


def decide(requests: Sequence[Request], context: DecisionContext) -> list[Decision]:
    """Choose a model for each request; the whole batch is scored at once.

    Returns:
        A decision a request, in order.

    Raises:
        NoEligibleModel: No model can take one of the requests.
    """
    start = time.perf_counter()
    if not requests:
        return []
    estimates, broken = _estimate(requests, context.pool, context.scorer)
    read = (time.perf_counter() - start) / len(requests)
    return [
        _decided(
            request,
            estimates.row(i) if len(requests) > 1 else estimates,
            context,
            broken,
            time.perf_counter() - read,
        )
        for i, request in enumerate(requests)
    ]


def _decided(
    request: Request,
    estimates: Estimates,
    context: DecisionContext,
    broken: str | None,
    start: float,
) -> Decision:
    pool, policy = context.pool, policy_of(request, context.policy)
    estimates, cache_remark = _with_cache(request, estimates, pool)
    excluded = _excluded(request, estimates, policy, pool)
    cooling_down = _cooling_down(excluded, context)
    prior = estimates.prior_quality.tolist()
    able = [m for m, name in enumerate(pool.names) if name not in excluded]
    strongest = max(able, key=prior.__getitem__)
    excluded |= cooling_down
    allowed = np.array([[name not in excluded for name in pool.names]])
    overrides, named = request.overrides, request.requested_model
    is_fixed = named or request.needs.several or overrides.strong_share is not None
    escalation = None if is_fixed else context.escalation
    loop_model = request.conversation.tool_loop_model(request.messages, request.turn)
    if loop_model is not None and loop_model not in excluded and not named:
        chosen = pool.names.index(loop_model)
        # A plan is for answers; what a tool loop's next step is worth nobody has measured.
        is_due = escalation is not None and not escalation.is_auto and chosen != strongest
        reason = f"{loop_model} called the tools, and is asked until the user speaks again."
    elif broken is not None and not named:
        chosen = max(np.flatnonzero(allowed[0]).tolist(), key=prior.__getitem__)
        is_due = False
        reason = f"The scorer failed ({broken}), so the strongest model is asked."
    else:
        chosen, is_due, reason = _chosen(
            request, estimates, allowed, strongest, pool, policy, escalation, context.state
        )
        reason += f" {cache_remark}" if cache_remark else ""
    if estimates.unfamiliar[0] and broken is None:
        reason += " The prompt is unlike the scorer's training data: priors were used."
    order = fallback_order(estimates, 0, allowed, chosen)
    return Decision(
        chosen=pool.names[chosen],
        policy=policy.to_record(),
        reason=reason,
        estimates=model_estimates(estimates, 0) if broken is None else {},
        excluded=excluded,
        unfamiliar=bool(estimates.unfamiliar[0]),
        strongest=pool.names[strongest],
        ranking=(*(pool.names[m] for m in order), *cooling_down),
        prompt_tokens=round(float(estimates.prompt_tokens[0])),
        decision_us=round((time.perf_counter() - start) * 1e6, 1),
        router=estimates.scorer,
        version=__version__,
        session=overrides.session,
        check=escalation.to_record() if escalation is not None and is_due else None,
    )


def policy_of(request: Request, policy: Policy) -> Policy:
    """The policy that chooses: the model the caller named, the call's own, or the router's."""
    if request.requested_model:
        return Pinned(model=request.requested_model)
    if request.overrides.strong_share is not None:
        return StrongCalls(share=request.overrides.strong_share)
    return request.overrides.policy or policy


def _with_cache(
    request: Request, estimates: Estimates, pool: ModelPool
) -> tuple[Estimates, str | None]:
    if request.turn is None:
        return estimates, None
    tokens = request.conversation.cached(request.turn, pool, float(estimates.prompt_tokens[0]))
    return with_cache(estimates, pool[request.turn.model], tokens)


def _excluded(
    request: Request, estimates: Estimates, policy: Policy, pool: ModelPool
) -> dict[str, str]:
    """The models that cannot be asked, each with why; at least one can.

    Raises:
        NoEligibleModel: None can.
    """
    policy.check(pool.names)
    request.overrides.check(pool.names)
    excluded = rule_out(pool, request.needs, request.text, request.messages)
    for name, why in request.overrides.excludes(estimates).items():
        excluded.setdefault(name, why)
    admitted = policy.admits(estimates)[0].tolist()
    for m, name in enumerate(pool.names):
        if not admitted[m]:
            excluded.setdefault(name, policy.why_not(estimates, 0, m))
    if len(excluded) == len(pool):
        raise NoEligibleModel(excluded)
    return excluded


def _cooling_down(excluded: Mapping[str, str], context: DecisionContext) -> dict[str, str]:
    """The models that could be asked but are cooling down, each with why; the others come first."""
    cooling_down = context.cooling_down
    if not cooling_down or set(context.pool.names) <= {*excluded, *cooling_down}:
        return {}
    return {name: why for name, why in cooling_down.items() if name not in excluded}


def _chosen(
    request: Request,
    estimates: Estimates,
    allowed: Bools,
    strongest: int,
    pool: ModelPool,
    policy: Policy,
    escalation: Escalation | None,
    state: RouterState,
) -> tuple[int, bool, str]:
    """The column of the model that is asked first, whether its answer is looked at, and why."""
    if escalation is None:
        chosen, is_due = int(policy.choose_next(estimates, allowed, state)[0]), False
    else:
        first = escalation.begin(policy, estimates, allowed, strongest, pool, request, state)
        chosen, is_due, reason = first.chosen, first.is_due, first.reason
    if not 0 <= chosen < len(pool):
        raise ConfigurationError(
            f"the policy {type(policy).__name__} chose model number {chosen} of {len(pool)}."
        )
    if not allowed[0, chosen]:
        raise ConfigurationError(
            f"the policy {type(policy).__name__} chose {pool.names[chosen]!r}, which is ruled out. "
            "Choose where `allowed` is True."
        )
    if escalation is None:
        reason = policy.why(estimates, 0, allowed, chosen)
    return chosen, is_due, reason


def _estimate(
    requests: Sequence[Request], pool: ModelPool, scorer: Scorer
) -> tuple[Estimates, str | None]:
    """The scorer's estimates; or, when it breaks, estimates by which the strongest is chosen.

    A scorer that breaks must not take the user's application down with it: the answer is worth
    more than the saving. It warns, and the decision says so.
    """
    try:
        estimates = scorer.estimate([r.text for r in requests], pool)
        _check(estimates, len(requests), pool)
        return estimates, None
    except LLMRouteError:  # a mistake in the pool or the artefact, with a message that says which
        raise
    except Exception as error:
        what = type(error).__name__
        _log.debug("the scorer %r failed", scorer.name, exc_info=True)
        warnings.warn(
            f"the scorer {scorer.name!r} failed with {what}; requests go to the strongest model "
            "until it works again.",
            stacklevel=2,
        )
        return _without_scorer(requests, pool), what


def _check(estimates: Estimates, prompts: int, pool: ModelPool) -> None:
    """Raise ValueError for estimates that break the contract: NaN would choose at random."""
    if estimates.models != pool.names or estimates.quality.shape != (prompts, len(pool)):
        raise ValueError("estimates of other models or another number of prompts")
    if not math.isfinite(estimates.quality.sum() + estimates.prompt_tokens.sum()):
        raise ValueError("estimates that are not finite")


def _without_scorer(requests: Sequence[Request], pool: ModelPool) -> Estimates:
    shape = (len(requests), len(pool))
    prices = np.nan_to_num(pool.arrays.output_price, nan=0.0)
    # Standing by tier, then by price: all that is known without a scorer.
    tiers = np.array([{"weak": -1.0, "strong": 1.0}.get(m.tier or "", 0.0) for m in pool])
    standing = tiers + prices / (1.0 + prices.max())
    return Estimates(
        models=pool.names,
        quality=np.broadcast_to(standing, shape),
        cost=np.full(shape, np.nan),
        tokens=np.full(shape, np.nan),
        latency=np.full(shape, np.nan),
        # Four characters a token, as English has them.
        prompt_tokens=np.array([request.text.characters / 4 for request in requests]),
        unfamiliar=np.ones(len(requests), dtype=np.bool_),
        prior_quality=standing,
        scorer="none",
    )


def fallback_order(estimates: Estimates, row: int, allowed: Bools, chosen: int) -> list[int]:
    """The order in which the eligible models are asked: the chosen one, then its fallbacks.

    Fallbacks that are expected to do at least as well come first, cheapest first; then the others,
    best first.
    """
    quality = estimates.quality[row].tolist()
    cost = comparable_cost(estimates)[row].tolist()
    others = [m for m, is_allowed in enumerate(allowed[row].tolist()) if is_allowed and m != chosen]
    as_good = sorted((m for m in others if quality[m] >= quality[chosen]), key=lambda m: cost[m])
    weaker = sorted((m for m in others if quality[m] < quality[chosen]), key=lambda m: -quality[m])
    return [int(chosen), *as_good, *weaker]
