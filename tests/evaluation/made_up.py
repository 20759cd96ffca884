"""Outcomes that were never recorded, and a scorer that is told what to say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmroute import Model, ModelPool
from llmroute.evaluation import Outcomes
from llmroute.numerics import Floats
from llmroute.records import Estimates
from llmroute.scoring import RoutingText


def made_up(models: int = 3, prompts: int = 400, seed: int = 0, *, costs: bool = True) -> Outcomes:
    """Models of rising strength and, where there are costs, of rising cost."""
    generator = np.random.default_rng(seed)
    hard = generator.random((prompts, 1))
    score = (generator.random((prompts, models)) + np.linspace(0, 0.6, models) > hard).astype(float)
    cost = np.geomspace(1e-4, 1e-2, models) * generator.uniform(0.5, 1.5, (prompts, 1))
    return Outcomes(
        prompts=tuple(f"Question {i}: what is {i} times {i + 1}?" for i in range(prompts)),
        prompt_ids=tuple(map(str, range(prompts))),
        categories=tuple("ab"[i % 2] for i in range(prompts)),
        models=tuple(f"m{i}" for i in range(models)),
        score=score,
        cost=cost if costs else None,
        prompt_tokens=np.full(score.shape, 20.0),
        completion_tokens=np.full(score.shape, 50.0),
        source="made up",
    )


def pool_of(outcomes: Outcomes) -> ModelPool:
    """The outcomes' models, the later the dearer."""
    prices = enumerate(outcomes.models, start=1)
    return ModelPool([Model(name, input_price=usd, output_price=usd) for usd, name in prices])


class Told:
    """A scorer that says of each prompt what it is told. Prompts are known by their text."""

    name, version = "told", "1"

    def __init__(self, outcomes: Outcomes, quality: Floats) -> None:
        self.rows = {prompt: row for row, prompt in enumerate(outcomes.prompts)}
        self.quality = np.broadcast_to(quality, outcomes.score.shape)
        self.models = outcomes.models

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        rows = [self.rows[p if isinstance(p, str) else p.text] for p in prompts]
        columns = [self.models.index(name) for name in pool.names]
        quality = self.quality[np.ix_(rows, columns)]
        cost = np.broadcast_to(pool.arrays.output_price, quality.shape)
        return Estimates(
            models=pool.names,
            quality=quality,
            cost=cost,
            tokens=np.ones(quality.shape),
            latency=np.ones(quality.shape),
            prompt_tokens=np.full(len(rows), 20.0),
            unfamiliar=np.zeros(len(rows), dtype=np.bool_),
            prior_quality=self.quality.mean(axis=0)[columns],
            scorer="told 1",
        )
