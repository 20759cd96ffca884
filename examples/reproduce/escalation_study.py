"""The data on cascades, and the judges that were fitted on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from examples.reproduce.escalation_replay import DraftContext, cases, replay
from llmroute.escalation.calibration_file import Calibration
from llmroute.evaluation.run import Run
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import folds


@dataclass(frozen=True)
class Study:
    """Both splits of the data on cascades, and what was fitted on train.

    Attributes:
        train: The train split.
        test: The test split.
        calibration: The judge, fitted on all of train.
        folds: Judges fitted without each fold of train.
        fold: (P,) fold of each prompt of train.
    """

    train: DraftContext
    test: DraftContext
    calibration: Calibration
    folds: tuple[Calibration, ...]
    fold: npt.NDArray[np.int64]

    @classmethod
    def of(cls, data: Path) -> Study:
        """Reads the data and fits.

        Args:
            data: The folder of recorded outcomes.
        """
        read = [Outcomes.read(data, split, responses=True) for split in ("train", "test")]
        train, test = cases(*(outcomes.complete() for outcomes in read))
        fold = folds(train.outcomes.prompts)
        names = train.outcomes.models
        return cls(
            train=train,
            test=test,
            calibration=Calibration.fit(names, train.recorded()),
            folds=tuple(
                Calibration.fit(names, train.select(fold != k).recorded()) for k in np.unique(fold)
            ),
            fold=fold,
        )

    def cross_fitted(self, names: Sequence[str], worths: Floats) -> Run:
        """The replay on train, each prompt judged by a judge that was not fitted on it.

        Args:
            names: The models that may be asked.
            worths: USD of a good answer.
        """
        columns = [self.train.outcomes.models.index(name) for name in names]
        context = self.train.only(columns)
        score, cost = np.zeros((2, len(worths), len(context.outcomes)))
        for number, calibration in enumerate(self.folds):
            rows = self.fold == number
            run = replay("", calibration.belief_model(names), context.select(rows), worths)
            score[:, rows], cost[:, rows] = run.score, run.cost
        return Run("cross-fitted", score, cost, np.zeros_like(cost), worths)
