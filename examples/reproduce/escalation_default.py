"""The router as it is configured, replayed with what looks at answers: its own code runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from examples.reproduce.escalation_figures import reached
from llmroute.chain import RouterChain
from llmroute.escalation.escalation import Escalation
from llmroute.evaluation.baselines import zero_router
from llmroute.evaluation.replayer import replayed
from llmroute.evaluation.run import spend_of, strongest
from llmroute.metrics import cost_at
from llmroute.metrics.bootstrap import Interval, Resamples, interval
from llmroute.outcomes.outcomes import Outcomes
from llmroute.policies import CheapestAbove
from llmroute.pool import ModelPool
from llmroute.profiling.calibrate import calibrate
from llmroute.scoring import load_scorer

#: The share of the best model's quality that is promised: the default.
SHARES = (0.95,)


def figures(
    train: Outcomes, test: Outcomes, models: tuple[str, ...]
) -> Iterator[tuple[str, float, Interval, Interval, float, Interval]]:
    """What `RouterChain(pool=pool)` makes of the test split, at some promises.

    The pool's abilities are fitted on train, and the calibration on train by parts. Samples were
    not recorded, so none are bought.

    Args:
        train: Outcomes with responses, that every model answered.
        test: The same of other prompts.
        models: The pool.

    Yields:
        The escalation, the promise, quality and cost as shares of the best single model's, calls
        a prompt, and the share of that cost at which the zero router has the same quality.
    """
    measured = test.only(list(models))
    best, resamples = strongest(measured), Resamples(measured.prompt_ids)
    single = resamples.means(
        np.stack([measured.score[:, best], spend_of(measured)[:, best]], axis=1)
    )
    zero = zero_router(measured)
    mixes = np.stack([resamples.means(zero.cost.T), resamples.means(zero.score.T)], axis=-1)
    fitted = ModelPool.from_outcomes(train)
    pool = ModelPool([model for model in fitted if model.name in models])
    with tempfile.TemporaryDirectory() as folder:
        calibration = Path(folder) / "calibration.json"
        calibrate(train, load_scorer("static")).save(calibration)
        for name, escalation in (
            ("prompt only", None),
            ("auto", Escalation("auto", buys=("verify",))),
            (
                "auto, calibrated",
                Escalation("auto", buys=("verify",), calibration=str(calibration)),
            ),
        ):
            for share in SHARES:
                router = RouterChain(
                    pool=pool, policy=CheapestAbove(quality=share), escalation=escalation
                )
                found = replayed(router, measured)
                means = resamples.means(np.stack([found.score, found.cost], axis=1))
                ratio = means / single
                mixed = reached(cost_at(mixes, means[:, :1])[:, 0] / single[:, 1])
                prompts = len(measured)
                yield (
                    name,
                    share,
                    interval(ratio[:, 0], prompts),
                    interval(ratio[:, 1], prompts),
                    float(found.calls.sum(axis=1).mean()),
                    interval(mixed, prompts),
                )
