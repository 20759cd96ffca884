"""What is believed of a request and what calls cost, before the first one; and that first one."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from llmroute.decision import Decision, Estimates
from llmroute.escalation.calibration import Calibration
from llmroute.escalation.judge import Judge
from llmroute.escalation.outset import Opening, Openings, worth_of_share
from llmroute.escalation.planning import Prices
from llmroute.policies import BestWithin, CheapestAbove, Policy, Threshold, WillingnessToPay
from llmroute.pool import ModelPool

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Generations of a model in all, where sampling it is the best next step.
SAMPLES = 3
#: Output tokens of a verification's answer.
_VERIFY_TOKENS = 2
#: A typical request, for what a promise is worth: tokens in and out.
_TYPICAL_TOKENS = (300.0, 300.0)
#: Typical prompts differ in difficulty by this standard deviation, in logits, as the bundled
#: router's training prompts do; these places stand for them.
_SPREAD = 0.8
_PLACES: Floats = _SPREAD * np.array([-1.6, -1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.6])
#: The judge is sure too soon, and the planner cautious: this part of what a promise leaves open is
#: held in reserve, by a judge that was calibrated and by one that was not. Chosen on the train part
#: of recorded answers, where 95 % then gave about that.
_RESERVE = {True: 0.3, False: 0.75}
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
        aim: What is aimed at.
        allowed: Columns of the models that may be asked.
    """

    judge: Judge
    prior: Floats
    prices: Prices
    aim: Aim
    allowed: tuple[int, ...]


@dataclass(frozen=True)
class Aim:
    """What a policy asks of a plan.

    Attributes:
        worth: What a good answer is worth, USD.
        limit: USD that may be spent on a prompt.
    """

    worth: float
    limit: float = math.inf


class Outlooks:
    """Makes outlooks for one judge's pools; what depends on the pool alone is worked out once.

    Args:
        calibration: A calibration's file, or None for the judge of models nobody has measured.
        buys: What may be bought of an answer: `"verify"`, `"sample"`.

    Raises:
        ArtifactError: The calibration cannot be read.
    """

    def __init__(self, calibration: str | None, buys: Collection[str]) -> None:
        self._made_of = calibration, tuple(buys)
        self._calibration = None if calibration is None else Calibration.load(calibration)
        self._views: dict[tuple[object, ...], _View] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Outlooks], tuple[str | None, tuple[str, ...]]]:
        """What was worked out stays in its process; a copy works it out anew."""
        return Outlooks, self._made_of

    def begin(
        self,
        policy: Policy,
        estimates: Estimates,
        allowed: Bools,
        pool: ModelPool,
        form: str | None,
    ) -> Opening | None:
        """The best first call for one prompt, or None where nothing can be planned.

        Args:
            policy: Says what a good answer is worth.
            estimates: Of one prompt.
            allowed: (1, M) which models may be asked.
            pool: The models.
            form: What kind of answer the prompt asks for, as far as it tells.
        """
        if not can_be_planned(policy):
            return None
        view = self._view(pool, form, estimates.scorer, estimates.prior)
        ask = view.costs(policy, estimates.cost[0], allowed[0])
        if ask is None:
            return None
        aim = view.aim(policy, ask, allowed[0])
        prices = view.prices(ask, float(estimates.prompt_tokens[0]), estimates.tokens[0])
        table = view.openings.table(estimates.quality[0], prices, allowed[0], aim.limit)
        return table.most_left(aim.worth)

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
        prior = np.array([e.quality for e in each])
        view = self._view(pool, form, decision.router, prior)
        known = np.array([np.nan if e.cost is None else e.cost for e in each])
        tokens = np.array([np.nan if e.tokens is None else e.tokens for e in each])
        ask = view.costs(policy, known, allowed)
        assert ask is not None, "the same costs were planned with"
        prices = view.prices(ask, float(decision.prompt_tokens), tokens)
        aim = view.aim(policy, ask, allowed)
        return Outlook(view.judge, prior, prices, aim, tuple(np.flatnonzero(allowed).tolist()))

    def _view(self, pool: ModelPool, form: str | None, scorer: str, prior: Floats) -> _View:
        key = (pool.key, _confident(pool), form, scorer)
        view = self._views.get(key)
        if view is None:
            judge = (
                Judge.unfitted(len(pool))
                if self._calibration is None
                else self._calibration.judge(pool.names)
            )
            reserve = _RESERVE[self._calibration is not None]
            view = _View(judge, pool, form, prior, self._made_of[1], reserve)
            with self._lock:
                while len(self._views) >= _KEPT:
                    self._views.pop(next(iter(self._views)))
                self._views[key] = view
        return view


