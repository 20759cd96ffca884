"""Which prompts to learn from for which prompts, and what a table to learn from must hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.table import OutcomeTable
from llmroute.outcomes.table import names_to_indices as names_to_indices

#: Folds of a cross-fitted baseline.
FOLDS = 5
#: Groups of categories that are left out together.
GROUPS = 5
#: Part of the training prompts kept for early stopping and for choosing settings.
VALIDATION_SHARE = 0.1


def splits(outcomes: OutcomeTable, train: OutcomeTable | None) -> Iterator[tuple[Ints, Ints]]:
    """Prompts to learn from, and prompts of `outcomes` to estimate with them.

    Yields indices into `train`, or, without one, of the other folds of `outcomes`, and indices into
    `outcomes`. ConfigurationError where there are no two different prompts to deal to folds.
    """
    if train is not None:
        yield np.arange(len(train)), np.arange(len(outcomes))
        return
    fold = folds(outcomes.prompts)
    if len(outcomes) and fold.max() == 0:
        raise ConfigurationError(
            f"{outcomes.source} has no two different prompts, so none can be estimated from the "
            "others; give a train table."
        )
    for number in np.unique(fold):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def folds(prompts: tuple[str, ...], count: int = FOLDS) -> Ints:
    """(P,) folds, from 0, for cross-fitting: texts in the order of their hashes, dealt in turn.

    Equal texts get the same fold, and the order of the prompts does not matter.
    """
    keys = [hashlib.blake2b(p.encode("utf-8", "surrogatepass")).digest() for p in prompts]
    rank = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.array([rank[key] % count for key in keys], dtype=np.int64)


def is_held(prompt: str, seed: int, share: float = VALIDATION_SHARE) -> bool:
    """Whether a training prompt is kept for validation: by hash, so it is in every source or none.

    Args:
        prompt: The prompt's text.
        seed: Seed of the training run.
        share: Part of the prompts to keep.
    """
    normal = " ".join(prompt.lower().split()).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(f"{seed}:".encode() + normal).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def mean_of_known(values: Floats) -> Floats:
    """(M,) means of the columns of (P, M) values, NaN where unknown, over those that are known."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
    return means


def check_every_model_answered(outcomes: OutcomeTable, columns: Ints | None = None) -> None:
    """Raises ConfigurationError unless each model, or each at some columns, has an answer."""
    chosen = np.arange(len(outcomes.models)) if columns is None else columns
    silent = np.isnan(outcomes.score[:, chosen]).all(axis=0)
    missing = [outcomes.models[m] for m in chosen[silent]]
    if missing:
        raise ConfigurationError(
            f"{outcomes.source} has no answer of {', '.join(map(repr, missing))} to learn from; "
            "add outcomes of it, or drop it."
        )


def category_splits(
    outcomes: OutcomeTable, train: OutcomeTable | None, groups: int = GROUPS
) -> Iterator[tuple[Ints, Ints]]:
    """As `splits`, when categories are left out; without `train`, of `outcomes` themselves.

    Categories are dealt to the groups in turn, the largest first. What a group's prompts are
    estimated with was learned from prompts of the other groups' categories. ConfigurationError
    where there is a single category, or nothing left to learn from.
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
