"""RouterBench's predictive routers: k nearest neighbours, an MLP, linear SVMs (arXiv 2403.12031).

Each predicts every model's score from a vector of the prompt's text, learned from recorded
outcomes, and a sweep takes argmax λ·score − cost with one cost a model. The recipes are those of
the paper's code: 40 neighbours by cosine, two hidden layers of 100, scikit-learn's `LinearSVR` with
its own defaults; only the MLP is penalised more and trained for less long, since on a few thousand
prompts it falls far below the zero router otherwise. The paper's vectors are MiniLM's
(`features="minilm"`); ours are of words alone by default, need no torch and are made in seconds.

A pool is routed by such a router after `llmroute.routers.train("knn", …)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from llmroute.errors import ConfigurationError
from llmroute.evaluation.baselines import fitted_run
from llmroute.evaluation.run import Run
from llmroute.numerics import Floats, Floats32, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import names_to_indices
from llmroute.routers.base import Head
from llmroute.routers.features import Features, features_named
from llmroute.routers.knn import Nearest
from llmroute.routers.mlp import NeuralNetwork
from llmroute.routers.nearest import NEIGHBOURS
from llmroute.routers.svm import SupportVectors
from llmroute.scoring.text import RoutingText

Kind = Literal["knn", "mlp", "svm"]
_Recipe = Callable[[Floats32, Floats], Head]


def classic_runs(
    outcomes: Outcomes,
    train: Outcomes | None = None,
    *,
    kinds: Sequence[Kind] = ("knn",),
    k: int = NEIGHBOURS,
    seed: int = 0,
    features: Features | Literal["words", "minilm"] = "words",
) -> Iterator[Run]:
    """RouterBench's routers, each named for its kind and swept by willingness to pay.

    Texts are read once for all of them. Without `train`, whose cells may be missing, they are
    cross-fitted: the features are then fitted on all texts, but never on an answer. `k` counts the
    neighbours of kNN; `seed` is that of the features and of the training. See `fitted_run` for
    errors; MissingExtra where scikit-learn, or what the features need, is not installed.
    """
    source = outcomes if train is None else train
    score = source.score[:, names_to_indices(source, outcomes.models)]
    chosen = features_named(features, seed)
    texts = _texts(source)
    chosen.fit(texts)
    vectors = chosen.transform(texts)
    asked = vectors if train is None else chosen.transform(_texts(outcomes))
    recipes: dict[str, _Recipe] = {
        "knn": lambda v, s: Nearest(v, s, k),
        "mlp": lambda v, s: NeuralNetwork.trained(v, s, seed=seed),
        "svm": lambda v, s: SupportVectors.trained(v, s, seed),
    }
    for kind in kinds:
        if kind not in recipes:
            raise ConfigurationError(
                f"RouterBench's routers are {', '.join(map(repr, recipes))}; {kind!r} was given."
            )

        def predict(learn: Ints, held: Ints, recipe: _Recipe = recipes[kind]) -> Floats:
            return recipe(vectors[learn], score[learn]).quality(asked[held])

        yield fitted_run(kind, outcomes, train, predict)


def _texts(outcomes: Outcomes) -> list[str]:
    return [RoutingText.of(prompt).text for prompt in outcomes.prompts]
