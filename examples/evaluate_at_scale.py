"""An evaluation of RouterBench's size: 36,497 prompts × 11 models, 100 settings, 1,000 replicates.

    pip install 'llmroute[eval]'
    python examples/evaluate_at_scale.py [--prompts 36497] [--models 11]

The outcomes are made up; only the time and the memory are of interest.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from llmroute import RouterChain, WillingnessToPay
from llmroute.evaluation import Outcomes, evaluate, pool_from_outcomes


def made_up(prompts: int, models: int) -> Outcomes:
    """Models of rising strength and cost, on prompts of sixty words."""
    chance = np.random.default_rng(0)
    words = np.array([f"word{n}" for n in range(5000)])
    drawn = words[chance.zipf(1.3, (prompts, 60)) % len(words)]
    hard = chance.random((prompts, 1))
    strength = np.linspace(0, 0.6, models)
    return Outcomes(
        prompts=tuple(f"{' '.join(row)} {number}" for number, row in enumerate(drawn)),
        prompt_ids=tuple(str(number) for number in range(prompts)),
        categories=tuple(f"category {number % 67}" for number in range(prompts)),
        models=tuple(f"model {number}" for number in range(models)),
        score=(chance.random((prompts, models)) + strength > hard).astype(float),
        cost=np.geomspace(1e-5, 5e-3, models) * chance.uniform(0.5, 1.5, (prompts, 1)),
        source="made up",
    )


def main() -> None:
    """Evaluate, and print what it took."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prompts", type=int, default=36_497)
    arguments.add_argument("--models", type=int, default=11)
    options = arguments.parse_args()

    outcomes = made_up(options.prompts, options.models)
    tenth = outcomes.select(np.arange(0, len(outcomes), 10))
    router = RouterChain(pool=pool_from_outcomes(tenth), policy=WillingnessToPay(usd=0.01))
    before, start = _peak(), time.perf_counter()
    report = evaluate(router, outcomes, classic=False)
    seconds = time.perf_counter() - start
    print(
        f"{len(outcomes):,} prompts × {len(outcomes.models)} models, {len(report.curve)} settings, "
        f"{report.provenance.replicates:,} replicates, {1 + len(report.baselines)} ways to choose: "
        f"{seconds:.1f} s, {_peak():.2f} GB at the peak ({before:.2f} GB before)"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
