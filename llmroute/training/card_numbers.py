"""What a card says beside the graph: priors for unknown models, typical prompts, output tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.scoring.abilities import merged_names
from llmroute.scoring.latent import GraphOutput
from llmroute.scoring.latent_folder import PriceCurve, TokenCalibration
from llmroute.training.data import TrainingSet

#: Rows that stand for the training prompts in a prior.
_TYPICAL_ROWS = 32
#: Output tokens assumed of every prompt by a router whose data had no token counts.
_TOKENS_UNKNOWN = 250.0
#: Fewer priced models than this say nothing about how ability follows price.
_PRICED_MODELS = 5


def typical_rows(output: GraphOutput) -> tuple[tuple[float, ...], ...]:
    """Mean demand and difficulty in bins of equal size, from the easiest to the hardest prompts."""
    order = np.argsort(output.difficulty, kind="stable")
    both = np.column_stack([output.demand, output.difficulty])[order]
    bins = np.array_split(both, min(_TYPICAL_ROWS, len(both)))
    return tuple(tuple(round(float(v), 5) for v in part.mean(axis=0)) for part in bins)


def tier_priors(general: Floats) -> dict[str, float]:
    """General ability of a model marked weak or strong: the mean of the lower or upper third."""
    ranked = np.sort(general)
    third = max(len(ranked) // 3, 1)
    return {"weak": float(ranked[:third].mean()), "strong": float(ranked[-third:].mean())}


def price_curve(
    sources: Sequence[Outcomes], abilities: Mapping[str, Sequence[float]]
) -> PriceCurve | None:
    """How general ability follows the logarithm of the output price among the training models.

    Returns:
        The curve, or None when fewer than five models have a price.
    """
    prices: dict[str, float] = {}
    spelling = merged_names([*abilities, *(n for s in sources for n in s.models)])
    for source in sources:
        for place, name in enumerate(source.models):
            price = _output_price(source, place)
            if price is not None and spelling[name] in abilities:
                prices.setdefault(spelling[name], price)
    if len(prices) < _PRICED_MODELS:
        return None
    logs = np.log(list(prices.values()))
    general = np.array([abilities[name][0] for name in prices])
    spread = float(((logs - logs.mean()) ** 2).sum())
    slope = float((logs - logs.mean()) @ (general - general.mean())) / spread if spread else 0.0
    slope = max(slope, 0.0)  # a dearer model is never taken for a worse one
    intercept = float(general.mean() - slope * logs.mean())
    rest = general - intercept - slope * logs
    return PriceCurve(
        slope=slope,
        intercept=intercept,
        low=float(np.exp(logs.min())),
        high=float(np.exp(logs.max())),
        spread=float(rest.std()),
    )


def _output_price(source: Outcomes, place: int) -> float | None:
    """USD per million output tokens, solved from costs and token counts."""
    if source.cost is None or source.prompt_tokens is None or source.completion_tokens is None:
        return None
    columns = [a[:, place] for a in (source.prompt_tokens, source.completion_tokens, source.cost)]
    known = ~np.isnan(columns).any(axis=0)
    if known.sum() < 10:
        return None
    given, made, cost = (column[known] for column in columns)
    solution = np.linalg.lstsq(np.column_stack([given, made]) / 1e6, cost, rcond=None)[0]
    return float(solution[1]) if solution[1] > 0 else None


def token_calibration(data: TrainingSet, rows: Ints, log_tokens: Floats32) -> TokenCalibration:
    """Turns predicted logarithms into expected counts for an average model."""
    counted = data.tokens[rows]
    known = ~np.isnan(counted)
    if not known.any():
        return TokenCalibration(factor=1.0, low=_TOKENS_UNKNOWN, high=_TOKENS_UNKNOWN)
    predicted = np.exp(log_tokens[known].astype(np.float64))
    low, high = np.quantile(counted[known], [0.01, 0.99])
    return TokenCalibration(
        factor=float(counted[known].sum() / predicted.sum()),
        low=max(float(low), 1.0),
        high=max(float(high), 1.0),
    )
