"""What is left of a router on categories it has not seen, and what was tried against losing there.

    python -m examples.reproduce.router_floor ../shared/data/routerbench --write docs/routers.md

The test prompts' categories are dealt to five groups; what estimates a group's prompts was trained
on the train prompts of the other groups' categories. The floor is the zero router, which mixes the
single models at random as is best on the very prompts that are measured.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.evaluation.markdown import markdown_table
from llmroute.numerics import Floats, Floats32, logit, sigmoid
from llmroute.routers.base import LEAST_SHARE, quiet
from llmroute.routers.dataset import Dataset, dataset_of
from llmroute.routers.features import NAMES, fit_vectors
from llmroute.routers.linear import Linear
from llmroute.routers.nearest import TIE
from llmroute.scoring.local import mixed
from llmroute.scoring.text import RoutingText

if TYPE_CHECKING:
    from llmroute.evaluation import Outcomes

#: What the table stands between.
BEGIN, END = "<!-- floor: made by examples.reproduce.router_floor -->", "<!-- end of floor -->"
#: Part of the training prompts that count as unlike the others.
_FAR = 0.1
#: Groups in which training categories are left out in turn.
_GROUPS = 5
#: Training prompts whose likeness to a prompt is averaged.
_NEAR = 10


@dataclass(frozen=True)
class Known:
    """What an attempt may learn from, and the prompts it estimates.

    Attributes:
        lessons: P training prompts, none of the left-out categories.
        vectors: (P, D) their vectors.
        asked: (H, D) vectors of the prompts of left-out categories.
        prompts: The H prompts.
        outcomes: What the lessons were made of.
    """

    lessons: Dataset
    vectors: Floats32
    asked: Floats32
    prompts: tuple[str, ...]
    outcomes: Outcomes

    @cached_property
    def linear(self) -> Floats:
        """(H, M) what the router `linear` says, which several attempts start from."""
        return Linear.fit(self.vectors, self.lessons, 0, quiet).quality(self.asked)


def means(known: Known) -> Floats:
    """(H, M) each model's mean: the zero router, as other categories would have it."""
    return np.tile(known.lessons.prior, (len(known.asked), 1))


def cautious(known: Known) -> Floats:
    """(H, M) `linear`, its differences between models drawn to those of their means.

    By the least-squares slope of recorded on estimated differences, on categories that are left out
    of the training prompts in turn: 0 treats all prompts alike, 1 changes nothing.
    """
    along = square = 0.0
    categories = np.array(known.lessons.categories)
    names = np.unique(categories)
    for group in range(min(_GROUPS, len(names))):
        held = np.isin(categories, names[group::_GROUPS])
        if held.all():
            continue
        part = known.lessons.select(~held, 1)
        estimated = Linear.fit(known.vectors[~held], part, 0, quiet).quality(known.vectors[held])
        a, b = (
            _differences(estimated - part.prior),
            _differences(known.lessons.target[held] - part.prior),
        )
        both = ~np.isnan(b).any(axis=1)
        along += float((a[both] * b[both]).sum())
        square += float((a[both] ** 2).sum())
    share = float(np.clip(along / square, 0.0, 1.0)) if square > 0 else 0.0
    return mixed(known.linear, known.lessons.prior, share)


