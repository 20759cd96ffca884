"""Recorded outcomes as the figures of docs/profile.md are measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from llmroute.evaluation import Outcomes, pool_from_outcomes
from llmroute.evaluation.baselines import estimates_run, oracle_sweep
from llmroute.evaluation.figures import Ground
from llmroute.evaluation.run import Run
from llmroute.metrics import Resamples, apgr_replicates, closed_gap, interval
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.splits import splits
from llmroute.pool import ModelPool

REPLICATES = 500
AIQ, WIN, GAIN = "AIQ", "APGR", "APGR by gain"


@dataclass(frozen=True)
class Field:
    """Outcomes that answers are drawn from, and outcomes that are measured.

    Attributes:
        name: What it is called in a table.
        train: Where answers are drawn from: the train part.
        test: What is measured: prompts that all models answered.
        has_train: False where there is no train part: then `train` is the test part, in turn four
            fifths of it for the prompts of the last fifth.
    """

    name: str
    train: Outcomes
    test: Outcomes
    has_train: bool

    @classmethod
    def read(cls, data: str) -> Field:
        """Reads a folder, or the part of it whose categories have a text in their names.

        More than two models without costs become two: the strongest and the second weakest.

        Args:
            data: `FOLDER` or `FOLDER=PART`.

        Raises:
            ConfigurationError: It cannot be read.
        """
        folder, _, part = data.partition("=")
        train, test = Outcomes.read(folder, "train"), Outcomes.read(folder, "test")
        name = f"`{Path(folder).name}`" + (f" {part}" if part else "")
        if test.cost is None and len(test.models) > 2:
            order = np.argsort(np.nanmean(train.score, axis=0), kind="stable")
            pair = [train.models[order[1]], train.models[order[-1]]]
            train, test = train.only(pair), test.only(pair)
            name += f", {pair[0]} → {pair[1]}"
        train, test = _part(train, part), _part(test, part)
        return cls(name, train if len(train) else test, test, len(train) > 0)

    def splits(self) -> Iterator[tuple[Ints, Ints]]:
        """Indices into `train` to learn from, and indices into `test` to estimate."""
        return splits(self.test, self.train if self.has_train else None)

    def pool(self) -> ModelPool:
        """The models with the prices that explain their costs on `train`, abilities unknown."""
        return without_abilities(pool_from_outcomes(self.train))

    @cached_property
    def ground(self) -> Ground:
        """The bootstrap over its test prompts."""
        return Ground(self.test, Resamples(self.test.prompt_ids, REPLICATES))

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured on it."""
        return (WIN, GAIN) if self.test.cost is None else (AIQ,)

    def figures(self, quality: Floats, cost: Floats) -> dict[str, Floats]:
        """Each measure of estimates for the test prompts.

        Args:
            quality: (P, M) estimated quality.
            cost: (P, M) estimated cost, USD; not read on data without costs.

        Returns:
            Measure → (R+1,) the figure on the sample, then on each bootstrap replicate.
        """
        if self.test.cost is not None:
            return {AIQ: self.aiq(quality, cost)}
        strong = self.ground.strong
        pair = [1 - strong, strong]
        (weak, able), score = quality[:, pair].T, self.test.score[:, pair]
        preferences = {WIN: able * (1 - weak), GAIN: able - weak}
        return {name: self._apgr(preferred, score) for name, preferred in preferences.items()}

    def aiq(self, quality: Floats, cost: Floats) -> Floats:
        """(R+1,) AIQ of the choices that estimates lead to, on data with costs.

        Args:
            quality: (P, M) estimated quality.
            cost: (P, M) estimated cost, USD.
        """
        return self._area(estimates_run("estimates", self.test, quality, cost))

    def closed(self, aiq: Floats) -> Floats:
        """(R+1,) share of the gap from zero router to oracle that an AIQ closes.

        Args:
            aiq: (R+1,) the AIQ.
        """
        return closed_gap(aiq, self.zero, self.oracle)

    @cached_property
    def zero(self) -> Floats:
        """(R+1,) AIQ of the zero router."""
        return self.ground.aiq(self.ground.singles)

    @cached_property
    def oracle(self) -> Floats:
        """(R+1,) AIQ of the oracle."""
        return self._area(oracle_sweep(self.test))

    def _apgr(self, preferred: Floats, score: Floats) -> Floats:
        # Prompts that were estimated by other answers are not ranked against one another.
        parts = [held for _, held in self.splits()]
        figures = [
            apgr_replicates(
                preferred[part],
                score[part, 0],
                score[part, 1],
                self.ground.resamples.select(part),
            )
            for part in parts
        ]
        mean: Floats = np.mean(figures, axis=0)
        return mean

    def _area(self, run: Run) -> Floats:
        means = self.ground.resamples.means
        spend, quality = (means(np.ascontiguousarray(rows.T)) for rows in (run.cost, run.score))
        return self.ground.aiq(np.stack([spend, quality], axis=-1))


def without_abilities(pool: ModelPool) -> ModelPool:
    """The pool as it is before anything is known of its models but names and prices.

    Args:
        pool: The models.
    """
    return ModelPool([model.model_copy(update={"ability": None}) for model in pool])


def pooled(values: Floats) -> Floats:
    """The mean of several figures, its replicates over prompts and over the figures together.

    Args:
        values: (N, R+1) a figure of each of N draws or models, on the sample and on each replicate
            of the prompts.

    Returns:
        (R+1,) their mean on the sample; then, on each replicate, the mean of N of them drawn with
        replacement, the same of them in every call with as many.
    """
    count, replicates = len(values), values.shape[1] - 1
    drawn = np.random.default_rng(0).integers(count, size=(count, replicates))
    means = values[drawn, np.arange(1, replicates + 1)].mean(axis=0)
    return np.append(values[:, 0].mean(), means)


def shown(values: Floats, form: str = ".3f", scale: float = 1.0) -> str:
    """A figure with its 95 % interval.

    Args:
        values: (R+1,) the figure on the sample, then on each replicate.
        form: How numbers are written.
        scale: What they are multiplied by.
    """
    return f"{interval(scale * values, 0):{form}}"


def _part(outcomes: Outcomes, part: str) -> Outcomes:
    named = np.array([part.lower() in category.lower() for category in outcomes.categories])
    return outcomes.select(named).complete()
