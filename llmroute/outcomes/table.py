"""The table of recorded outcomes: what real models answered to real prompts, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.numerics import Bools, Floats, Ints

#: Texts, or None where there is none.
Texts = npt.NDArray[np.object_]
Split = Literal["train", "test"]


class Wanted(NamedTuple):
    """What of a file is wanted; `Outcomes.read` says what each is."""

    split: Split | None = None
    responses: bool = False
    score_name: str | None = None


#: The files of a folder of outcomes.
PROMPTS, OUTCOMES = "prompts.parquet", "outcomes.parquet"

#: Fields of a number for each prompt and model.
NUMBERS = (
    "score",
    "cost",
    "prompt_tokens",
    "completion_tokens",
    "latency",
    "confidence",
    "confidence_cost",
)
#: Those of them that lie in 0..1; the others are 0 or more.
SHARES = ("score", "confidence")


@dataclass(frozen=True)
class Samples:
    """S generations of models that were asked the same prompt more than once.

    For disagreement: sample a weak model, let its answers vote, escalate where they differ. The
    generations of one prompt, model and style keep the order in which they were recorded.

    Attributes:
        models: Names of the models that were sampled. They need not be among the outcomes' models:
            there, a way of asking can count as a model of its own.
        styles: Names of the ways they were asked, such as `"cot1"`.
        prompt: (S,) index of the prompt in the outcomes.
        model: (S,) index in `models`.
        style: (S,) index in `styles`.
        result: (S,) the final answer as text, which is what votes are counted over; None where
            none could be read off the generation.
        score: (S,) quality of the answer, 0..1.
    """

    models: tuple[str, ...]
    styles: tuple[str, ...]
    prompt: Ints
    model: Ints
    style: Ints
    result: Texts
    score: Floats

    def __post_init__(self) -> None:
        arrays = ("prompt", "model", "style", "result", "score")
        sizes = {name: len(getattr(self, name)) for name in arrays}
        if len(set(sizes.values())) != 1:
            listed = ", ".join(f"{name} has {size}" for name, size in sizes.items())
            raise ConfigurationError(f"samples need arrays of one length; {listed}.")
        _check_range("score", self.score)

    def __len__(self) -> int:
        return len(self.prompt)

    def select(self, index: Ints, prompts: int) -> Samples:
        """The samples of the prompts at some present indices, of `prompts`, renumbered in order.

        A prompt that stands there twice has its samples twice.
        """
        order = np.argsort(self.prompt, kind="stable")
        counts = np.bincount(self.prompt, minlength=prompts)
        starts = np.cumsum(counts) - counts
        taken = counts[index]
        # Of each kept prompt: where its samples start, and the count 0, 1, 2, … of each of them.
        within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        rows = order[np.repeat(starts[index], taken) + within]
        return replace(
            self,
            prompt=np.repeat(np.arange(len(index)), taken),
            model=self.model[rows],
            style=self.style[rows],
            result=self.result[rows],
            score=self.score[rows],
        )


@dataclass(frozen=True)
class OutcomeTable:
    """P prompts answered by M models. NaN where a model was not asked, or a number is not known.

    Attributes:
        prompts: The P texts.
        prompt_ids: Their ids.
        categories: Their categories.
        models: The M names.
        score: (P, M) quality of the answer, 0..1.
        cost: (P, M) USD of the call, or None when no cost is known.
        prompt_tokens: (P, M) input tokens, or None.
        completion_tokens: (P, M) output tokens, or None.
        latency: (P, M) seconds until the whole answer was there, or None.
        confidence: (P, M) how sure the model was of its answer, such as the probability of the
            answer's token, 0..1, or None.
        confidence_cost: (P, M) further USD that the confidence cost, such as a verification call's;
            0 where it came with the answer. None where it is not known.
        responses: (P, M) the answers' texts, None where there is none; None when they were not
            read.
        samples: Several generations of some models to each prompt, or None.
        source: Name of the data, for reports.
    """

    prompts: tuple[str, ...]
    prompt_ids: tuple[str, ...]
    categories: tuple[str, ...]
    models: tuple[str, ...]
    score: Floats
    cost: Floats | None = None
    prompt_tokens: Floats | None = None
    completion_tokens: Floats | None = None
    latency: Floats | None = None
    confidence: Floats | None = None
    confidence_cost: Floats | None = None
    responses: Texts | None = None
    samples: Samples | None = None
    source: str = "outcomes"

    def __post_init__(self) -> None:
        shape = (len(self.prompts), len(self.models))
        grids = self._grids(...)
        for name, array in grids.items():
            if array.shape != shape:
                raise ConfigurationError(
                    f"{name} has shape {array.shape}; {shape[0]} prompts and {shape[1]} models "
                    f"need {shape}."
                )
        if len(self.prompt_ids) != shape[0] or len(self.categories) != shape[0]:
            raise ConfigurationError(
                f"{shape[0]} prompts need as many ids and categories; {len(self.prompt_ids)} and "
                f"{len(self.categories)} were given."
            )
        for name in NUMBERS:
            if name in grids:
                _check_range(name, grids[name])

    def __len__(self) -> int:
        return len(self.prompts)

    def _grids(self, index: Any) -> dict[str, Any]:
        """The (P, M) arrays that are there, at an index."""
        named = {name: getattr(self, name) for name in (*NUMBERS, "responses")}
        return {name: array[index] for name, array in named.items() if array is not None}

    def select(self, which: npt.ArrayLike) -> Self:
        """The outcomes of some prompts."""
        index = np.arange(len(self))[np.asarray(which, dtype=None if np.size(which) else np.intp)]
        places: list[int] = index.tolist()

        def pick(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(values[i] for i in places)

        return replace(
            self,
            prompts=pick(self.prompts),
            prompt_ids=pick(self.prompt_ids),
            categories=pick(self.categories),
            samples=None if self.samples is None else self.samples.select(index, len(self)),
            **self._grids(index),
        )

    def complete(self) -> Self:
        """The prompts that every model answered, which replaying a choice among them needs."""
        known = ~np.isnan(self.score).any(axis=1)
        if self.cost is not None:
            known &= ~np.isnan(self.cost).any(axis=1)
        return self.select(known)

    def only(self, models: Sequence[str]) -> Self:
        """The outcomes of some models, in that order; ConfigurationError where one has none."""
        columns = names_to_indices(self, models)
        return replace(self, models=tuple(models), **self._grids((slice(None), columns)))


def names_to_indices(outcomes: OutcomeTable, names: Iterable[str]) -> Ints:
    """Columns of the outcomes' models; ConfigurationError for a name that they lack."""
    names = list(names)
    missing = sorted(set(names) - set(outcomes.models))
    if missing:
        raise ConfigurationError(
            f"{outcomes.source} has no outcomes of {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, outcomes.models))}."
        )
    return np.array([outcomes.models.index(name) for name in names], dtype=np.int64)


def out_of_range(field: str, values: Floats) -> tuple[Bools, str]:
    """Which numbers a field cannot hold (NaN is none of them), and what was expected instead."""
    with np.errstate(invalid="ignore"):
        if field in SHARES:
            return (values < 0) | (values > 1), "0..1 was expected"
        return (values < 0) | np.isinf(values), "a finite number, 0 or more, was expected"


def _check_range(field: str, values: Floats) -> None:
    outside, expected = out_of_range(field, values)
    if outside.any():
        raise ConfigurationError(
            f"{field} is {values[outside][0]}; {expected}. Correct or scale it."
        )
