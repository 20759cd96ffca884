"""RouterBench's predictive routers: k nearest neighbours, an MLP, linear SVMs (arXiv 2403.12031).

Each predicts every model's score from a vector of the prompt's text, learned from recorded
outcomes, and a sweep takes argmax λ·score − cost with one cost a model. The recipes are those of
the paper's code: 40 neighbours by cosine, two hidden layers of 100, scikit-learn's `LinearSVR` with
its own defaults; only the MLP is penalised more and trained for less long, since on a few thousand
prompts it falls far below the zero router otherwise. The paper's vectors are MiniLM's
(`features="minilm"`); ours are of words alone by default, need no torch and are made in seconds.

They are scorers like any other, so a pool can be routed by them too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal, Self

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.evaluation.baselines import fitted_run
from llmroute.evaluation.run import Run
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import check_every_model_answered, mean_of_known, names_to_indices
from llmroute.pool import ModelPool
from llmroute.records import Estimates
from llmroute.routers.predictors import (
    HIDDEN,
    NEIGHBOURS,
    PENALTY,
    NearestAnswers,
    Network,
    Predictor,
    SupportVectors,
)
from llmroute.routers.text_features import Features, features_named
from llmroute.scoring.text import RoutingText

Kind = Literal["knn", "mlp", "svm"]

#: Characters of English text in a token.
_CHARACTERS_PER_TOKEN = 4.0


class ClassicScorer:
    """Features and a predictor, as a scorer. Made by `KNNScorer.fit` and its like.

    Its expected cost of a call is the model's mean recorded cost; where none was recorded, the
    pool's prices at the mean recorded output tokens; otherwise unknown.

    Args:
        outcomes: What it was fitted on.
        features: Fitted features.
        predictor: Fitted predictor.
        recipe: What else its numbers depend on, for its version.
    """

    name: ClassVar[str]

    def __init__(
        self, outcomes: Outcomes, features: Features, predictor: Predictor, recipe: str
    ) -> None:
        self.models = outcomes.models
        self.version = _digest(outcomes, recipe)
        self._features, self._predictor = features, predictor
        self._source = outcomes.source
        self._prior = mean_of_known(outcomes.score)
        self._cost, self._tokens = (
            np.full(len(self.models), np.nan) if known is None else mean_of_known(known)
            for known in (outcomes.cost, outcomes.completion_tokens)
        )

    @classmethod
    def _trained(
        cls,
        outcomes: Outcomes,
        features: Features | Literal["words", "minilm"],
        seed: int,
        learn: Callable[[Floats32, Floats], Predictor],
        recipe: str,
    ) -> Self:
        if not len(outcomes):
            raise ConfigurationError(
                f"{outcomes.source} has no prompts; {cls.name} has nothing to learn from."
            )
        check_every_model_answered(outcomes)
        texts = [RoutingText.of(prompt).text for prompt in outcomes.prompts]
        chosen = features_named(features, seed)
        chosen.fit(texts)
        predictor = learn(chosen.transform(texts), outcomes.score)
        return cls(outcomes, chosen, predictor, f"{type(chosen).__name__} {seed} {recipe}")

    def quality(self, prompts: Sequence[str | RoutingText]) -> Floats:
        """(P, M) estimated success, 0..1, of the models it was fitted on.

        Args:
            prompts: Plain texts (one user turn each) or routing texts made from conversations.
        """
        texts = [RoutingText.of(p).text if isinstance(p, str) else p.text for p in prompts]
        if not texts:
            return np.empty((0, len(self.models)))
        predicted = self._predictor.predict(self._features.transform(texts))
        return np.clip(predicted, 0.0, 1.0)

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models.

        Args:
            prompts: Plain texts (one user turn each) or routing texts made from conversations.
            pool: Models it was fitted on, all or some.

        Raises:
            ConfigurationError: A model it has seen no answer of.
        """
        unseen = [name for name in pool.names if name not in self.models]
        if unseen:
            raise ConfigurationError(
                f"{self.name} was fitted on {self._source}, which has no answer of "
                f"{', '.join(map(repr, unseen))}; it knows {', '.join(map(repr, self.models))}."
            )
        columns = [self.models.index(name) for name in pool.names]
        read = [RoutingText.of(p) if isinstance(p, str) else p for p in prompts]
        asked = np.array([r.characters / _CHARACTERS_PER_TOKEN for r in read], dtype=np.float64)
        numbers = pool.arrays
        tokens = np.tile(self._tokens[columns], (len(read), 1))
        priced = asked[:, None] * numbers.input_price + tokens * numbers.output_price
        recorded = self._cost[columns]
        return Estimates(
            models=pool.names,
            quality=self.quality(read)[:, columns],
            cost=np.where(np.isnan(recorded), priced, recorded),
            tokens=tokens,
            latency=numbers.first_token_s + tokens / numbers.tokens_per_s,
            prompt_tokens=asked,
            unfamiliar=np.zeros(len(read), dtype=np.bool_),
            prior_quality=self._prior[columns],
            scorer=f"{self.name} {self.version}",
        )


