"""Recorded outcomes in words: what a table holds, and what it can carry."""

from __future__ import annotations

from collections import Counter

import numpy as np

from llmroute.numerics import Floats
from llmroute.outcomes.table import OutcomeTable

#: 95 % of a normal distribution lie within so many standard deviations.
_DEVIATIONS = 1.96
#: Half the width of a mean score's 95 % interval from which on a warning is due.
_WIDE = 0.03
#: Categories that are listed, the largest first.
_LISTED = 8
_EXTRAS = {
    "prompt_tokens": "input tokens",
    "completion_tokens": "output tokens",
    "latency": "latency",
    "confidence": "confidence",
    "confidence_cost": "cost of confidence",
    "responses": "responses",
}


def described(outcomes: OutcomeTable) -> str:
    """What a table of outcomes holds and what it can carry: sizes, means, holes, warnings."""
    head = (
        f"{outcomes.source}: {_count(len(outcomes), 'prompt')}, "
        f"{_count(len(outcomes.models), 'model')}, "
        f"{_count(len(set(outcomes.categories)), 'category', 'categories')}"
    )
    lines = [head, *_models(outcomes), _holes(outcomes), _categories(outcomes), _extras(outcomes)]
    lines += [f"Warning: {text}" for text in _warnings(outcomes)]
    return "\n".join(line for line in lines if line)


def _models(outcomes: OutcomeTable) -> list[str]:
    width = max([len("model"), *map(len, outcomes.models)])
    priced = outcomes.cost is not None
    lines = [f"  {'model':<{width}}  answers  mean score" + "  mean cost (USD)" * priced]
    for m, name in enumerate(outcomes.models):
        answers = int((~np.isnan(outcomes.score[:, m])).sum())
        line = f"  {name:<{width}}  {answers:>7,}  {_mean(outcomes.score[:, m], '.3f'):>10}"
        if outcomes.cost is not None:
            line += f"  {_mean(outcomes.cost[:, m], '.3g'):>15}"
        lines.append(line)
    return lines


def _holes(outcomes: OutcomeTable) -> str:
    missing = int(np.isnan(outcomes.score).sum())
    if not missing:
        return "Every model answered every prompt."
    whole = len(outcomes.complete())
    return (
        f"{missing:,} of {outcomes.score.size:,} answers are missing; "
        f"{_count(whole, 'prompt')} answered by every model."
    )


def _categories(outcomes: OutcomeTable) -> str:
    counted = Counter(outcomes.categories).most_common()
    if len(counted) < 2:
        return ""
    listed = ", ".join(f"{name} {count:,}" for name, count in counted[:_LISTED])
    more = len(counted) - _LISTED
    return f"Categories: {listed}" + (f", … and {more} more" if more > 0 else "")


def _extras(outcomes: OutcomeTable) -> str:
    extras = [text for name, text in _EXTRAS.items() if getattr(outcomes, name) is not None]
    if outcomes.samples is not None:
        extras.append(f"{len(outcomes.samples):,} samples of {', '.join(outcomes.samples.models)}")
    return f"Also recorded: {', '.join(extras)}." if extras else ""


def _warnings(outcomes: OutcomeTable) -> list[str]:
    warnings: list[str] = []
    whole = outcomes.complete()
    if len(outcomes.models) < 2:
        warnings.append("there is one model only, so there is nothing to choose between.")
    elif not len(whole):
        warnings.append(
            "no prompt was answered by every model, and a replay needs one that was. Ask all "
            "models the same prompts."
        )
    if outcomes.cost is None:
        warnings.append("no costs are known, so calls are counted instead.")
    elif lost := int((np.isnan(outcomes.cost) & ~np.isnan(outcomes.score)).any(axis=1).sum()):
        warnings.append(
            f"{_count(lost, 'prompt')} with an answer whose cost is not known: a replay passes "
            "over them."
        )
    half = _half_width(whole.score)
    if half >= _WIDE:
        warnings.append(
            f"{_count(len(whole), 'prompt')} that all models answered are few: the 95 % interval "
            f"of a mean score is up to ±{half:.3f} wide. Smaller differences may be chance."
        )
    return warnings


def _half_width(score: Floats) -> float:
    """The largest half width of the models' 95 % intervals; 0 where there is no prompt."""
    if not score.size:
        return 0.0
    return float((_DEVIATIONS * score.std(axis=0) / np.sqrt(len(score))).max())


def _mean(values: Floats, form: str) -> str:
    known = values[~np.isnan(values)]
    return format(known.mean(), form) if len(known) else "–"


def _count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
