"""What is expected of a request and what its calls cost, before the first one."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import compress
from threading import Lock

import numpy as np

from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.calibration_file import Calibration
from llmroute.escalation.first_call import FirstCallOptions, FirstCallPlan, lambda_for_quality
from llmroute.escalation.latent_difficulty import LEAST
from llmroute.escalation.next_call import Prices
from llmroute.numerics import Bools, Floats, logit
from llmroute.policies import BestWithin, CheapestAbove, Policy, Threshold, WillingnessToPay
from llmroute.pool import ModelPool
from llmroute.records import Decision, Estimates

#: Answers of a model in all, where sampling it is the best next step.
SAMPLES = 3
#: Output tokens of a verification's answer.
_VERIFY_TOKENS = 2
#: Tokens in and out of a typical request, for which λ of a promise is worked out.
_TYPICAL_TOKENS = (300.0, 300.0)
#: Typical prompts differ in difficulty by this standard deviation, in logits, as the bundled
#: router's training prompts do; these offsets stand for them.
_SPREAD = 0.8
_OFFSETS: Floats = _SPREAD * np.array([-1.6, -1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0, 1.6])
#: Beliefs are too sure, and plans cautious: this part of what a promise leaves open is held in
#: reserve, without a calibration and with one. Chosen on the train part of recorded answers, where
#: 95 % then gave about that.
_RESERVE, _RESERVE_CALIBRATED = 0.4, 0.2
#: λ in units of the dearest call, where only a limit on the spend holds.
_PRICELESS = 1e6
#: Pools whose first-call options are kept.
_KEPT = 64


@dataclass(frozen=True)
class RequestPlan:
    """What is expected of one request, and what calls cost, before the first one.

    Attributes:
        belief_model: Of the pool's M models.
        options: Of the first call.
        prior: (M,) success probabilities.
        prices: What the steps cost.
        allowed: (M,) which models may be asked.
        value_per_answer: λ, USD that a good answer is worth.
        limit: USD that may be spent on the prompt.
    """

    belief_model: BeliefModel
    options: FirstCallOptions
    prior: Floats
    prices: Prices
    allowed: Sequence[bool]
    value_per_answer: float
    limit: float

    def first_call(self) -> FirstCallPlan:
        """The best first call."""
        table = self.options.table(self.prior, self.prices, self.allowed, self.limit)
        return table.best_option(self.value_per_answer)


class RequestPlanner:
    """Makes plans of requests; what depends on the pool alone is worked out once.

    Args:
        calibration: A calibration's file, or None for models that were not measured.
        buys: What may be bought of an answer: `"verify"`, `"sample"`.

    Raises:
        ArtifactError: The calibration cannot be read.
    """

    def __init__(self, calibration: str | None, buys: Collection[str]) -> None:
        self._arguments = calibration, tuple(buys)
        self._calibration = None if calibration is None else Calibration.load(calibration)
        self._pools: dict[tuple[object, ...], _PoolPlanner] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[RequestPlanner], tuple[str | None, tuple[str, ...]]]:
        """What was worked out stays in its process; a copy works it out again."""
        return RequestPlanner, self._arguments

    def of_estimates(
        self,
        policy: Policy,
        estimates: Estimates,
        allowed: Bools,
        pool: ModelPool,
        form: str | None,
    ) -> RequestPlan | None:
        """The plan of a prompt that is to be decided on; None where nothing can be planned.

        Args:
            policy: Gives the value of a good answer. Of a policy of the user's own it is not known.
            estimates: Of one prompt.
            allowed: (1, M) which models may be asked.
            pool: The models.
            form: What kind of answer the prompt asks for, as far as it shows.
        """
        if type(policy) not in (WillingnessToPay, CheapestAbove, Threshold, BestWithin):
            return None
        planner = self._planner(pool, form, estimates.scorer, estimates.prior_quality)
        return planner.plan(
            policy,
            estimates.quality[0],
            estimates.cost[0].tolist(),
            float(estimates.prompt_tokens[0]),
            estimates.tokens[0].tolist(),
            allowed[0].tolist(),
        )

    def of_decision(
        self, policy: Policy, decision: Decision, pool: ModelPool, form: str | None
    ) -> RequestPlan:
        """The plan of a request that was decided on by `of_estimates`; no estimates are left."""
        each = [decision.estimates[name] for name in pool.names]
        prior = np.array([e.quality for e in each])
        plan = self._planner(pool, form, decision.router, prior).plan(
            policy,
            prior,
            [math.nan if e.cost is None else e.cost for e in each],
            float(decision.prompt_tokens),
            [math.nan if e.tokens is None else e.tokens for e in each],
            [name not in decision.excluded for name in pool.names],
        )
        assert plan is not None, "the same costs were planned with"
        return plan

    def _planner(
        self, pool: ModelPool, form: str | None, scorer: str, prior: Floats
    ) -> _PoolPlanner:
        confident = tuple([m.capabilities.logprobs is True for m in pool.models])
        key = (pool.key, confident, form, scorer)
        planner = self._pools.get(key)
        if planner is None:
            planner = _PoolPlanner(
                self._calibration, self._arguments[1], pool, confident, form, prior
            )
            with self._lock:
                while len(self._pools) >= _KEPT:
                    self._pools.pop(next(iter(self._pools)))
                self._pools[key] = planner
        return planner


class _PoolPlanner:
    """What depends on the pool and the form of answer, and not on the prompt."""

    def __init__(
        self,
        calibration: Calibration | None,
        buys: Collection[str],
        pool: ModelPool,
        confident: Sequence[bool],
        form: str | None,
        prior: Floats,
    ) -> None:
        if calibration is None:
            self._belief_model, self._reserve = BeliefModel.unfitted(len(pool)), _RESERVE
        else:
            self._belief_model = calibration.belief_model(pool.names)
            self._reserve = _RESERVE_CALIBRATED
        forms = self._belief_model.forms
        known = forms.get(form or "text", forms["text"])
        self._options = FirstCallOptions(self._belief_model, confident, known, prior)
        self._confident, self._buys = confident, buys
        self._input_price: list[float] = pool.arrays.input_price.tolist()
        self._output_price: list[float] = pool.arrays.output_price.tolist()
        self._verbosity: list[float] = pool.arrays.verbosity.tolist()
        self._prior: list[float] = prior.tolist()
        self._typical = 1 / (1 + np.exp(-(logit(prior, LEAST) + _OFFSETS[:, None])))
        self._lambdas: dict[tuple[object, ...], float] = {}

    def plan(
        self,
        policy: Policy,
        prior: Floats,
        cost: Sequence[float],
        prompt_tokens: float,
        tokens: Sequence[float],
        allowed: Sequence[bool],
    ) -> RequestPlan | None:
        """The plan of one prompt; None where a cost that matters is not known (NaN)."""
        ask = self._known(policy, cost, allowed)
        if ask is None:
            return None
        prices = self._prices(ask, prompt_tokens, tokens)
        value_per_answer, limit = self._value_and_limit(policy, prices, allowed)
        return RequestPlan(
            self._belief_model, self._options, prior, prices, allowed, value_per_answer, limit
        )

    def _known(
        self, policy: Policy, cost: Sequence[float], allowed: Sequence[bool]
    ) -> Sequence[float] | None:
        """By model, USD of a call; None where one that matters is not known."""
        if not any(map(math.isnan, cost)):
            return cost
        if not any(map(math.isnan, compress(cost, allowed))):
            return [0.0 if math.isnan(usd) else usd for usd in cost]
        if isinstance(policy, Threshold) and sum(allowed) == 2:
            # Without prices calls of the strong model are what is counted.
            models = range(len(cost))
            strong = max(compress(models, allowed), key=self._prior.__getitem__)
            return [1.0 if model == strong else 1e-6 for model in models]
        return None

    def _prices(
        self, ask: Sequence[float], prompt_tokens: float, tokens: Sequence[float]
    ) -> Prices:
        # A verification is the prompt and the answer once more, and a word of output.
        verify = [
            (prompt_tokens + answer) * usd_in + _VERIFY_TOKENS * usd_out
            for answer, usd_in, usd_out in zip(
                tokens, self._input_price, self._output_price, strict=True
            )
        ]
        return Prices(
            ask,
            verify=verify if "verify" in self._buys else (),
            sample=[(SAMPLES - 1) * usd for usd in ask] if "sample" in self._buys else (),
            confident=self._confident,
        )

    def _value_and_limit(
        self, policy: Policy, prices: Prices, allowed: Sequence[bool]
    ) -> tuple[float, float]:
        """λ under a policy, and USD that may be spent on the prompt."""
        dearest = prices.dearest(allowed)
        if isinstance(policy, CheapestAbove):
            return dearest * self._lambda(policy.quality, allowed), math.inf
        if isinstance(policy, WillingnessToPay):
            return policy.usd, math.inf
        if isinstance(policy, Threshold):
            # The strong model is worth its cost from a gain of `threshold` on.
            return dearest / max(policy.threshold, 1e-6), math.inf
        assert isinstance(policy, BestWithin), "others are not planned with"
        return dearest * _PRICELESS, math.inf if policy.cost is None else policy.cost

    def _lambda(self, share: float, allowed: Sequence[bool]) -> float:
        """λ where a share of the best quality is promised, in costs of the dearest call.

        So long prompts are treated as short ones are.
        """
        key = share, *allowed
        if key not in self._lambdas:
            taken, typical = _TYPICAL_TOKENS
            tokens = [typical * verbosity for verbosity in self._verbosity]
            each = zip(tokens, self._input_price, self._output_price, strict=True)
            ask = [taken * usd_in + given * usd_out for given, usd_in, usd_out in each]
            prices = self._prices([0.0 if math.isnan(usd) else usd for usd in ask], taken, tokens)
            aimed = share * (1 + self._reserve * (1 - share))
            found = lambda_for_quality(self._options, self._typical, prices, aimed, allowed)
            self._lambdas[key] = found / prices.dearest(allowed)
        return self._lambdas[key]
