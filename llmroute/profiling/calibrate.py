"""A judge's calibration from recorded answers of one's own models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmroute.answers.answer_type import expected
from llmroute.answers.equivalence import groups
from llmroute.answers.extract import answer_of
from llmroute.errors import ConfigurationError
from llmroute.escalation.calibration_file import Calibration
from llmroute.escalation.calibration_fit import Recorded
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import folds
from llmroute.pool import ModelPool
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.pool_fit import pool_from_outcomes
from llmroute.scoring.scorer import Scorer

Progress = Callable[[str, int, int], None]


def calibrate(outcomes: Outcomes, scorer: Scorer, progress: Progress | None = None) -> Calibration:
    """What recorded answers say of agreement, confidence and success, for `Escalation("auto")`.

    The scorer's estimates are those of models whose abilities were fitted on other prompts: the
    answers are taken in parts, each judged by abilities from the rest. A router you trained on
    these very answers would be surer here than it is on new prompts; give it others.

    Args:
        outcomes: Answers of the pool's models with their texts (`Outcomes.read(…,
            responses=True)`), and where known the confidences that came with them.
        scorer: The one the router will use.
        progress: Told how many prompts were read.

    Raises:
        ConfigurationError: No texts were recorded, or there are too few answers.
    """
    if outcomes.responses is None:
        raise ConfigurationError(
            f"{outcomes.source} has no answers' texts, which agreement is read off. Record them in "
            "a column `response`, and read with responses=True."
        )
    agree = np.full(outcomes.score.shape, -1, dtype=np.int64)
    forms = []
    for row, (prompt, said) in enumerate(
        zip(outcomes.prompts, outcomes.responses.tolist(), strict=True)
    ):
        asked = expected(prompt)
        texts = [text or "" for text in said]
        agree[row] = groups(texts, asked)
        read = (answer_of(text, asked) for text in texts)
        forms.append(asked.kind or next((answer.kind for answer in read if answer), "text"))
        if progress is not None and (row + 1) % 100 == 0:
            progress("answers", row + 1, len(outcomes))
    return Calibration.fit(
        outcomes.models,
        Recorded(
            quality=_held_out_estimates(outcomes, scorer),
            score=outcomes.score,
            groups=agree,
            forms=np.array(forms),
            **_confidences(outcomes),
        ),
        outcomes.source,
    )


def _held_out_estimates(outcomes: Outcomes, scorer: Scorer) -> Floats:
    if not isinstance(scorer, LatentAbilityScorer):
        return scorer.estimate(outcomes.prompts, ModelPool(list(outcomes.models))).quality
    fold = folds(outcomes.prompts)
    quality = np.empty(outcomes.score.shape)
    for number in np.unique(fold):
        held = fold == number
        pool = pool_from_outcomes(outcomes.select(~held), scorer)
        asked = [p for p, is_held in zip(outcomes.prompts, held.tolist(), strict=True) if is_held]
        quality[held] = scorer.estimate(asked, pool).quality
    return quality


def _confidences(outcomes: Outcomes) -> dict[str, Floats]:
    if outcomes.confidence is None:
        return {}
    bought = np.zeros(outcomes.score.shape, np.bool_)
    if outcomes.confidence_cost is not None:
        bought = outcomes.confidence_cost > 0  # NaN is not
    return {
        "token": np.where(bought, np.nan, outcomes.confidence),
        "verified": np.where(bought, outcomes.confidence, np.nan),
    }
