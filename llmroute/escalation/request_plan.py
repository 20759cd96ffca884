"""What is believed of a request and what calls cost, before the first one; and that first one."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import compress
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.first_call import FirstCallOption, FirstCallOptions, lambda_for_quality
from llmroute.escalation.latent_difficulty import LEAST
from llmroute.escalation.next_call import Prices
from llmroute.numerics import Bools, Floats, logit
from llmroute.policies import BestWithin, CheapestAbove, Policy, Threshold, WillingnessToPay
from llmroute.pool import ModelPool
from llmroute.records import Decision, Estimates

if TYPE_CHECKING:
    from llmroute.escalation.calibration_file import Calibration


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
_RESERVE = {True: 0.2, False: 0.4}
#: What a good answer is worth, in units of the dearest call, where only a limit on the spend holds.
_PRICELESS = 1e6
#: Pools whose openings are kept.
_KEPT = 64


@dataclass(frozen=True)
class RequestPlan:
    """What is believed of one request, and what calls cost, before the first one.

    Attributes:
        belief_model: The judge of the pool's M models.
        prior: (M,) success probabilities.
        prices: What the steps cost.
        objective: What is aimed at.
        allowed: Columns of the models that may be asked.
    """

    belief_model: BeliefModel
    prior: Floats
    prices: Prices
    objective: Objective
    allowed: tuple[int, ...]


@dataclass(frozen=True)
class Objective:
    """What a policy asks of a plan.

    Attributes:
        value_per_answer: What a good answer is worth, USD.
        limit: USD that may be spent on a prompt.
    """

    value_per_answer: float
    limit: float = math.inf


class RequestPlanner:
    """Makes outlooks for one judge's pools; what depends on the pool alone is worked out once.

    Args:
        calibration: A calibration's file, or None for the judge of models nobody has measured.
        buys: What may be bought of an answer: `"verify"`, `"sample"`.

    Raises:
        ArtifactError: The calibration cannot be read.
    """

    def __init__(self, calibration: str | None, buys: Collection[str]) -> None:
        self._made_of = calibration, tuple(buys)
        self._calibration: Calibration | None = None
        if calibration is not None:
            # Imported here, because it brings all that fitting one needs.
            from llmroute.escalation import calibration_file as files

            self._calibration = files.Calibration.load(calibration)
        self._views: dict[tuple[object, ...], _View] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[RequestPlanner], tuple[str | None, tuple[str, ...]]]:
        """What was worked out stays in its process; a copy works it out again."""
        return RequestPlanner, self._made_of

    def begin(
        self,
        policy: Policy,
        estimates: Estimates,
        allowed: Bools,
        pool: ModelPool,
        form: str | None,
    ) -> FirstCallOption | None:
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
        view = self._view(pool, form, estimates.scorer, estimates.prior_quality)
        may: list[bool] = allowed[0].tolist()
        ask = view.costs(policy, estimates.cost[0].tolist(), may)
        if ask is None:
            return None
        prices = view.prices(ask, float(estimates.prompt_tokens[0]), estimates.tokens[0].tolist())
        objective = view.objective(policy, prices, may)
        table = view.first_call_options.table(estimates.quality[0], prices, may, objective.limit)
        return table.best_option(objective.value_per_answer)

    def of(
        self, policy: Policy, decision: Decision, pool: ModelPool, form: str | None
    ) -> RequestPlan:
        """The outlook of a request that was decided on by `begin`.

        Args:
            policy: The policy.
            decision: The decision.
            pool: The models.
            form: What kind of answer the prompt asks for.
        """
        each = [decision.estimates[name] for name in pool.names]
        may = [name not in decision.excluded for name in pool.names]
        prior = np.array([e.quality for e in each])
        view = self._view(pool, form, decision.router, prior)
        ask = view.costs(policy, [math.nan if e.cost is None else e.cost for e in each], may)
        assert ask is not None, "the same costs were planned with"
        tokens = [math.nan if e.tokens is None else e.tokens for e in each]
        prices = view.prices(ask, float(decision.prompt_tokens), tokens)
        objective = view.objective(policy, prices, may)
        allowed = tuple(m for m, is_allowed in enumerate(may) if is_allowed)
        return RequestPlan(view.belief_model, prior, prices, objective, allowed)

    def _view(self, pool: ModelPool, form: str | None, scorer: str, prior: Floats) -> _View:
        key = (pool.key, _confident(pool), form, scorer)
        view = self._views.get(key)
        if view is None:
            belief_model = (
                BeliefModel.unfitted(len(pool))
                if self._calibration is None
                else self._calibration.belief_model(pool.names)
            )
            reserve = _RESERVE[self._calibration is not None]
            view = _View(belief_model, pool, form, prior, self._made_of[1], reserve)
            with self._lock:
                while len(self._views) >= _KEPT:
                    self._views.pop(next(iter(self._views)))
                self._views[key] = view
        return view


def _confident(pool: ModelPool) -> tuple[bool, ...]:
    return tuple([m.capabilities.logprobs is True for m in pool.models])


class _View:
    """What depends on the pool and the form of answer, and not on the prompt."""

    def __init__(
        self,
        belief_model: BeliefModel,
        pool: ModelPool,
        form: str | None,
        prior: Floats,
        buys: Collection[str],
        reserve: float,
    ) -> None:
        self.belief_model = belief_model
        self._reserve = reserve
        self._buys = buys
        self._confident = _confident(pool)
        known = belief_model.forms.get(form or "text", belief_model.forms["text"])
        self.first_call_options = FirstCallOptions(belief_model, self._confident, known, prior)
        self._input_price: list[float] = pool.arrays.input_price.tolist()
        self._output_price: list[float] = pool.arrays.output_price.tolist()
        self._verbosity: list[float] = pool.arrays.verbosity.tolist()
        self._prior: list[float] = prior.tolist()
        self._typical = 1 / (1 + np.exp(-(logit(prior, LEAST) + _PLACES[:, None])))
        self._lambdas: dict[tuple[object, ...], float] = {}

    def costs(
        self, policy: Policy, cost: Sequence[float], allowed: Sequence[bool]
    ) -> Sequence[float] | None:
        """By model, USD of a call; None where one that matters is not known (NaN)."""
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

    def objective(self, policy: Policy, prices: Prices, allowed: Sequence[bool]) -> Objective:
        """What a policy asks of a plan.

        Args:
            policy: One that `can_be_planned`.
            prices: What the steps cost.
            allowed: Which models may be asked.
        """
        dearest = prices.dearest(allowed)
        if isinstance(policy, CheapestAbove):
            return Objective(dearest * self._lambda(policy.quality, allowed))
        if isinstance(policy, WillingnessToPay):
            return Objective(policy.usd)
        if isinstance(policy, Threshold):
            # The strong model is worth its cost from a gain of `threshold` on.
            return Objective(dearest / max(policy.threshold, 1e-6))
        assert isinstance(policy, BestWithin), "the others have no known aim"
        return Objective(dearest * _PRICELESS, math.inf if policy.cost is None else policy.cost)

    def _lambda(self, share: float, allowed: Sequence[bool]) -> float:
        """What a good answer is worth where a share of the best quality is promised.

        In costs of the dearest call, so that long prompts are treated as short ones are.
        """
        key = share, *allowed
        if key not in self._lambdas:
            given, taken = _TYPICAL_TOKENS
            tokens = [taken * verbosity for verbosity in self._verbosity]
            each = zip(tokens, self._input_price, self._output_price, strict=True)
            ask = [given * usd_in + taken * usd_out for taken, usd_in, usd_out in each]
            known = [0.0 if math.isnan(usd) else usd for usd in ask]
            prices = self.prices(known, given, tokens)
            aimed = share * (1 + self._reserve * (1 - share))
            value_per_answer = lambda_for_quality(
                self.first_call_options, self._typical, prices, aimed, allowed
            )
            self._lambdas[key] = value_per_answer / prices.dearest(allowed)
        return self._lambdas[key]

    def prices(self, ask: Sequence[float], prompt_tokens: float, tokens: Sequence[float]) -> Prices:
        """What each step costs for one prompt.

        Args:
            ask: By model, USD of a call.
            prompt_tokens: Tokens of the request.
            tokens: By model, expected output tokens.
        """
        # A verification is the prompt and the answer once more, and a word of output.
        verify = [
            (prompt_tokens + said) * usd_in + _VERIFY_TOKENS * usd_out
            for said, usd_in, usd_out in zip(
                tokens, self._input_price, self._output_price, strict=True
            )
        ]
        return Prices.of(
            ask,
            verify=verify if "verify" in self._buys else None,
            sample=[(SAMPLES - 1) * usd for usd in ask] if "sample" in self._buys else None,
            confident=self._confident,
        )


def can_be_planned(policy: Policy) -> bool:
    """Whether it is known what a policy aims at; of a policy of the user's own it is not.

    Args:
        policy: The policy.
    """
    return type(policy) in (WillingnessToPay, CheapestAbove, Threshold, BestWithin)
