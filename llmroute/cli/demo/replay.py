"""Recorded outcomes through the router: what its choices would have been worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.evaluation import Interval, Outcomes, pool_from_outcomes, replay_pool, replay_two
from llmroute.evaluation.metrics import (
    convex_hull,
    oracle_choice,
    percentile_interval,
    resampling_weights,
)
from llmroute.policies import CheapestAbove
from llmroute.pool import ModelPool
from llmroute.scoring import LatentAbilityScorer

Floats = npt.NDArray[np.float64]

#: The shares of the best expected quality that are replayed; the last is the default.
QUALITIES = (0.8, 0.9, CheapestAbove().quality)
_REPLICATES = 500


@dataclass(frozen=True)
class Line:
    """One way to choose, on all prompts.

    Attributes:
        label: What it is.
        quality: Mean score.
        usd_per_1000: Mean cost of a thousand calls, or None where none was recorded.
        strong_share: Part of the prompts that go to the best single model.
        over_zero: Quality less the zero router's at the same spend, for the router's own lines.
    """

    label: str
    quality: Interval
    usd_per_1000: Interval | None = None
    strong_share: Interval | None = None
    over_zero: Interval | None = None


@dataclass(frozen=True)
class Study:
    """One folder of outcomes, replayed.

    Attributes:
        name: The folder's name.
        prompts: Test prompts that every model answered.
        models: Models to choose from.
        strong: The best single model on the train split.
        lines: The ways to choose.
        figures: The field's figures for the router's whole curve.
        unfamiliar: Part of the prompts the scorer called unfamiliar.
        trained_on: Whether the scorer was trained on this folder's train split.
        limits: What these outcomes cannot tell.
    """

    name: str
    prompts: int
    models: int
    strong: str
    lines: tuple[Line, ...]
    figures: dict[str, Interval | float]
    unfamiliar: float
    trained_on: bool
    limits: str

    def to_json(self) -> dict[str, Any]:
        """The study as plain JSON types."""
        return asdict(self)


def study(folder: Path, scorer: LatentAbilityScorer, limits: str) -> Study:
    """Fit a pool's abilities on the train split, and replay the router on the test split.

    Args:
        folder: A folder of outcomes, of two models or with costs.
        scorer: The scorer.
        limits: What these outcomes cannot tell.

    Raises:
        ConfigurationError: The folder cannot be read.
        MissingExtra: pyarrow is not installed.
    """
    train, test = Outcomes.read(folder, "train"), Outcomes.read(folder, "test").complete()
    trained_on = folder.name in {source.name for source in scorer.card.data}
    # On its home ground the router has abilities of its own for these models; elsewhere they are
    # fitted on the train split.
    pool = ModelPool(test.models) if trained_on else pool_from_outcomes(train, scorer)
    if train.cost is None:
        pool = _without_prices(pool)
    strong = int(np.argmax(np.nanmean(train.score, axis=0)))
    lines, unfamiliar = _lines(pool, scorer, test, strong)
    return Study(
        name=folder.name,
        prompts=len(test),
        models=len(test.models),
        strong=test.models[strong],
        lines=lines,
        figures=_figures(pool, scorer, test),
        unfamiliar=unfamiliar,
        trained_on=trained_on,
        limits=limits,
    )


def _without_prices(pool: ModelPool) -> ModelPool:
    # Where calls are counted, a price that is known of one model only would weigh in as a cost.
    none = {"input_price": None, "cached_input_price": None, "output_price": None}
    return ModelPool([model.model_copy(update=none) for model in pool])


def _lines(
    pool: ModelPool, scorer: LatentAbilityScorer, test: Outcomes, strong: int
) -> tuple[tuple[Line, ...], float]:
    estimates = scorer.estimate(test.prompts, pool)
    everyone = np.ones(estimates.quality.shape, dtype=np.bool_)
    place = np.array([test.models.index(name) for name in estimates.models])
    chosen = [
        place[CheapestAbove(quality=share).choose(estimates, everyone)] for share in QUALITIES
    ]
    table = _Bootstrap(test, strong, chosen)
    default = len(QUALITIES) - 1
    routed = [
        table.line(
            f"llmroute, {share:.0%}{' (default)' if number == default else ''}",
            number,
            routed=True,
        )
        for number, share in enumerate(QUALITIES)
    ]
    lines = (
        table.line(f"always {_bare(test.models[table.cheapest])}", table.single(table.cheapest)),
        table.line("a random model", table.random),
        table.zero_line("zero router, default's spend", default),
        *routed,
        table.line(f"always {_bare(test.models[strong])}", table.single(strong)),
        table.line("oracle", table.oracle),
    )
    return lines, float(estimates.unfamiliar.mean())


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1]


class _Bootstrap:
    """Means of several ways to choose, on all prompts and on each bootstrap replicate.

    Columns: the choices that are given, the oracle, every single model, a model at random.
    """

    def __init__(
        self, test: Outcomes, strong: int, choices: Sequence[npt.NDArray[np.intp]]
    ) -> None:
        rows, size = np.arange(len(test)), len(test.models)
        is_strong = np.zeros(test.score.shape)
        is_strong[:, strong] = 1.0

        # Without costs the spend is the strong model's share of the calls.
        spend = test.cost if test.cost is not None else is_strong
        every = [*choices, oracle_choice(test.score, spend)]

        def columns(grid: Floats) -> Floats:
            picked = [grid[rows, choice] for choice in every]
            return np.column_stack([*picked, grid, grid.mean(axis=1)])

        self._prompts = len(test)
        self.oracle, self._first_single = len(choices), len(every)
        self.random = self._first_single + size
        self._costs = test.cost is not None
        counts = resampling_weights(len(test), _REPLICATES, 0)
        weights = np.vstack([np.ones((1, len(test))), counts])
        self._quality = weights @ columns(test.score) / len(test)
        self._spend = weights @ columns(spend) / len(test)
        self._strong = weights @ columns(is_strong) / len(test)
        self.cheapest = int(np.argmin(self._spend[0, self._singles]))

    @property
    def _singles(self) -> slice:
        return slice(self._first_single, self.random)

    def single(self, model: int) -> int:
        """The column of one model."""
        return self._first_single + model

    def line(self, label: str, column: int, *, routed: bool = False) -> Line:
        """The line of a column."""
        over = self._quality[:, column] - self._zero(column) if routed else None
        return Line(
            label,
            quality=self._interval(self._quality[:, column]),
            usd_per_1000=self._interval(1000 * self._spend[:, column]) if self._costs else None,
            strong_share=self._interval(self._strong[:, column]),
            over_zero=None if over is None else self._interval(over),
        )

    def zero_line(self, label: str, column: int) -> Line:
        """The line of the zero router that spends what a column spends."""
        spend = self._interval(1000 * self._spend[:, column]) if self._costs else None
        return Line(label, self._interval(self._zero(column)), spend)

    def _zero(self, column: int) -> Floats:
        """Quality of the best random mix of single models at a column's spend, per replicate."""
        found = []
        for spend, quality, at in zip(
            self._spend[:, self._singles],
            self._quality[:, self._singles],
            self._spend[:, column],
            strict=True,
        ):
            hull = convex_hull(np.column_stack([spend, quality]))
            found.append(np.interp(at, hull[:, 0], hull[:, 1]))
        return np.array(found)

    def _interval(self, values: Floats) -> Interval:
        return percentile_interval(float(values[0]), values[1:], self._prompts)


