import json
import os
from pathlib import Path

import pytest

from llmroute.errors import ArtifactError
from llmroute.scoring import load_scorer
from llmroute.scoring.latent_folder import load, save


def edit(folder: Path, **changes: object) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_the_bundled_router_is_small_and_says_what_it_is(copied: Path) -> None:
    card = load(copied).card
    assert sum(f.stat().st_size for f in copied.iterdir()) < 8e6
    assert {source.name for source in card.data} == {
        "mmlu_pro",
        "routellm",
        "zeroeval_math",
        "llmrouter_dc",
    }
    assert "gsm8k" in card.left_out
    assert all(len(h) == 64 for source in card.data for h in source.sha256.values())
    assert card.base["model.safetensors sha256"].startswith("53aa5117")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "card.json"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        load(copied)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(copied: Path, name: str) -> None:
    path = copied / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="sha256"):
        load(copied)


def test_another_format_is_refused(copied: Path) -> None:
    edit(copied, format=99)
    with pytest.raises(ArtifactError, match=r"format 99.*Train the router again"):
        load(copied)


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_a_damaged_card_is_refused(copied: Path, content: str) -> None:
    (copied / "card.json").write_text(content, "utf-8")
    with pytest.raises(ArtifactError, match=r"card\.json"):
        load(copied)


def test_a_card_with_a_wrong_or_missing_entry_is_refused(copied: Path) -> None:
    edit(copied, dimensions="many")
    with pytest.raises(ArtifactError, match="dimensions"):
        load(copied)


def test_a_card_that_contradicts_itself_is_refused(copied: Path) -> None:
    edit(copied, abilities={"x": [1.0]})
    with pytest.raises(ArtifactError, match="dimensions"):
        load(copied)


def test_other_features_are_refused(copied: Path) -> None:
    edit(copied, features=["one"])
    with pytest.raises(ArtifactError, match="features"):
        load(copied)


def test_a_graph_that_is_none_is_refused(copied: Path) -> None:
    artifact = load(copied)
    files = {"model.onnx": b"not a graph", "tokenizer.json": artifact.files["tokenizer.json"]}
    save(copied, artifact.card, files)
    with pytest.raises(ArtifactError, match="onnxruntime"):
        load_scorer(copied)


def test_a_tokenizer_that_is_none_is_refused(copied: Path) -> None:
    artifact = load(copied)
    files = {"model.onnx": artifact.files["model.onnx"], "tokenizer.json": b"{}"}
    save(copied, artifact.card, files)
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        load_scorer(copied)


def test_an_unknown_name_lists_the_bundled_ones() -> None:
    with pytest.raises(ArtifactError, match="static"):
        load_scorer("no-such-router")


def test_saving_replaces_a_router_and_leaves_no_draft(copied: Path) -> None:
    artifact = load(copied)
    again = save(copied, artifact.card.model_copy(update={"version": "2"}), artifact.files)
    assert again.card.version == "2"
    assert os.listdir(copied.parent) == ["router"]


def test_saving_never_replaces_a_folder_of_something_else(copied: Path, tmp_path: Path) -> None:
    artifact = load(copied)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.txt").write_text("precious")
    with pytest.raises(ArtifactError, match="something else"):
        save(other, artifact.card, artifact.files)
    assert (other / "chapter1.txt").read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["router", "thesis"]


def test_saving_half_a_router_is_refused(copied: Path) -> None:
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        save(copied, load(copied).card, {"model.onnx": b""})
