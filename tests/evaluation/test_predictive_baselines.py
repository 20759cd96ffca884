import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.evaluation import baselines
from llmroute.evaluation.predictive_baselines import classic_runs
from llmroute.metrics import aiq
from llmroute.outcomes.outcomes import Outcomes
from llmroute.routers import knn
from llmroute.routers.features import features_named
from llmroute.routers.mlp import NeuralNetwork
from llmroute.routers.nearest import FADE, TIE
from llmroute.routers.svm import SupportVectors
from llmroute.routers.word_features import WordFeatures

pytestmark = pytest.mark.usefixtures("blas_threads")

KINDS = ("knn", "mlp", "svm")


class Compass:
    """Vectors of prompts that are an angle in degrees."""

    def fit(self, texts: Sequence[str]) -> "Compass":
        return self

    def transform(self, texts: Sequence[str]) -> np.ndarray:
        angles = np.radians([float(text) for text in texts])
        return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def table(prompts: Sequence[str], score: np.ndarray, cost: np.ndarray | None = None) -> Outcomes:
    names = tuple(f"q{i}" for i in range(len(prompts)))
    models = ("small", "large", "huge")[: np.shape(score)[1]]
    labels = ("all",) * len(prompts)
    return Outcomes(tuple(prompts), names, labels, models, np.array(score, dtype=float), cost)


def arithmetic_and_poems(prompts: int = 120, seed: int = 0) -> Outcomes:
    """The small model can add and the large one can rhyme."""
    generator = np.random.default_rng(seed)
    adds = generator.random(prompts) < 0.5
    texts = [
        f"What is {generator.integers(99)} plus {generator.integers(99)}?"
        if is_sum
        else f"Write a poem about the {'moon' if generator.random() < 0.5 else 'sea'}, please."
        for is_sum in adds
    ]
    score = np.column_stack([adds, ~adds]).astype(float)
    return table(texts, score, np.tile([0.01, 0.02], (prompts, 1)))


def estimated(kind: str, train: Outcomes, prompts: Sequence[str], **how: object) -> np.ndarray:
    """(P, M) what one of the routers makes of prompts, learned from `train`."""
    asked = replace(
        table(prompts, np.zeros((len(prompts), len(train.models)))), models=train.models
    )
    if train.cost is not None:
        asked = replace(asked, cost=np.ones(asked.score.shape))
    (run,) = classic_runs(asked, train, kinds=(kind,), **how)
    return run.quality


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


ANGLES = st.lists(st.integers(0, 359), min_size=1, max_size=25)


@given(ANGLES, st.integers(1, 30), st.randoms(use_true_random=False))
def test_neighbours_are_the_nearest_by_cosine(angles: list[int], k: int, random: object) -> None:
    score = np.array([[random.choice([0, 1, np.nan]), random.choice([0, 0.5, 1])] for _ in angles])
    score[0] = 1.0
    asked = [0, 45, 133, 300]
    train = table([str(a) for a in angles], score)
    found = estimated("knn", train, [str(a) for a in asked], k=k, features=Compass())
    for angle, row in zip(asked, found, strict=True):
        apart = [min(abs(a - angle), 360 - abs(a - angle)) for a in angles]
        # All that are as near as the k-th count.
        limit = sorted(apart)[min(k, len(apart)) - 1]
        near = score[[a <= limit for a in apart]]
        for m in range(2):
            known = near[~np.isnan(near[:, m]), m]
            expected = known.mean() if len(known) else np.nanmean(score[:, m])
            assert row[m] == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 7, 40, 61, 1000])
