"""A way to choose, replayed on recorded outcomes at every setting of its parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.outcomes import Outcomes

#: Qualities nearer than this are equal.
_EQUAL = 1e-9
#: What spend is counted in: recorded USD; the share of strong calls, where two models have no
#: recorded costs; calls, where more than two have none.
Unit = Literal["USD", "strong calls", "calls"]


@dataclass(frozen=True)
class Run:
    """A way to choose among M models, replayed at N settings on P prompts.

    Attributes:
        name: What it is called in a report.
        score: (N, P) score of the answer that was returned, 0..1.
        cost: (N, P) spend of all its calls, in the recorded outcomes' unit.
        strong: (N, P) whether the strongest single model was called; an expectation for choices
            made at random.
        parameter: (N,) the number that was swept, such as a threshold.
        setting: The row that is the router as it was configured; None where there is only a sweep.
        quality: (P, M) estimated probability of a good answer, where the router has estimates.
        preference: (P,) what ranks prompts for the stronger of two models; where it is not given,
            the difference of the estimates.
        home: Name of the run of the same router on ground it knows, where this one is on ground it
            does not: the report says what is lost.
        simulated: It knows scores that no router can know, so it is no company to compare with.
    """

    name: str
    score: Floats
    cost: Floats
    strong: Floats
    parameter: Floats
    setting: int | None = None
    quality: Floats | None = None
    preference: Floats | None = None
    home: str | None = None
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.parameter)

    def preference_for(self, strong: int) -> Floats | None:
        """(P,) what ranks prompts for the stronger of two models, or None without estimates."""
        if self.preference is not None or self.quality is None:
            return self.preference
        gain: Floats = self.quality[:, strong] - self.quality[:, 1 - strong]
        return gain


def unit_of(outcomes: Outcomes) -> Unit:
    """What spend is counted in on these outcomes."""
    if outcomes.cost is not None:
        return "USD"
    return "strong calls" if len(outcomes.models) == 2 else "calls"


def spend_of(outcomes: Outcomes) -> Floats:
    """(P, M) what a call costs, in the outcomes' unit."""
    if outcomes.cost is not None:
        return outcomes.cost
    spend = np.ones(outcomes.score.shape)
    if len(outcomes.models) == 2:
        spend[:, 1 - strongest(outcomes)] = 0.0
    return spend


def strongest(outcomes: Outcomes) -> int:
    """Index of the model with the best mean score; of equals, the cheapest.

    Models nobody asked are passed over.
    """
    quality = np.nanmean(outcomes.score, axis=0)
    best = quality >= np.nanmax(quality) - _EQUAL
    cost = np.zeros(len(best)) if outcomes.cost is None else np.nanmean(outcomes.cost, axis=0)
    return int(np.argmin(np.where(best, cost, np.inf)))


def run_of_choices(
    name: str, outcomes: Outcomes, choices: Ints, parameter: Floats, **details: Any
) -> Run:
    """The run of a router that asks one model a prompt: (N, P) choices, (N,) parameter.

    The outcomes are P prompts that all M models answered; `details` are further fields of the
    `Run`. ConfigurationError where choices have another shape, or are of models not there.
    """
    shape = (len(parameter), len(outcomes))
    if choices.shape != shape or (
        choices.size and not 0 <= choices.min() <= choices.max() < len(outcomes.models)
    ):
        raise ConfigurationError(
            f"{name}: choices need one model for each of the {len(outcomes)} prompts that every "
            f"model answered, at each setting: shape {shape}, 0..{len(outcomes.models) - 1}. "
            f"The shape {choices.shape} was given."
        )
    prompts = np.arange(len(outcomes))
    return Run(
        name=name,
        score=outcomes.score[prompts, choices],
        cost=spend_of(outcomes)[prompts, choices],
        strong=(choices == strongest(outcomes)).astype(np.float64),
        parameter=parameter,
        **details,
    )
