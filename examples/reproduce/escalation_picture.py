"""Accuracy against cost, drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from llmroute.errors import MissingExtra
from llmroute.evaluation.run import Run
from llmroute.metrics import convex_hull
from llmroute.outcomes.outcomes import Outcomes


def picture(runs: Sequence[Run], outcomes: Outcomes) -> bytes:
    """Accuracy against cost of several ways, and the single models, as a small PNG.

    Args:
        runs: The ways; their sweeps are drawn as their hulls.
        outcomes: The prompts.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("Drawing", "eval") from None
    assert outcomes.cost is not None
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for run in runs:
        points = np.stack([run.cost.mean(axis=1), run.score.mean(axis=1)], axis=1)
        hull = convex_hull(points)
        axes.plot(1000 * hull[:, 0], hull[:, 1], marker=".", label=run.name.strip("*"))
    spend, quality = 1000 * outcomes.cost.mean(axis=0), outcomes.score.mean(axis=0)
    axes.plot(spend, quality, "k+", label="single models")
    for name, x, y in zip(outcomes.models, spend.tolist(), quality.tolist(), strict=True):
        axes.annotate(name, (x, y), fontsize=6, xytext=(3, -7), textcoords="offset points")
    axes.set(xlabel="USD for a thousand prompts", ylabel="accuracy", ylim=(0.7, None))
    axes.set_xlim(0, 1.6 * float(spend.max()))
    axes.legend(fontsize=7)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()
