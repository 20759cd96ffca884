"""What is left of a router on categories it has not seen: each is left out of the fitting in turn.

A router can look good by knowing which benchmark a prompt is from. Users' prompts are from none, so
the figure on categories that were left out is the one to expect there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from llmroute.decision import Estimates
from llmroute.errors import ConfigurationError
from llmroute.evaluation.outcomes import Ints, Outcomes
from llmroute.evaluation.replaying import allowed_by, joined, swept_run
from llmroute.evaluation.run import Run, strongest
from llmroute.routing import Router

#: Groups of categories that are left out together.
GROUPS = 5


def category_splits(
    outcomes: Outcomes, train: Outcomes | None, groups: int = GROUPS
) -> Iterator[tuple[Ints, Ints]]:
    """Which prompts to learn from for which prompts, when categories are left out.

    Categories are dealt to the groups in turn, the largest first. What a group's prompts are
    estimated with was learned from prompts of the other groups' categories.

    Args:
        outcomes: The prompts to estimate.
        train: The prompts to learn from; None for the outcomes themselves.
        groups: How many groups; fewer where there are fewer categories.

    Yields:
        Indices into `train` (or `outcomes`) and indices into `outcomes`.

    Raises:
        ConfigurationError: A single category, or nothing left to learn from.
    """
    source = outcomes if train is None else train
    names, sizes = np.unique(np.array(outcomes.categories), return_counts=True)
    if len(names) < 2:
        raise ConfigurationError(
            f"{outcomes.source} has one category, so none can be left out; give its prompts "
            "categories, or do without the figures under shift."
        )
    dealt = names[np.argsort(-sizes, kind="stable")]
    for group in range(min(groups, len(names))):
        left_out = dealt[group::groups]
        learn = np.flatnonzero(~np.isin(np.array(source.categories), left_out))
        if not len(learn):
            raise ConfigurationError(
                f"{source.source} has no prompt outside {', '.join(left_out.tolist())}; there is "
                "nothing to learn from."
            )
        yield learn, np.flatnonzero(np.isin(np.array(outcomes.categories), left_out))


def unseen_categories(
    name: str,
    outcomes: Outcomes,
    train: Outcomes,
    fit: Callable[[Outcomes], Router],
    *,
    home: str | None = None,
    groups: int = GROUPS,
) -> Run:
    """The sweep of a router that is fitted anew without the categories it is measured on.

    Args:
        name: What it is called in a report.
        outcomes: P prompts that all models answered.
        train: What the router is fitted on.
        fit: Makes the router from outcomes.
        home: Name of the run of the same router with all categories, for the drop.
        groups: Groups of categories that are left out together.

    Raises:
        ConfigurationError: A single category, or nothing left to learn from.
    """
    parts: list[Estimates] = []
    places: list[Ints] = []
    for learn, held in category_splits(outcomes, train, groups):
        router = fit(train.select(learn))
        parts.append(router._load().estimate(outcomes.select(held).prompts, router.pool))
        places.append(held)
    estimates = joined(parts, np.argsort(np.concatenate(places)))
    allowed = allowed_by(router.pool, outcomes)
    strong = strongest(outcomes)
    return swept_run(router, outcomes, estimates, allowed, strong, name=name, home=home)
