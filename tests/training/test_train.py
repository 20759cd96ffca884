import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("torch") is None:
    pytest.skip("torch is not installed (extra `train`)", allow_module_level=True)

import pyarrow as pa
import pyarrow.parquet as pq

from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.scoring import load_scorer
from llmroute.training import Settings, train
from llmroute.training.ability_start import starting_general
from llmroute.training.data import TrainingSet, is_held, without
from llmroute.training.int8_tables import quantise
from llmroute.training.measure import validation_metrics

QUICK = Settings(
    layers=0, vector_size=16, hidden=16, dimensions=2, epochs=6, batch=64, rate=1e-2, patience=6
)
MODELS = ("vendor/tiny-1b", "medium-8b-instruct", "huge")


def write(folder: Path, prompts: int = 600, tokens: bool = True) -> Path:
    """Sums are easy and proofs are hard; three models of rising ability."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    hard = generator.random(prompts) < 0.5
    texts = [
        f"Prove theorem number {i} about manifolds and homology groups."
        if h
        else f"What is {i} plus {i + 1}?"
        for i, h in enumerate(hard)
    ]
    split = np.where(generator.random(prompts) < 0.15, "test", "train")
    ids = [f"p{i}" for i in range(prompts)]
    category = [("gsm8k" if i % 10 == 0 else "sums") if not h else "proofs"
                for i, h in enumerate(hard)]  # fmt: skip
    pq.write_table(
        pa.table({"prompt_id": ids, "prompt": texts, "category": category, "split": split}),
        folder / "prompts.parquet",
    )
    rows: dict[str, list[object]] = {"prompt_id": [], "model": [], "score": []}
    if tokens:
        rows |= {"completion_tokens": [], "prompt_tokens": [], "cost_usd": []}
    for i, h in enumerate(hard):
        for m, name in enumerate(MODELS):
            chance = 1 / (1 + np.exp(-(1.5 * (m - 1) + (-1.5 if h else 1.5))))
            rows["prompt_id"].append(ids[i])
            rows["model"].append(name)
            rows["score"].append(float(generator.random() < chance))
            if tokens:
                made = int((300 if h else 20) * generator.uniform(0.8, 1.2))
                rows["completion_tokens"].append(made)
                rows["prompt_tokens"].append(15)
                rows["cost_usd"].append((15 * 0.1 + made * 0.5 * 4**m) / 1e6)
    pq.write_table(pa.table(rows), folder / "outcomes.parquet")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "mine"
    train([folder], out, seed=3, settings=QUICK)
    return out


def test_a_trained_router_has_learned_what_is_hard(trained: Path) -> None:
    scorer = load_scorer(trained)
    pool = ModelPool(list(MODELS))
    assert scorer.ability_source(pool) == ("fitted",) * 3
    est = scorer.estimate(
        ["What is 51 plus 52?", "Prove theorem number 9 about manifolds and homology groups."], pool
    )
    assert (np.diff(est.quality, axis=1) > 0).all()
    assert (est.quality[0] > est.quality[1] + 0.1).all()
    assert est.tokens[1, 0] > 3 * est.tokens[0, 0]


def test_the_card_tells_the_truth(trained: Path, folder: Path) -> None:
    card = load_scorer(trained).card
    data = Outcomes.read(folder, "train")
    kept = without(data, card.left_out)
    assert 0 < len(kept) < len(data)
    assert card.data[0].prompts == len(kept)
    assert card.data[0].cells == 3 * len(kept)
    assert card.name == "mine"
    figures = {"validation made_up log loss", "made_up log loss", "made_up/gsm8k log loss"}
    assert figures <= set(card.metrics)
    figure = card.metrics["made_up log loss"]
    assert figure.low is not None
    assert figure.low < figure.value < 0.69
    assert card.settings["seed"] == 3
    assert card.settings["epochs"] == QUICK.epochs
    general = np.array([v[0] for v in card.abilities.values()])
    assert general.mean() == pytest.approx(0, abs=1e-4)
    assert general.std() == pytest.approx(1, abs=1e-4)
    assert card.price is None  # three priced models say nothing of how ability follows price


def test_the_same_seed_gives_the_same_router(folder: Path, trained: Path, tmp_path: Path) -> None:
    train([folder], tmp_path / "mine", seed=3, settings=QUICK)
    again = json.loads((tmp_path / "mine" / "card.json").read_text("utf-8"))
    assert again["sha256"] == json.loads((trained / "card.json").read_text("utf-8"))["sha256"]


def test_progress_is_told(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        seen.append((stage, done, total))

    settings = Settings(layers=0, vector_size=8, hidden=8, dimensions=1, epochs=2, batch=128)
    train([folder], tmp_path / "r", settings=settings, progress=progress)
    assert [s for s in seen if s[0] == "epoch"] == 2 * [("epoch", 1, 2), ("epoch", 2, 2)]
    assert load_scorer(tmp_path / "r").card.dimensions == 1


def test_validation_figures_are_by_source_and_of_what_was_asked() -> None:
    generator = np.random.default_rng(0)
    quality = generator.uniform(0.1, 0.9, (400, 3))
    score = (generator.random((400, 3)) < quality).astype(np.float64)
    sources = ["two"] * 200 + ["three"] * 200
    score[:200, 1] = np.nan
    found = validation_metrics(quality, score, sources)
    assert list(found) == [
        "validation log loss",
        "validation two log loss",
        "validation two APGR (win)",
        "validation three log loss",
    ]
    two, three = found["validation two log loss"], found["validation three log loss"]
    assert found["validation log loss"].value == pytest.approx((two.value + three.value) / 2)
    assert two.prompts == 200
    assert found["validation two APGR (win)"].value > 0.6


def test_data_without_token_counts_trains_too(tmp_path: Path) -> None:
    settings = Settings(layers=0, vector_size=8, hidden=8, dimensions=2, epochs=1, batch=128)
    train([write(tmp_path / "bare", tokens=False)], tmp_path / "r", settings=settings)
    scorer = load_scorer(tmp_path / "r")
    est = scorer.estimate(["What is 1 plus 2?", "Prove it."], ModelPool([Model("x")]))
    assert est.tokens[0, 0] == est.tokens[1, 0] > 0


def test_what_cannot_be_trained_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="encoder is one of static, minilm"):
        train([folder], tmp_path / "r", encoder="gigantic")
    with pytest.raises(ConfigurationError, match="at least one folder"):
        train([], tmp_path / "r")
    with pytest.raises(ConfigurationError, match=r"prompts\.parquet"):
        train([tmp_path], tmp_path / "r")
    with pytest.raises(ConfigurationError, match="too few"):
        train([write(tmp_path / "few", prompts=3)], tmp_path / "r", left_out=())


def test_validation_is_by_question_and_not_by_spelling() -> None:
    prompts = [f"question {i}" for i in range(3000)]
    share = np.mean([is_held(p, 0) for p in prompts])
    assert 0.08 < share < 0.12
    assert all(is_held(p, 0) == is_held(p.upper() + "  ", 0) for p in prompts[:200])
    assert any(is_held(p, 0) != is_held(p, 1) for p in prompts)


def test_a_quantised_table_is_close_and_its_padding_row_is_zero() -> None:
    table = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    found = quantise(table)
    assert found.values.dtype == np.int8
    assert (found.values[0] == 0).all()
    inside = np.abs(table[1:]) < 127 * found.scale
    assert (np.abs(found.restored()[1:] - table[1:])[inside] <= 0.51 * found.scale.max()).all()


def test_starting_abilities_tie_sources_of_unequal_difficulty() -> None:
    generator = np.random.default_rng(0)
    ability = np.array([-1.0, 0.0, 1.0, 2.0])
    source = np.repeat([0, 1], 1500)
    logits = ability - np.where(source == 0, 0.0, 2.0)[:, None]
    score = (generator.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    score[source == 0, 3] = np.nan
    score[source == 1, 0] = np.nan
    size = len(source)
    data = TrainingSet(
        ids=[np.zeros(1, np.int64)] * size,
        surface=np.zeros((size, 1), np.float32),
        score=score,
        log_tokens=np.zeros(size, np.float32),
        tokens=np.zeros(size, np.float32),
        weight=np.ones(size, np.float32),
        source=source,
        category=["c"] * size,
        validation=np.zeros(size, dtype=bool),
        models=list("abcd"),
    )
    found = starting_general(data)
    assert (np.diff(found) > 0.3).all()