def _confident(pool: ModelPool) -> tuple[bool, ...]:
    return tuple(m.capabilities.logprobs is True for m in pool)


class _View:
    """What depends on the pool and the form of answer, and not on the prompt."""

    def __init__(
        self,
        judge: Judge,
        pool: ModelPool,
        form: str | None,
        prior: Floats,
        buys: Collection[str],
        reserve: float,
    ) -> None:
        self.judge = judge
        self._reserve = reserve
        self._buys = buys
        self.confident = np.array(_confident(pool))
        known = judge.forms.get(form or "text", judge.forms["text"])
        self.openings = Openings(judge, self.confident.tolist(), known, prior)
        self._arrays = pool.arrays
        self._prior = prior
        inside = np.clip(prior, 1e-4, 1 - 1e-4)
        logits = np.log(inside / (1 - inside)) + _PLACES[:, None]
        self._typical = 1 / (1 + np.exp(-logits))
        self._worths: dict[tuple[object, ...], float] = {}

    def costs(self, policy: Policy, cost: Floats, allowed: Bools) -> Floats | None:
        """(M,) cost of a call of each model, or None where one that matters is not known."""
        unknown = np.isnan(cost)
        if not (unknown & allowed).any():
            return np.where(unknown, 0.0, cost)
        if isinstance(policy, Threshold) and allowed.sum() == 2:
            # Without prices calls of the strong model are what is counted.
            strong = np.argmax(np.where(allowed, self._prior, -1.0))
            return np.where(np.arange(len(cost)) == strong, 1.0, 1e-6)
        return None

    def aim(self, policy: Policy, ask: Floats, allowed: Bools) -> Aim:
        """What a policy asks of a plan.

        Args:
            policy: One that `can_be_planned`.
            ask: (M,) USD of a call of each model.
            allowed: (M,) which may be asked.
        """
        dearest = max(float(ask[allowed].max()), 1e-12)
        if isinstance(policy, WillingnessToPay):
            return Aim(policy.usd)
        if isinstance(policy, Threshold):
            # The strong model is worth its cost from a gain of `threshold` on.
            return Aim(dearest / max(policy.threshold, 1e-6))
        if isinstance(policy, BestWithin):
            return Aim(dearest * _PRICELESS, math.inf if policy.cost is None else policy.cost)
        assert isinstance(policy, CheapestAbove), "the others have no known aim"
        return Aim(dearest * self._worth(policy.quality, allowed))

    def _worth(self, share: float, allowed: Bools) -> float:
        """What a good answer is worth where a share of the best quality is promised.

        In costs of the dearest call, so that long prompts are treated as short ones are.
        """
        key = share, *allowed.tolist()
        if key not in self._worths:
            arrays, (given, taken) = self._arrays, _TYPICAL_TOKENS
            tokens = taken * arrays.verbosity
            ask = given * arrays.input_price + tokens * arrays.output_price
            prices = self.prices(np.where(np.isnan(ask), 0.0, ask), given, tokens)
            aimed = share * (1 + self._reserve * (1 - share))
            worth = worth_of_share(self.openings, self._typical, prices, aimed, allowed)
            self._worths[key] = worth / max(float(prices.ask[allowed].max()), 1e-12)
        return self._worths[key]

    def prices(self, ask: Floats, prompt_tokens: float, tokens: Floats) -> Prices:
        """What each step costs for one prompt.

        Args:
            ask: (M,) USD of a call of each model.
            prompt_tokens: Tokens of the request.
            tokens: (M,) expected output tokens.
        """
        # A verification is the prompt and the answer once more, and a word of output.
        verify = (prompt_tokens + tokens) * self._arrays.input_price
        verify = verify + _VERIFY_TOKENS * self._arrays.output_price
        none = np.full(ask.shape, np.nan)
        return Prices(
            ask=ask,
            verify=verify if "verify" in self._buys else none,
            sample=(SAMPLES - 1) * ask if "sample" in self._buys else none,
            confident=self.confident,
        )


def can_be_planned(policy: Policy) -> bool:
    """Whether it is known what a policy aims at; of a policy of the user's own it is not.

    Args:
        policy: The policy.
    """
    return type(policy) in (WillingnessToPay, CheapestAbove, Threshold, BestWithin)