def familiar(known: Known) -> Floats:
    """(H, M) `linear` where a prompt is as near to the training prompts as nine in ten of them."""
    sample = known.vectors[:: max(len(known.vectors) // 1000, 1)]
    # A training prompt is its own nearest neighbour, which says nothing.
    usual = _likeness(sample, known.vectors, _NEAR + 1)
    near = _likeness(known.asked, known.vectors, _NEAR) >= np.quantile(usual, _FAR) - TIE
    alike = mixed(known.linear, known.lessons.prior, 0.0)
    return np.where(near[:, None], known.linear, alike)


def abilities(known: Known) -> Floats:
    """(H, M) the bundled `static`, of each model only its general ability learned here."""
    from llmroute.evaluation import pool_from_outcomes
    from llmroute.scoring import load_scorer

    pool = pool_from_outcomes(known.outcomes, "static")
    return load_scorer("static").estimate(known.prompts, pool).quality


def halves(known: Known) -> Floats:
    """(H, M) mean log odds of `linear` and abilities."""
    return sigmoid((logit(known.linear, LEAST_SHARE) + logit(abilities(known), LEAST_SHARE)) / 2)


#: What is tried, by its name in the table.
ATTEMPTS: dict[str, Callable[[Known], Floats]] = {
    "every model's mean": means,
    "`linear`": attrgetter("linear"),
    "cautious: differences drawn in, by left-out categories": cautious,
    "only familiar prompts": familiar,
    "`static`, abilities fitted": abilities,
    "mean of `linear` and `static`": halves,
}


def unseen(
    outcomes: Outcomes, train: Outcomes, attempts: Iterable[str], features: str = "minilm"
) -> dict[str, str]:
    """Share of the gap from zero router to oracle closed on left-out categories, in percent.

    Args:
        outcomes: What to measure on, with costs.
        train: What to learn from.
        attempts: Names in `ATTEMPTS`.
        features: What routers see of a prompt.

    Returns:
        Attempt → figure with its 95 % interval over prompts.

    Raises:
        ConfigurationError: No costs, or a single category.
    """
    from llmroute.outcomes.splits import category_splits, mean_of_known

    whole, learnt = outcomes.complete(), train.only(outcomes.models)
    if whole.cost is None or learnt.cost is None:
        raise ConfigurationError(f"{outcomes.source} has no costs; the floor is measured in them.")
    taught = [RoutingText.of(prompt).text for prompt in learnt.prompts]
    seen = fit_vectors(features, taught)
    vectors = seen.transform(taught)
    of_asked = seen.transform([RoutingText.of(prompt).text for prompt in whole.prompts])
    quality = {name: np.empty(whole.score.shape) for name in attempts}
    cost = np.empty(whole.score.shape)
    for learn, held in category_splits(whole, learnt):
        part = learnt.select(np.isin(np.arange(len(learnt)), learn))
        prompts = tuple(whole.prompts[row] for row in held)
        known = Known(dataset_of([part]), vectors[learn], of_asked[held], prompts, part)
        cost[held] = mean_of_known(learnt.cost[learn])
        for name, estimates in quality.items():
            estimates[held] = ATTEMPTS[name](known)
    return {name: _closed(name, whole, learnt, one, cost) for name, one in quality.items()}


def _closed(name: str, outcomes: Outcomes, train: Outcomes, quality: Floats, cost: Floats) -> str:
    from llmroute.evaluation import evaluate
    from llmroute.evaluation.baselines import estimates_run

    run = estimates_run(name, outcomes, quality, cost)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        report = evaluate(run, outcomes, train=train, name=name, classic=False, replicates=500)
    found = report.router.metrics["aiq_closed"]
    return f"{found.scaled(100):+.1f}"


def _differences(quality: Floats) -> Floats:
    away: Floats = quality - quality.mean(axis=1, keepdims=True)
    return away


def _likeness(asked: Floats32, vectors: Floats32, count: int) -> Floats:
    """(H,) mean cosine with the nearest of the training prompts."""
    cosine = asked @ vectors.T
    nearest = np.sort(np.partition(cosine, -count, axis=1)[:, -count:], axis=1)[:, :_NEAR]
    likeness: Floats = nearest.mean(axis=1, dtype=np.float64)
    return likeness


def table(found: dict[str, dict[str, str]]) -> str:
    """The table as Markdown.

    Args:
        found: Data → attempt → figure.
    """
    heads = ["gap closed, %", *(f"`{name}`" for name in found)]
    return markdown_table(
        heads,
        ([attempt, *(rows.get(attempt, "") for rows in found.values())] for attempt in ATTEMPTS),
    )


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--features", type=click.Choice(NAMES), default="minilm", show_default=True)
@click.option("--write", "page", type=click.Path(dir_okay=False, path_type=Path))
def main(data: tuple[Path, ...], features: str, page: Path | None) -> None:
    """Measure what was tried on DATA, with categories left out, and write the table."""
    from examples.reproduce.router_comparison import put_between
    from llmroute.evaluation import Outcomes

    found: dict[str, dict[str, Any]] = {}
    for path in data:
        test, train = Outcomes.read(path, "test"), Outcomes.read(path, "train")
        found[path.name] = unseen(test, train, ATTEMPTS, features)
        for name, figure in found[path.name].items():
            click.echo(f"{path.name}: {name}: {figure}")
    if page is not None:
        put_between(page, BEGIN, END, table(found))


if __name__ == "__main__":
    main()
