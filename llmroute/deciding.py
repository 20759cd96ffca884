"""From requests to decisions: rule out, estimate, choose. No model is called here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np

from llmroute import __version__
from llmroute.decision import Decision, Estimates, model_estimates
from llmroute.errors import LLMRouteError, NoEligibleModel
from llmroute.policies import Pinned, Policy, fallback_order
from llmroute.pool import ModelPool
from llmroute.request import Request
from llmroute.requirements import rule_out
from llmroute.scoring.base import Scorer


def decide(
    requests: Sequence[Request], pool: ModelPool, scorer: Scorer, policy: Policy
) -> list[Decision]:
    """Choose a model for each request; the whole batch is scored at once.

    Args:
        requests: What was asked.
        pool: The models.
        scorer: Estimates quality and cost.
        policy: Chooses by them.

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
    if broken is None or isinstance(policy, Pinned):
        chosen = int(policy.choose(estimates, allowed)[0])
        reason = policy.why(estimates, 0, allowed, chosen)
    else:
        chosen = int(np.argmax(np.where(allowed[0], estimates.prior, -np.inf)))
        reason = f"The scorer failed ({broken}), so the strongest model is asked."
    if estimates.unfamiliar[0] and broken is None:
        reason += " The prompt is unlike the scorer's training data: priors were used."
    order = fallback_order(estimates, 0, allowed, chosen)
    return Decision(
        chosen=pool.names[chosen],
        policy=policy.to_record(),
        reason=reason,
        estimates=dict(model_estimates(estimates, 0)) if broken is None else {},
        excluded=excluded,
        unfamiliar=bool(estimates.unfamiliar[0]),
        strongest=pool.names[estimates.strongest],
        # A caller who names a model does not want another's answer.
        ranking=tuple(pool.names[m] for m in order),
        prompt_tokens=int(estimates.prompt_tokens[0]),
        decision_us=round((time.perf_counter() - start) * 1e6, 1),
        router=estimates.scorer,
        version=__version__,
    )


def _estimate(
    requests: Sequence[Request], pool: ModelPool, scorer: Scorer
) -> tuple[Estimates, str | None]:
    """The scorer's estimates; or, when it breaks, a stand-in by which the strongest is chosen.

    A scorer that breaks must not take the user's application down with it: the answer is worth
    more than the saving. It warns, and the decision says so.
    """
    try:
        return scorer.estimate([r.text for r in requests], pool), None
    except LLMRouteError:  # a mistake in the pool or the artefact, with a message that says which
        raise
    except Exception as error:
        what = type(error).__name__
        warnings.warn(
            f"the scorer {scorer.name!r} failed with {what}; requests go to the strongest model "
            "until it works again.",
            stacklevel=2,
        )
        return _without_scorer(len(requests), pool), what


def _without_scorer(prompts: int, pool: ModelPool) -> Estimates:
    shape = (prompts, len(pool))
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
        prompt_tokens=np.zeros(prompts),
        unfamiliar=np.ones(prompts, dtype=np.bool_),
        prior=standing,
        scorer="none",
    )
