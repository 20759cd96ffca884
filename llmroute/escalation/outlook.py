"""What is believed of a request and what calls cost, before the first one; and that first one."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.decision import Decision, Estimates
from llmroute.escalation.judge import Judge
from llmroute.escalation.outset import Costs, Openings, Plan, worth_of_share
from llmroute.escalation.planning import Prices
from llmroute.policies import BestWithin, CheapestAbove, Policy, Threshold, WillingnessToPay
from llmroute.pool import ModelPool

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Generations of a model in all, where sampling it is the best next step.
SAMPLES = 4
#: Output tokens of a verification's answer.
_VERIFY_TOKENS = 2
#: A typical request, for what a policy's promise is worth: tokens in and out.
_TYPICAL_TOKENS = (300.0, 300.0)
#: Typical prompts differ in difficulty by this standard deviation, in logits, as the bundled
#: router's training prompts do; these places stand for them.
_SPREAD = 0.8
_PLACES: Floats = _SPREAD * np.array(
    [-1.8, -1.2, -0.85, -0.55, -0.27, 0.0, 0.27, 0.55, 0.85, 1.2, 1.8]
)
#: What a good answer is worth, in units of the dearest call, where only a limit on the spend holds.
_PRICELESS = 1e6
#: Pools whose openings are kept.
_KEPT = 64


@dataclass(frozen=True)
class Outlook:
    """What is believed of one request, and what calls cost, before the first one.

    Attributes:
        judge: The judge of the pool's M models.
        prior: (M,) success probabilities.
        prices: What the steps cost.
        worth: What a good answer is worth, USD.
        limit: USD that may be spent.
        allowed: Columns of the models that may be asked.
    """

    judge: Judge
    prior: Floats
    prices: Prices
    worth: float
    limit: float
    allowed: tuple[int, ...]


class Outlooks:
    """Makes outlooks for one judge's pools; what depends on the pool alone is worked out once.

    Args:
        calibration: A fitted calibration, or None for the judge of models nobody has measured.
    """

    def __init__(self, calibration: Any = None) -> None:
        self._calibration = calibration
        self._views: dict[tuple[object, ...], _View] = {}
        self._lock = Lock()

    def begin(
        self,
        policy: Policy,
        estimates: Estimates,
        allowed: Bools,
        pool: ModelPool,
        form: str | None,
    ) -> Plan | None:
        """The best first call for one prompt, or None where nothing can be planned.

        Args:
            policy: Says what a good answer is worth.
            estimates: Of one prompt.
            allowed: (1, M) which models may be asked.
            pool: The models.
            form: What kind of answer the prompt asks for, as far as it tells.
        """
        if not _is_worth_known(policy):
            return None
        view = self._view(pool, form, estimates.prior)
        ask = view.costs(policy, estimates.cost[0], allowed[0])
        if ask is None:
            return None
        worth, limit = view.worth(policy, ask, allowed[0])
        rows = Costs(
            ask=ask[None],
            verify=view.verify(ask, estimates.prompt_tokens[0], estimates.tokens[0])[None],
            sample=(SAMPLES - 1) * ask[None],
        )
        table = view.openings.table(estimates.quality, rows, allowed=allowed, limit=limit)
        return table.plan(worth)

    def of(self, policy: Policy, decision: Decision, pool: ModelPool, form: str | None) -> Outlook:
        """The outlook of a request that was decided on by `begin`.

        Args:
            policy: The policy.
            decision: The decision.
            pool: The models.
            form: What kind of answer the prompt asks for.
        """
        each = [decision.estimates[name] for name in pool.names]
        allowed = np.array([name not in decision.excluded for name in pool.names])
        view = self._view(pool, form, None)
        known = np.array([np.nan if e.cost is None else e.cost for e in each])
        tokens = np.array([np.nan if e.tokens is None else e.tokens for e in each])
        ask = view.costs(policy, known, allowed)
        assert ask is not None, "the same costs were planned with"
        worth, limit = view.worth(policy, ask, allowed)
        prices = Prices.of(
            ask,
            verify=view.verify(ask, float(decision.prompt_tokens), tokens),
            sample=(SAMPLES - 1) * ask,
            confident=view.confident,
        )
        prior = np.array([e.quality for e in each])
        return Outlook(
            view.judge, prior, prices, worth, limit, tuple(np.flatnonzero(allowed).tolist())
        )

    def _view(self, pool: ModelPool, form: str | None, prior: Floats | None) -> _View:
        key = (pool.key, _confident(pool), form)
        view = self._views.get(key)
        if view is None:
            assert prior is not None, "a request is planned before it is asked"
            judge = (
                Judge.unfitted(len(pool))
                if self._calibration is None
                else self._calibration.judge(pool.names)
            )
            view = _View(judge, pool, form, prior)
            with self._lock:
                while len(self._views) >= _KEPT:
                    self._views.pop(next(iter(self._views)))
                self._views[key] = view
        return view


def _confident(pool: ModelPool) -> tuple[bool, ...]:
    return tuple(m.capabilities.logprobs is True for m in pool)


class _View:
    """What depends on the pool and the form of answer, and not on the prompt."""

    def __init__(self, judge: Judge, pool: ModelPool, form: str | None, prior: Floats) -> None:
        self.judge = judge
        self.confident = np.array(_confident(pool))
        known = judge.forms.get(form or "text", judge.forms["text"])
        inside = np.clip(prior, 1e-4, 1 - 1e-4)
        logits = np.log(inside / (1 - inside))
        self.openings = Openings(judge, self.confident.tolist(), known, logits)
        self._arrays = pool.arrays
        self._prior = 1 / (1 + np.exp(-(logits + _PLACES[:, None])))
        self._ratios: dict[tuple[object, ...], float] = {}

    def costs(self, policy: Policy, cost: Floats, allowed: Bools) -> Floats | None:
        """(M,) cost of a call of each model, or None where one that matters is not known."""
        if not np.isnan(cost[allowed]).any():
            return np.nan_to_num(cost)
        if isinstance(policy, Threshold) and allowed.sum() == 2:
            # Without prices calls of the strong model are what is counted.
            strong = np.argmax(np.where(allowed, self._prior[len(_PLACES) // 2], -1.0))
            return np.where(np.arange(len(cost)) == strong, 1.0, 1e-6)
        return None

    def verify(self, ask: Floats, prompt_tokens: float, tokens: Floats) -> Floats:
        """(M,) cost of a verification: prompt and answer once more, a word of output."""
        arrays = self._arrays
        price = (prompt_tokens + tokens) * arrays.input_price
        return price + _VERIFY_TOKENS * arrays.output_price

    def worth(self, policy: Policy, ask: Floats, allowed: Bools) -> tuple[float, float]:
        """What a good answer is worth under a policy, USD, and what may be spent."""
        dearest = max(float(ask[allowed].max()), 1e-12)
        if isinstance(policy, WillingnessToPay):
            return policy.usd, np.inf
        if isinstance(policy, Threshold):
            # The strong model is worth its cost from a gain of `threshold` on.
            return dearest / max(policy.threshold, 1e-6), np.inf
        if isinstance(policy, BestWithin):
            return dearest * _PRICELESS, np.inf if policy.cost is None else policy.cost
        assert isinstance(policy, CheapestAbove)
        strongest = int(np.argmax(np.where(allowed, self._prior.mean(axis=0), -1.0)))
        unit = max(float(ask[strongest]), 1e-12)
        return self._ratio(policy.quality, allowed, strongest) * unit, np.inf

    def _ratio(self, share: float, allowed: Bools, strongest: int) -> float:
        """What a good answer is worth, in costs of the strongest model's call."""
        key = (share, *allowed.tolist())
        ratio = self._ratios.get(key)
        if ratio is None:
            arrays, (given, taken) = self._arrays, _TYPICAL_TOKENS
            ask = given * arrays.input_price + taken * arrays.verbosity * arrays.output_price
            ask = np.nan_to_num(ask, nan=0.0)
            tokens = np.full(ask.shape, taken) * arrays.verbosity
            rows = len(self._prior), 1
            costs = Costs(
                ask=np.tile(ask, rows),
                verify=np.tile(self.verify(ask, given, tokens), rows),
                sample=np.tile((SAMPLES - 1) * ask, rows),
            )
            worth = worth_of_share(self.openings, self._prior, costs, share, allowed)
            ratio = self._ratios[key] = worth / max(float(ask[strongest]), 1e-12)
        return ratio


def _is_worth_known(policy: Policy) -> bool:
    """Whether it is known what a good answer is worth under a policy: not for one of the user's."""
    return type(policy) in (WillingnessToPay, CheapestAbove, Threshold, BestWithin)
