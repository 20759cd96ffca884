"""Small made-up outcomes and comparisons with a pattern that a router can learn."""

from __future__ import annotations

import numpy as np

from llmroute.evaluation import Outcomes
from llmroute.routers.preferences import Preferences

SUMS = ("What is {} plus {}?", "Add {} to {} please.", "Compute the sum {} + {} now.")
PROOFS = (
    "Prove theorem {} about manifolds of dimension {}.",
    "Show that lemma {} implies conjecture {} on groups.",
    "Derive the homology of space {} over ring {}.",
)


def prompts(count: int, start: int = 0) -> tuple[str, ...]:
    """Sums and proofs in turn."""
    kinds = (SUMS, PROOFS)
    return tuple(kinds[i % 2][i // 2 % 3].format(i, i + 1) for i in range(start, start + count))


def outcomes(count: int = 240, *, start: int = 0, cost: bool = True) -> Outcomes:
    """The apprentice is right on sums alone, the master on all, the guesser on half of each."""
    texts = prompts(count, start)
    is_sum = np.arange(start, start + count) % 2 == 0
    random = np.random.default_rng(7 + start)
    score = np.stack([is_sum, np.ones(count), random.random(count) < 0.5], axis=1).astype(float)
    usd = np.tile([1e-4, 4e-3, 2e-4], (count, 1)) * np.where(is_sum, 1.0, 3.0)[:, None]
    return Outcomes(
        prompts=texts,
        prompt_ids=tuple(map(str, range(start, start + count))),
        categories=tuple("sum" if one else "proof" for one in is_sum),
        models=("apprentice", "master", "guesser"),
        score=score,
        cost=usd if cost else None,
        completion_tokens=np.tile([20.0, 60.0, 30.0], (count, 1)) if cost else None,
        source="made_up",
    )


def comparisons(count: int = 400) -> Preferences:
    """On sums they tie, on proofs the master wins."""
    texts = prompts(count)
    is_sum = np.arange(count) % 2 == 0
    return Preferences(
        prompts=texts,
        models=("apprentice", "master"),
        prompt=np.arange(count),
        first=np.zeros(count, dtype=np.int64),
        second=np.ones(count, dtype=np.int64),
        won=np.where(is_sum, 0.5, 0.0),
        source="arena",
    )
