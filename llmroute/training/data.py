"""Outcomes of several sources as one training set; NaN where a model was not asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from llmroute.errors import ConfigurationError
from llmroute.numerics import Bools, Floats32, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import is_held
from llmroute.scoring.abilities import merged_names
from llmroute.scoring.surface import surface_features
from llmroute.scoring.text import RoutingText

#: Grade-school word problems and MT-Bench stay out of training, because transfer to RouteLLM's
#: GSM8K and MT-Bench test sets is claimed. A category is left out when one of these is in its name.
LEFT_OUT: tuple[str, ...] = ("gsm8k", "mgsm", "grade-school", "mt_bench", "mt-bench", "mtbench")


@dataclass(frozen=True)
class TrainingSet:
    """P prompts of several sources, M models over all of them.

    Attributes:
        ids: Token ids of each prompt.
        surface: (P, F) surface features.
        score: (P, M) scores, NaN where unknown.
        log_tokens: (P,) log output tokens with each model's mean removed, NaN where unknown.
        tokens: (P,) mean output tokens over the models, NaN where unknown.
        weight: (P,) weight of the prompt in the loss.
        source: (P,) index of the source.
        category: The prompts' categories.
        validation: (P,) True for prompts that are not trained on.
        models: The M names.
    """

    ids: list[Ints]
    surface: Floats32
    score: Floats32
    log_tokens: Floats32
    tokens: Floats32
    weight: Floats32
    source: Ints
    category: list[str]
    validation: Bools
    models: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def training(self) -> Ints:
        """Rows of the prompts that are trained on."""
        return np.flatnonzero(~self.validation)

    @property
    def held(self) -> Ints:
        """Rows of the others."""
        return np.flatnonzero(self.validation)


def without(outcomes: Outcomes, left_out: Sequence[str]) -> Outcomes:
    """The outcomes without the categories that have one of these in their name, in any case."""
    parts = [part.lower() for part in left_out]
    kept = [not any(part in c.lower() for part in parts) for c in outcomes.categories]
    return outcomes.select(np.array(kept, dtype=bool))


def gather(
    sources: Sequence[Outcomes], tokenizer: Tokenizer, weights: Sequence[float], seed: int
) -> TrainingSet:
    """Joins outcomes of several sources, spellings of one model counting as one.

    Raises:
        ConfigurationError: No prompt, or no validation prompt.
    """
    spelling = merged_names(name for source in sources for name in source.models)
    models = list(dict.fromkeys(spelling.values()))
    column = {name: i for i, name in enumerate(models)}
    prompts = [prompt for source in sources for prompt in source.prompts]
    validation = np.array([is_held(p, seed) for p in prompts], dtype=bool)
    if validation.all() or not validation.any():
        raise ConfigurationError(
            f"{len(prompts)} training prompts are too few to keep a tenth for validation; "
            "give at least a few hundred."
        )
    texts = [RoutingText.of(prompt).text for prompt in prompts]
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return TrainingSet(
        ids=[np.array(e.ids, dtype=np.int64) for e in encoded],
        surface=surface_features(texts),
        score=np.concatenate(
            [
                _joined_scores(s, [column[spelling[n]] for n in s.models], len(models))
                for s in sources
            ]
        ),
        log_tokens=np.concatenate([_log_tokens(s) for s in sources]),
        tokens=np.concatenate([_mean_tokens(s) for s in sources]),
        weight=np.concatenate(
            [np.full(len(s), w) for s, w in zip(sources, weights, strict=True)]
        ).astype(np.float32),
        source=np.concatenate([np.full(len(s), i) for i, s in enumerate(sources)]),
        category=[c for s in sources for c in s.categories],
        validation=validation,
        models=models,
    )


def _joined_scores(source: Outcomes, columns: Sequence[int], models: int) -> Floats32:
    """(P, models) scores; two hosts of one model in one source count as their mean."""
    total = np.zeros((len(source), models))
    count = np.zeros((len(source), models))
    for place, column in enumerate(columns):
        known = ~np.isnan(source.score[:, place])
        total[known, column] += source.score[known, place]
        count[known, column] += 1
    with np.errstate(invalid="ignore"):
        mean: Floats32 = (total / count).astype(np.float32)
    return mean


def _log_tokens(source: Outcomes) -> Floats32:
    """Log output tokens a prompt takes, a model's own talkativeness removed."""
    counts = source.completion_tokens
    if counts is None or np.isnan(counts).all():
        return np.full(len(source), np.nan, dtype=np.float32)
    logs = np.log(np.maximum(counts, 1.0))
    known = ~np.isnan(logs)
    each = np.where(known, logs, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    typical = each[known.any(0)].mean()
    rest = np.where(known, logs - each, 0.0).sum(1)
    asked = np.where(known.any(1), known.sum(1), np.nan)
    logs_without_model: Floats32 = (typical + rest / asked).astype(np.float32)
    return logs_without_model


def _mean_tokens(source: Outcomes) -> Floats32:
    counts = source.completion_tokens
    if counts is None:
        return np.full(len(source), np.nan, dtype=np.float32)
    known = ~np.isnan(counts)
    with np.errstate(invalid="ignore"):
        mean: Floats32 = np.where(known, counts, 0.0).sum(1) / known.sum(1)
    return mean.astype(np.float32)