def test_many_prompts_are_searched_in_blocks_and_groups_to_the_same_end(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(k)
    vectors, asked = (unit(generator.normal(size=(n, 16))) for n in (990, 50))
    vectors[200:300] = vectors[0]  # a prompt that occurs a hundred times
    asked[0] = vectors[0]
    score = generator.random((990, 3))
    score[generator.random(score.shape) < 0.3] = np.nan
    monkeypatch.setattr(knn, "_BLOCK_CELLS", 5000)
    found = knn.Nearest(vectors, score, k).quality(asked)
    similarity = asked.astype(np.float64) @ vectors.astype(np.float64).T
    for row, alike in enumerate(similarity):
        below = np.sort(alike)[-min(k, 990)] - alike
        weight = np.clip((FADE - below) / (FADE - TIE), 0, 1)[:, None] * ~np.isnan(score)
        total, count = np.nansum(weight * score, axis=0), weight.sum(axis=0)
        known = count >= 1
        assert found[row, known] == pytest.approx(total[known] / count[known], abs=1e-8)


def test_cross_fitted_no_prompt_sees_its_own_answers() -> None:
    generator = np.random.default_rng(0)
    angles = [str(a) for a in generator.integers(0, 360, 60)]
    outcomes = table(angles, generator.random((60, 2)), generator.random((60, 2)))
    (before,) = classic_runs(outcomes, features=Compass(), k=3)
    for row in range(0, 60, 7):
        changed = outcomes.score.copy()
        changed[[a == angles[row] for a in angles]] = 0.5
        (after,) = classic_runs(replace(outcomes, score=changed), features=Compass(), k=3)
        assert after.quality[row] == pytest.approx(before.quality[row], abs=1e-9)
        assert np.abs(after.quality - before.quality).max() > 1e-3


def test_with_a_train_table_the_predictor_is_fitted_on_all_of_it_and_swept() -> None:
    train, test = arithmetic_and_poems(), arithmetic_and_poems(40, seed=1)
    features = WordFeatures(seed=0).fit(train.prompts)
    known, asked = features.transform(train.prompts), features.transform(test.prompts)
    recipes = knn.Nearest, NeuralNetwork.trained, SupportVectors.trained
    heads = [make(known, train.score) for make in recipes]
    runs = list(classic_runs(test, train, kinds=KINDS))
    assert [run.name for run in runs] == list(KINDS)
    for head, run in zip(heads, runs, strict=True):
        assert run.quality == pytest.approx(head.quality(asked), abs=1e-6)
        swept = baselines.estimates_run("", test, run.quality, train.cost.mean(axis=0))
        assert (run.score == swept.score).all()


def test_models_are_matched_by_name() -> None:
    train, test = arithmetic_and_poems(), arithmetic_and_poems(40, seed=1)
    turned = replace(
        train, models=train.models[::-1], score=train.score[:, ::-1], cost=train.cost[:, ::-1]
    )
    (run,), (same,) = classic_runs(test, train), classic_runs(test, turned)
    assert (run.score == same.score).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_who_can_do_what(kind: str) -> None:
    train, test = arithmetic_and_poems(), arithmetic_and_poems(60, seed=1)
    quality = estimated(kind, train, test.prompts)
    assert (quality.argmax(axis=1) == test.score.argmax(axis=1)).all()
    assert ((quality >= 0) & (quality <= 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.05, 0.6])
def test_answers_may_be_missing(kind: str, part: float) -> None:
    train, test = arithmetic_and_poems(200), arithmetic_and_poems(60, seed=1)
    missing = np.random.default_rng(0).random(train.score.shape) < part
    thinned = replace(train, score=np.where(missing, np.nan, train.score))
    quality = estimated(kind, thinned, test.prompts)
    assert (quality.argmax(axis=1) == test.score.argmax(axis=1)).all()


def test_vectors_have_length_one_and_hang_on_no_order() -> None:
    texts = [*arithmetic_and_poems().prompts, "", "  ", "\ud800"]
    vectors = WordFeatures().fit(texts).transform(texts)
    turned = WordFeatures().fit(texts[::-1]).transform(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[:-3] == pytest.approx(np.ones(len(texts) - 3), abs=1e-5)
    assert lengths[-3:-1].tolist() == [0, 0]
    assert vectors == pytest.approx(turned, abs=1e-5)


def test_more_words_than_dimensions_are_reduced() -> None:
    generator = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in generator.integers(0, 500, 30)) for _ in range(300)]
    vectors = WordFeatures(20).fit(texts).transform(texts)
    assert vectors.shape == (300, 20)
    assert WordFeatures(20).fit(texts).transform([]).shape == (0, 20)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(300), abs=1e-5)


def test_faults_say_how_to_mend_them() -> None:
    train = arithmetic_and_poems()
    with pytest.raises(ConfigurationError, match="no answer of 'large'"):
        estimated("mlp", replace(train, score=train.score * [1, np.nan]), ["hi"])
    with pytest.raises(ConfigurationError, match="1 or more"):
        estimated("knn", train, ["hi"], k=0)
    with pytest.raises(ConfigurationError, match="'words' or 'minilm'"):
        features_named("bert")
    with pytest.raises(ConfigurationError, match="'knn', 'mlp', 'svm'"):
        list(classic_runs(train, kinds=("tree",)))
    with pytest.raises(ConfigurationError, match="fit"):
        WordFeatures().transform(["hi"])


@pytest.mark.parametrize(
    ("package", "call", "extra"),
    [
        ("sklearn", "WordFeatures()", "eval"),
        ("sklearn", "NeuralNetwork.trained(np.eye(3), np.eye(3))", "eval"),
        ("sklearn", "SupportVectors.trained(np.eye(3), np.eye(3))", "eval"),
        ("sentence_transformers", "MiniLMFeatures()", "bench"),
    ],
)
def test_what_is_not_installed_is_named(package: str, call: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "import numpy as np\n"
        "from llmroute.errors import MissingExtra\n"
        "from llmroute.routers.mlp import NeuralNetwork\n"
        "from llmroute.routers.svm import SupportVectors\n"
        "from llmroute.routers.features import MiniLMFeatures, WordFeatures\n"
        f"try: {call}\n"
        "except MissingExtra as fault: print(fault.extra)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == extra, done.stderr
    assert issubclass(MissingExtra, ImportError)


def test_importing_it_is_cheap() -> None:
    code = (
        "import sys, llmroute.evaluation.predictive_baselines; "
        "import llmroute.evaluation.simulated_cascade; heavy = "
        "{'sklearn', 'scipy', 'torch', 'sentence_transformers'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_on_routerbench_words_alone_are_worth_little(data: Path) -> None:
    train = Outcomes.read(data / "routerbench", "train")
    test = Outcomes.read(data / "routerbench", "test").complete()
    singles = np.column_stack([test.cost.mean(axis=0), test.score.mean(axis=0)])
    low, high = singles[:, 0].min(), singles[:, 0].max()

    def area(points: np.ndarray) -> float:
        return float(aiq(np.vstack([singles[[singles[:, 0].argmin()]], points]), low, high))

    found = {
        run.name: area(np.column_stack([run.cost.mean(axis=1), run.score.mean(axis=1)]))
        for run in [
            baselines.oracle_sweep(test),
            baselines.category_prior(test, train),
            *classic_runs(test, train, kinds=("knn", "mlp")),
        ]
    }
    zero = area(singles)
    assert zero < found["knn"] < found["oracle"]
    assert zero < found["mlp"] < found["oracle"]
    # What the category is worth, no reading of the text adds to.
    assert zero < found["category"] < found["oracle"]
