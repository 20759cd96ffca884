"""What a router learns from: outcomes or comparisons of one or several sources, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Bools, Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import check_every_model_answered, is_held, mean_of_known
from llmroute.routers.labels import Mode, labelled
from llmroute.routers.preferences import Preferences, preferences_of
from llmroute.scoring.text import RoutingText


@dataclass(frozen=True)
class Dataset:
    """P prompts, M models, and what is known of them.

    Attributes:
        prompts: The P whole prompts.
        models: The M names.
        target: (P, M) what is taught, 0..1, NaN where nothing is.
        cost: (P, M) USD of the calls, or None.
        tokens: (P, M) output tokens, or None.
        validation: (P,) True for prompts kept for choosing settings.
        categories: The P prompts' categories; empty where none are known.
        given: The comparisons, where comparisons are what was given.
        labels: The label mode.
        shift: t of shifted labels.
        source: Name of the data.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    target: Floats
    cost: Floats | None
    tokens: Floats | None
    validation: Bools
    categories: tuple[str, ...] = ()
    given: Preferences | None = None
    labels: Mode = "score"
    shift: float = 0.0
    source: str = "outcomes"

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def texts(self) -> list[str]:
        """The P texts, cut to what a scorer reads."""
        return [RoutingText.of(prompt).text for prompt in self.prompts]

    @cached_property
    def comparisons(self) -> Preferences:
        """The comparisons that were given; of outcomes, every pair of models on every prompt."""
        if self.given is not None:
            return self.given
        ids = tuple(map(str, range(len(self))))
        table = Outcomes(self.prompts, ids, ("",) * len(self), self.models, self.target)
        return preferences_of(replace(table, source=self.source))

    @property
    def prior(self) -> Floats:
        """(M,) mean of what is taught of each model."""
        return mean_of_known(self.target)

    @property
    def training(self) -> Bools:
        """(P,) True for prompts that are trained on while settings are chosen."""
        return ~self.validation

    def select(self, which: Bools, seed: int) -> Dataset:
        """Some of the prompts, with a validation part of their own."""
        rows = np.flatnonzero(which).tolist()
        prompts = tuple(self.prompts[row] for row in rows)
        return replace(
            self,
            prompts=prompts,
            target=self.target[rows],
            cost=None if self.cost is None else self.cost[rows],
            tokens=None if self.tokens is None else self.tokens[rows],
            validation=np.array([is_held(prompt, seed) for prompt in prompts], dtype=bool),
            categories=tuple(self.categories[row] for row in rows) if self.categories else (),
            given=None if self.given is None else self.given.select(which),
        )


def dataset_of(
    sources: Sequence[Outcomes] | Sequence[Preferences], labels: Mode = "score", seed: int = 0
) -> Dataset:
    """The dataset of some sources, which have to be of one kind.

    Args:
        sources: Outcomes, or comparisons. Models with one name in two sources are one model.
        labels: How outcomes become labels; see `llmroute.routers.labels`.
        seed: Seed of the validation part.

    Raises:
        ConfigurationError: No source, both kinds, too few prompts, or a model without an answer.
    """
    if not sources:
        raise ConfigurationError("training needs outcomes or comparisons; none were given.")
    compared = [s for s in sources if isinstance(s, Preferences)]
    answered = [s for s in sources if isinstance(s, Outcomes)]
    if compared and answered:
        raise ConfigurationError(
            "outcomes and comparisons were given together; train on one kind. Outcomes say more."
        )
    dataset = _of_preferences(compared) if compared else _of_outcomes(answered, labels)
    held = np.array([is_held(p, seed) for p in dataset.prompts], dtype=bool)
    if held.all() or not held.any():
        raise ConfigurationError(
            f"{dataset.source} has {len(held)} training prompts, too few to keep a tenth for "
            "validation; give at least a few hundred."
        )
    return replace(dataset, validation=held)


def _of_outcomes(sources: Sequence[Outcomes], labels: Mode) -> Dataset:
    for source in sources:
        check_every_model_answered(source)
    # Labels compare models, so they are made where all were asked the same: source by source.
    made = [labelled(source, labels) for source in sources]
    models = tuple(dict.fromkeys(name for source in sources for name in source.models))
    places = [[models.index(name) for name in source.models] for source in sources]

    def joined(tables: Sequence[Floats | None]) -> Floats | None:
        if all(table is None for table in tables):
            return None
        parts = []
        for table, source, columns in zip(tables, sources, places, strict=True):
            part = np.full((len(source), len(models)), np.nan)
            if table is not None:
                part[:, columns] = table
            parts.append(part)
        return np.concatenate(parts)

    target = joined([label.target for label in made])
    assert target is not None  # every source has scores
    prompts = tuple(prompt for source in sources for prompt in source.prompts)
    silent = [name for m, name in enumerate(models) if np.isnan(target[:, m]).all()]
    if silent:
        raise ConfigurationError(
            f"no label {labels!r} can be made for {', '.join(map(repr, silent))}: it was never "
            "asked what another model was asked."
        )
    return Dataset(
        prompts=prompts,
        models=models,
        target=target,
        cost=joined([source.cost for source in sources]),
        tokens=joined([source.completion_tokens for source in sources]),
        validation=np.zeros(len(prompts), dtype=bool),
        categories=tuple(name for source in sources for name in source.categories),
        labels=labels,
        shift=float(np.mean([label.shift for label in made])),
        source=", ".join(source.source for source in sources),
    )


def _of_preferences(sources: Sequence[Preferences]) -> Dataset:
    models = tuple(dict.fromkeys(name for source in sources for name in source.models))
    prompts: dict[str, int] = {}
    for source in sources:
        for text in source.prompts:
            prompts.setdefault(text, len(prompts))
    parts = []
    for source in sources:
        row = np.array([prompts[text] for text in source.prompts], dtype=np.int64)
        column = np.array([models.index(name) for name in source.models], dtype=np.int64)
        compared = (row[source.prompt], column[source.first], column[source.second], source.won)
        parts.append(compared)
    prompt, first, second, won = (np.concatenate(part) for part in zip(*parts, strict=True))
    name = ", ".join(source.source for source in sources)
    given = Preferences(tuple(prompts), models, prompt, first, second, won, name)
    return Dataset(
        prompts=tuple(prompts),
        models=models,
        target=given.win_shares(),
        cost=None,
        tokens=None,
        validation=np.zeros(len(prompts), dtype=bool),
        given=given,
        source=name,
    )
