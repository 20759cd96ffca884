"""From requests to decisions: rule out, estimate, choose. No model is called here."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmroute import __version__
from llmroute.decision import Decision, Estimates, model_estimates
from llmroute.errors import ConfigurationError, LLMRouteError, NoEligibleModel
from llmroute.policies import Pinned, Policy, fallback_order
from llmroute.pool import ModelPool
from llmroute.request import Request
from llmroute.requirements import rule_out
from llmroute.scoring.base import Scorer

if TYPE_CHECKING:
    from llmroute.escalation.tiers import Escalation

_log = logging.getLogger(__name__)


def decide(
    requests: Sequence[Request],
    pool: ModelPool,
    scorer: Scorer,
    policy: Policy,
    escalation: Escalation | None = None,
) -> list[Decision]:
    """Choose a model for each request; the whole batch is scored at once.

    Args:
        requests: What was asked.
        pool: The models.
        scorer: Estimates quality and cost.
        policy: Chooses by them.
        escalation: What looks at answers before the user sees them.

    Returns:
        A decision a request, in order.

    Raises:
        NoEligibleModel: No model can take one of the requests.
    """
    start = time.perf_counter()
    if not requests:
        return []
    estimates, broken = _estimate(requests, pool, scorer)
    read = (time.perf_counter() - start) / len(requests)
    return [
        _choose(
            request,
            estimates.row(i) if len(requests) > 1 else estimates,
            pool,
            Pinned(model=request.pinned) if request.pinned else policy,
            None if request.pinned or request.needs.several else escalation,
            broken,
            time.perf_counter() - read,
        )
        for i, request in enumerate(requests)
    ]


def _choose(
    request: Request,
    estimates: Estimates,
    pool: ModelPool,
    policy: Policy,
    escalation: Escalation | None,
    broken: str | None,
    start: float,
) -> Decision:
    policy.check(pool.names)
    excluded = rule_out(pool, request.needs, request.text, request.messages)
    admitted = policy.admits(estimates)
    for m, name in enumerate(pool.names):
        if not admitted[0, m]:
            excluded.setdefault(name, policy.why_not(estimates, 0, m))
    if len(excluded) == len(pool):
        raise NoEligibleModel(excluded)
    allowed = np.array([[name not in excluded for name in pool.names]])
    prior = estimates.prior.tolist()
    strongest = max(
        (m for m, name in enumerate(pool.names) if name not in excluded), key=prior.__getitem__
    )
    is_due = False
    if broken is None or isinstance(policy, Pinned):
        if escalation is None:
            chosen = int(policy.choose(estimates, allowed)[0])
        else:
            first = escalation.begin(policy, estimates, allowed, strongest, pool, request)
            chosen, is_due = first.chosen, first.is_due
        if not 0 <= chosen < len(pool):
            raise ConfigurationError(
                f"the policy {type(policy).__name__} chose model number {chosen} of {len(pool)}."
            )
        if not allowed[0, chosen]:
            raise ConfigurationError(
                f"the policy {type(policy).__name__} chose {pool.names[chosen]!r}, which is ruled "
                f"out ({excluded[pool.names[chosen]]}). Choose where `allowed` is True."
            )
        reason = policy.why(estimates, 0, allowed, chosen) if escalation is None else first.reason
    else:
        chosen = strongest
        reason = f"The scorer failed ({broken}), so the strongest model is asked."
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
        ranking=tuple(pool.names[m] for m in order),
        prompt_tokens=round(float(estimates.prompt_tokens[0])),
        decision_us=round((time.perf_counter() - start) * 1e6, 1),
        router=estimates.scorer,
        version=__version__,
        check=escalation.to_record() if escalation is not None and is_due else None,
    )


def _estimate(
    requests: Sequence[Request], pool: ModelPool, scorer: Scorer
) -> tuple[Estimates, str | None]:
    """The scorer's estimates; or, when it breaks, a stand-in by which the strongest is chosen.

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
        prior=standing,
        scorer="none",
    )
