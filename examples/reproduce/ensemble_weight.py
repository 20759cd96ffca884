"""The weight of `static` beside `minilm` in `load_scorer("ensemble")`, by validation prompts.

    python -m examples.reproduce.ensemble_weight ../shared/data/mmlu_pro ../shared/data/routellm

Both were trained on the other nine tenths of the same data's train parts.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from llmroute.outcomes.splits import is_held

#: Seed of the bundled routers' validation part.
_SEED = 0
_SHOWN = (0.0, 0.25, 0.5, 0.75, 1.0)


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(data: tuple[Path, ...]) -> None:
    """Print the mean log loss on validation prompts of DATA, by weight."""
    from llmroute.evaluation import Outcomes, pool_from_outcomes
    from llmroute.scoring import load_scorer
    from llmroute.scoring.ensemble_scorer import weight_losses

    static, minilm = load_scorer("static"), load_scorer("minilm")
    found = []
    for path in data:
        train = Outcomes.read(path, "train")
        is_validation = np.array([is_held(prompt, _SEED) for prompt in train.prompts])
        held = train.select(is_validation)
        pool = pool_from_outcomes(train.select(~is_validation), "static")
        losses = weight_losses(static, minilm, held, pool)
        found.append(losses)
        shown = ", ".join(f"{weight:g}: {losses[weight]:.4f}" for weight in _SHOWN)
        click.echo(f"{path.name}, {len(held):,} prompts: {shown}")
    mean = {weight: float(np.mean([one[weight] for one in found])) for weight in found[0]}
    best = min(mean, key=mean.__getitem__)
    click.echo(f"least on the mean of the data: {best:g} ({mean[best]:.4f}; 0.5: {mean[0.5]:.4f})")


if __name__ == "__main__":
    main()
