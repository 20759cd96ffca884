"""What is left of a router on categories it has not seen: each is left out of the fitting in turn.

A router can look good by knowing which benchmark a prompt is from. Users' prompts are from none, so
the figure on categories that were left out is the one to expect there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmroute.evaluation.replayer import allowed_by, joined, swept_run
from llmroute.evaluation.run import Run
from llmroute.numerics import Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import GROUPS, category_splits
from llmroute.records import Estimates
from llmroute.routing.router import Router


def unseen_categories(
    name: str,
    outcomes: Outcomes,
    train: Outcomes,
    fit: Callable[[Outcomes], Router],
    *,
    home: str | None = None,
    groups: int = GROUPS,
) -> Run:
    """The sweep of a router that is fitted again without the categories it is measured on.

    `fit` makes the router from outcomes, here from `train` without a group of categories, of which
    there are `groups`. `home` is the name of the run of the same router with all categories, for
    the drop. ConfigurationError where there is one category, or nothing left to learn from.
    """
    parts: list[Estimates] = []
    places: list[Ints] = []
    for learn, held in category_splits(outcomes, train, groups):
        router = fit(train.select(learn))
        parts.append(router.active_scorer().estimate(outcomes.select(held).prompts, router.pool))
        places.append(held)
    estimates = joined(parts, np.argsort(np.concatenate(places)))
    allowed = allowed_by(router.pool, outcomes)
    return swept_run(router, outcomes, estimates, allowed, name=name, home=home)