def _by_part(
    pool: ModelPool, scorer: LatentAbilityScorer, test: Outcomes
) -> dict[str, Interval | float]:
    figures: dict[str, Interval | float] = {}
    for name, part in _parts(test):
        two = replay_two(pool, scorer, part)
        figures[f"APGR on {name} alone ({len(part):,})"] = two.apgr
        figures[f"APGR oracle on {name}"] = two.oracle_apgr
    return figures


def _parts(test: Outcomes) -> list[tuple[str, Outcomes]]:
    """The benchmarks a table is made of, by the first word of the categories; none if it is one."""
    names = np.array([category.split("_")[0] for category in test.categories])
    parts = list(dict.fromkeys(names.tolist()))
    return [(name, test.select(names == name)) for name in parts] if len(parts) > 1 else []


def _figures(
    pool: ModelPool, scorer: LatentAbilityScorer, test: Outcomes
) -> dict[str, Interval | float]:
    if test.cost is None:
        two = replay_two(pool, scorer, test)
        return {
            "APGR": two.apgr,
            "APGR random": 0.5,
            "APGR of perfect category labels": two.category_apgr,
            "APGR oracle": two.oracle_apgr,
            "CPT(50)": two.cpt50,
            "CPT(80)": two.cpt80,
            **_by_part(pool, scorer, test),
        }
    many = replay_pool(pool, scorer, test)
    return {
        "AIQ": many.aiq,
        "AIQ random": many.random,
        "AIQ zero router": many.zero,
        "AIQ best single": many.best_single,
        "AIQ oracle": many.oracle,
        "AIQ over zero router": many.gain_over_zero,
    }
