"""Draw cost against quality on recorded outcomes: the picture in the README.

    pip install 'llmroute[eval]'
    python examples/plot_cost_quality.py ../shared/data/routerbench docs/images/cost_quality.png

The pool's prices and abilities are fitted on the `train` split, the picture shows `test`. The
folder has RouterBench's layout: prompts.parquet and outcomes.parquet with costs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

from llmroute import ModelPool
from llmroute.evaluation import Outcomes
from llmroute.evaluation.metrics import convex_hull, oracle_choice
from llmroute.evaluation.replay import PoolReplay, replay_pool
from llmroute.scoring import load_scorer

matplotlib.use("Agg")
import matplotlib.pyplot as plt

#: Okabe and Ito's colours, which colour-blind people can tell apart.
ROUTER, ZERO, SINGLE, ORACLE = "#0072B2", "#E69F00", "#666666", "#009E73"


def mixing(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What mixing the points at random reaches: straight in cost, so a curve on a log axis."""
    hull = convex_hull(points)
    cost = np.geomspace(hull[0, 0], hull[-1, 0], 200)
    return cost, np.interp(cost, *hull.T)


def draw(replay: PoolReplay, oracle: tuple[float, float], prompts: int, target: Path) -> None:
    """Write the picture."""
    figure, axes = plt.subplots(figsize=(8, 5), dpi=150)
    singles = np.array(list(replay.singles.values()))
    for name, point in replay.singles.items():
        axes.annotate(
            name.rsplit("/", 1)[-1],
            point,
            textcoords="offset points",
            xytext=(0, -10),
            ha="center",
            fontsize=6.5,
            color=SINGLE,
        )
    axes.scatter(*singles.T, color=SINGLE, s=22, zorder=3, label="one model for everything")
    axes.plot(*mixing(singles), color=ZERO, ls="--", label=f"zero router, AIQ {replay.zero}")
    axes.plot(
        *mixing(replay.curve), color=ROUTER, lw=2, label=f"llmroute, prompt only, AIQ {replay.aiq}"
    )
    axes.scatter(
        *oracle, color=ORACLE, marker="*", s=110, zorder=3, label=f"oracle, AIQ {replay.oracle}"
    )
    axes.set(
        xscale="log",
        xlabel="mean cost of a call, USD (log scale)",
        ylabel="mean score",
        title=f"RouterBench, {prompts:,} test prompts, {len(singles)} models",
    )
    axes.grid(alpha=0.25)
    axes.margins(x=0.09)
    axes.legend(
        fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False
    )
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def main(folder: str, target: str) -> None:
    """Replay, and draw."""
    train, test = Outcomes.read(folder, split="train"), Outcomes.read(folder, split="test")
    replay = replay_pool(ModelPool.from_outcomes(train), load_scorer("static"), test)
    whole = test.complete()
    assert whole.cost is not None  # or replay_pool would have said so
    rows, best = np.arange(len(whole)), oracle_choice(whole.score, whole.cost)
    oracle = (float(whole.cost[rows, best].mean()), float(whole.score[rows, best].mean()))
    draw(replay, oracle, len(whole), Path(target))
    print(f"{target}: AIQ {replay.aiq}, zero router {replay.zero}, oracle {replay.oracle}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
