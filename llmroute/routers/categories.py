"""`categories`: which kind of prompt it is, and what each model did on that kind.

A multinomial logistic regression learns to tell a prompt's category from its vector; the
estimate is the models' mean scores by category, weighted with the probabilities. With all
probability on the right category that is the category label of the tables, which a prompt at
routing time has not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.routers.base import (
    Arrays,
    Head,
    Progress,
    group_means,
    log_loss,
    of_least_loss,
    stored,
)
from llmroute.routers.dataset import Dataset
from llmroute.routers.sklearn_fit import fitted

#: Weights of a model's overall mean in a category's, in prompts, that are tried on the validation
#: part.
STRENGTHS = (3.0, 10.0, 30.0, 100.0)
#: scikit-learn's inverse penalty, chosen on training splits, and rounds at most.
_INVERSE_PENALTY, _ROUNDS = 10.0, 100


class Categories(Head):
    """Probabilities of K categories and the models' means in them.

    Args:
        slopes: (D, K).
        offsets: (K,).
        score: (K, M) mean scores.
        strength: Weight of the overall mean they were made with.
    """

    def __init__(self, slopes: Floats, offsets: Floats, score: Floats, strength: float) -> None:
        self._slopes, self._offsets = slopes, offsets
        self._score, self._strength = score, strength

    @classmethod
    def fit(cls, vectors: Floats32, dataset: Dataset, seed: int, progress: Progress) -> Categories:
        """Choose the strength on the validation part, then fit on all prompts."""
        if len(set(dataset.categories)) < 2:
            raise ConfigurationError(
                f"{dataset.source} has fewer than two categories, so there is none to tell apart; "
                "give outcomes with a column `category`, or train another router."
            )
        train, held, target = dataset.training, dataset.validation, dataset.target
        category = np.array(dataset.categories)
        progress("categories", 0, 2, "validation")
        names, label = np.unique(category[train], return_inverse=True)
        classifier = _classifier(vectors[train], label, len(names))

        def loss(strength: float) -> float:
            score = group_means(target[train], label, len(names), strength)
            tried = cls(*classifier, score, strength)
            return log_loss(tried.quality(vectors[held]), target[held])

        best = of_least_loss(STRENGTHS, loss)
        progress("categories", 1, 2, "all prompts")
        all_names, labels = np.unique(category, return_inverse=True)
        score = group_means(target, labels, len(all_names), best)
        head = cls(*_classifier(vectors, labels, len(all_names)), score, best)
        progress("categories", 2, 2, "")
        return head

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: Arrays) -> Categories:
        """As it was saved."""
        return cls(
            stored(arrays, "kind_slopes"),
            stored(arrays, "kind_offsets"),
            stored(arrays, "kind_score"),
            float(settings["strength"]),
        )

    def quality(self, vectors: Floats32) -> Floats:
        """(P, M) mean scores by category, weighted with the categories' probabilities."""
        logits = vectors @ self._slopes + self._offsets
        odds = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        weighted: Floats = (odds / odds.sum(axis=1, keepdims=True)) @ self._score
        return weighted

    def settings(self) -> dict[str, Any]:
        """How the means were drawn in."""
        return {"categories": len(self._score), "strength": self._strength}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The classifier and the means."""
        return {
            "kind_slopes": self._slopes,
            "kind_offsets": self._offsets,
            "kind_score": self._score,
        }


def _classifier(vectors: Floats32, label: Ints, categories: int) -> tuple[Floats, Floats]:
    """(D, K) slopes and (K,) offsets."""
    if categories == 1:  # of a part of the prompts; nothing is to be told apart there
        return np.zeros((vectors.shape[1], 1)), np.zeros(1)
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtra("The router `categories` (scikit-learn)", "eval") from None
    regression = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_ROUNDS)
    found = fitted(regression, vectors.astype(np.float64), label)
    slopes, offsets = found.coef_.T, found.intercept_
    if categories == 2:  # scikit-learn has one column for two categories
        slopes = np.concatenate([np.zeros_like(slopes), slopes], axis=1)
        offsets = np.concatenate([np.zeros(1), offsets])
    return np.ascontiguousarray(slopes), offsets
