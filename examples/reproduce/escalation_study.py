"""The data on cascades, what is fitted on its train split, and the router replayed on it.

Every figure is made by the router's own code (`llmroute.evaluation.replayer`): a plan for each
prompt, calls answered from the records, verification calls paid as recorded. The scorer is a router
trained on the train split; estimates of train prompts are by routers of folds that took no part in
them, and so is what the calibration is fitted on. A replay takes 10 to 20 ms a prompt with nine
models and 3 to 9 ms with two, so all sweeps of the page take one to two hours on one core.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llmroute.chain import RouterChain
from llmroute.escalation.escalation import Escalation
from llmroute.evaluation.replayer import joined, replayed
from llmroute.evaluation.run import Run
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import folds
from llmroute.policies import WillingnessToPay
from llmroute.pool import ModelPool
from llmroute.profiling.calibrate import calibrate
from llmroute.records import Estimates
from llmroute.routers.trainer import train as train_router
from llmroute.scoring.pool_fit import pool_from_outcomes

#: The router whose estimates are the prior, as `llmroute train` makes it of the train split.
ROUTER, FEATURES = "ensemble", "both"


class KnownEstimates:
    """A scorer that has read all its prompts already.

    Args:
        prompts: P prompts; of equal ones the last counts.
        estimates: Their estimates for all models.
    """

    name, version = ROUTER, "cross-fitted"

    def __init__(self, prompts: Sequence[str], estimates: Estimates) -> None:
        self._row = {prompt: row for row, prompt in enumerate(prompts)}
        self.estimates = estimates

    def estimate(self, prompts: Sequence[str], pool: ModelPool) -> Estimates:
        """Their estimates for the pool's models.

        Args:
            prompts: Some of its prompts, as they were given.
            pool: Some of its models.
        """
        columns = [self.estimates.models.index(name) for name in pool.names]
        found = self.estimates.rows([self._row[prompt] for prompt in prompts])
        tables = ("quality", "cost", "tokens", "latency")
        return replace(
            found,
            models=pool.names,
            prior_quality=found.prior_quality[columns],
            output_cost=None,
            output_range=None,
            **{name: getattr(found, name)[:, columns] for name in tables},
        )


@dataclass(frozen=True)
class Study:
    """Both splits of the data on cascades, and what was fitted on train.

    Attributes:
        train: The train split: prompts that every model answered.
        test: The test split of the same.
        scorer: Estimates of the prompts of both.
        pool: The models with the prices that explain their costs on train.
        calibration: File of the calibration that was fitted on all of train.
        fold: (P,) fold of each prompt of train.
        of_fold: For each fold, the file of the calibration that was fitted without it.
    """

    train: Outcomes
    test: Outcomes
    scorer: KnownEstimates
    pool: ModelPool
    calibration: str
    fold: npt.NDArray[np.int64]
    of_fold: tuple[str, ...]

    @classmethod
    def of(cls, data: Path, work: Path) -> Study:
        """Reads the data and fits.

        Args:
            data: The folder of recorded outcomes.
            work: A folder for the calibrations.
        """
        train, test = (
            Outcomes.read(data, split, responses=True).complete() for split in ("train", "test")
        )
        fold = folds(train.prompts)
        held = [fold == number for number in np.unique(fold)]
        parts = [_estimates(train.select(~part), train.select(part)) for part in held]
        rows = np.argsort(np.concatenate([np.flatnonzero(part) for part in held]))
        known = joined([joined(parts, rows), _estimates(train, test)])
        scorer = KnownEstimates((*train.prompts, *test.prompts), known)

        def calibrated(name: str, outcomes: Outcomes) -> str:
            path = work / f"{name}.json"
            calibrate(outcomes, scorer).save(path)
            return str(path)

        return cls(
            train=train,
            test=test,
            scorer=scorer,
            pool=pool_from_outcomes(train),
            calibration=calibrated("all", train),
            fold=fold,
            of_fold=tuple(calibrated(f"without-{k}", train.select(~p)) for k, p in enumerate(held)),
        )

    def sweep(self, name: str, outcomes: Outcomes, values: Floats, calibration: str | None) -> Run:
        """The router with `escalation="auto"`, replayed at each value of a good answer.

        Args:
            name: What it is called in a table.
            outcomes: P prompts of either split, of the models that may be asked.
            values: (N,) USD that a good answer is worth: λ of the policy.
            calibration: The file; None for none.
        """
        pool = ModelPool([self.pool[model] for model in outcomes.models])
        escalation = Escalation("auto", buys=("verify",), calibration=calibration)
        score, cost = np.zeros((2, len(values), len(outcomes)))
        for row, usd in enumerate(values.tolist()):
            policy = WillingnessToPay(usd=usd)
            chain = RouterChain(pool=pool, scorer=self.scorer, policy=policy, escalation=escalation)
            found = replayed(chain, outcomes)
            score[row], cost[row] = found.score, found.cost
        return Run(name, score, cost, np.zeros_like(cost), values)

    def cross_fitted(self, values: Floats) -> Run:
        """The sweep on train, each prompt with a calibration that was not fitted on it.

        Args:
            values: (N,) USD that a good answer is worth.
        """
        score, cost = np.zeros((2, len(values), len(self.train)))
        for number, calibration in zip(np.unique(self.fold), self.of_fold, strict=True):
            rows = self.fold == number
            run = self.sweep("", self.train.select(rows), values, calibration)
            score[:, rows], cost[:, rows] = run.score, run.cost
        return Run("cross-fitted", score, cost, np.zeros_like(cost), values)

    def estimates(self, outcomes: Outcomes) -> Estimates:
        """The scorer's estimates of some prompts and models."""
        return self.scorer.estimate(outcomes.prompts, ModelPool(list(outcomes.models)))


def _estimates(train: Outcomes, asked: Outcomes) -> Estimates:
    """What a router that was trained on other prompts expects."""
    with tempfile.TemporaryDirectory() as folder:
        scorer = train_router(ROUTER, [train], str(Path(folder) / "router"), features=FEATURES)
        return scorer.estimate(asked.prompts, ModelPool(list(train.models)))