class KNNScorer(ClassicScorer):
    """Mean scores of the nearest training prompts."""

    name = "knn"

    @classmethod
    def fit(
        cls,
        outcomes: Outcomes,
        *,
        k: int = NEIGHBOURS,
        seed: int = 0,
        features: Features | Literal["words", "minilm"] = "words",
    ) -> Self:
        """Keep the training prompts' vectors and scores.

        Args:
            outcomes: Answers to learn from, missing cells allowed.
            k: Neighbours.
            seed: Seed of the features.
            features: `"words"`, `"minilm"`, or your own.

        Raises:
            ConfigurationError: No prompt, a model without an answer, or `k` below 1.
            MissingExtra: What the features need is not installed.
        """
        return cls._trained(
            outcomes, features, seed, lambda v, score: NearestAnswers(v, score, k), f"k={k}"
        )


class MLPScorer(ClassicScorer):
    """A small neural network; see `Network`."""

    name = "mlp"

    @classmethod
    def fit(
        cls,
        outcomes: Outcomes,
        *,
        hidden: tuple[int, ...] = HIDDEN,
        penalty: float = PENALTY,
        seed: int = 0,
        features: Features | Literal["words", "minilm"] = "words",
    ) -> Self:
        """Train the network.

        Args:
            outcomes: Answers to learn from, missing cells allowed.
            hidden: Widths of the hidden layers.
            penalty: Weight of the squared weights in the loss.
            seed: Seed of the features and of the training.
            features: `"words"`, `"minilm"`, or your own.

        Raises:
            ConfigurationError: No prompt, or a model without an answer.
            MissingExtra: scikit-learn, or what the features need, is not installed.
        """
        return cls._trained(
            outcomes,
            features,
            seed,
            lambda v, s: Network(v, s, hidden=hidden, penalty=penalty, seed=seed),
            f"hidden={hidden} penalty={penalty}",
        )


class SVMScorer(ClassicScorer):
    """Linear support vector regressions; see `SupportVectors`."""

    name = "svm"

    @classmethod
    def fit(
        cls,
        outcomes: Outcomes,
        *,
        seed: int = 0,
        features: Features | Literal["words", "minilm"] = "words",
    ) -> Self:
        """Train one machine a model.

        Args:
            outcomes: Answers to learn from, missing cells allowed.
            seed: Seed of the features and of the training.
            features: `"words"`, `"minilm"`, or your own.

        Raises:
            ConfigurationError: No prompt, or a model without an answer.
            MissingExtra: scikit-learn, or what the features need, is not installed.
        """
        return cls._trained(outcomes, features, seed, lambda v, s: SupportVectors(v, s, seed), "")


def classic_runs(
    outcomes: Outcomes,
    train: Outcomes | None = None,
    *,
    kinds: Sequence[Kind] = ("knn",),
    k: int = NEIGHBOURS,
    seed: int = 0,
    features: Features | Literal["words", "minilm"] = "words",
) -> Iterator[Run]:
    """RouterBench's routers, swept by willingness to pay. Texts are read once for all of them.

    Args:
        outcomes: P prompts that all M models answered.
        train: Outcomes to learn from, missing cells allowed; None cross-fits. The features are
            then fitted on all texts, but never on an answer.
        kinds: Which of them, in the order in which they are wanted.
        k: Neighbours of the nearest-neighbour router.
        seed: Seed of the features and of the training.
        features: `"words"`, `"minilm"`, or your own.

    Yields:
        A run named for its kind.

    Raises:
        ConfigurationError: `train` lacks a model or its costs, or there is too little to cross-fit.
        MissingExtra: What is asked for is not installed.
    """
    source = outcomes if train is None else train
    score = source.score[:, names_to_indices(source, outcomes.models)]
    chosen = features_named(features, seed)
    texts = [RoutingText.of(prompt).text for prompt in source.prompts]
    chosen.fit(texts)
    vectors = chosen.transform(texts)
    asked = (
        vectors
        if train is None
        else chosen.transform([RoutingText.of(prompt).text for prompt in outcomes.prompts])
    )
    recipes: dict[str, Callable[[Floats32, Floats], Predictor]] = {
        "knn": lambda v, s: NearestAnswers(v, s, k),
        "mlp": lambda v, s: Network(v, s, seed=seed),
        "svm": lambda v, s: SupportVectors(v, s, seed),
    }
    for kind in kinds:
        if kind not in recipes:
            raise ConfigurationError(
                f"RouterBench's routers are {', '.join(map(repr, recipes))}; {kind!r} was given."
            )
        recipe = recipes[kind]

        def predict(
            learn: Ints, held: Ints, recipe: Callable[[Floats32, Floats], Predictor] = recipe
        ) -> Floats:
            return np.clip(recipe(vectors[learn], score[learn]).predict(asked[held]), 0.0, 1.0)

        yield fitted_run(kind, outcomes, train, predict)


def _digest(outcomes: Outcomes, recipe: str) -> str:
    """A short name for what was learned from, and how."""
    tables = (outcomes.score, outcomes.cost, outcomes.completion_tokens)
    texts = "\0".join([recipe, *outcomes.models, *outcomes.prompts])
    parts = [texts.encode("utf-8", "surrogatepass")]
    parts += [np.ascontiguousarray(table).tobytes() for table in tables if table is not None]
    return hashlib.blake2b(b"".join(parts), digest_size=4).hexdigest()
