"""Cross-fitting: what is held out, that it took no part, and the table that is written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

if importlib.util.find_spec("torch") is None:
    pytest.skip("torch is not installed (extra `train`)", allow_module_level=True)

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from examples.reproduce import crossfit
from examples.reproduce.crossfit import BEGIN, END, main, measure, measured_rows
from examples.reproduce.held_out import GROUPS, Ground, Reader, cross_fitted, reader
from llmroute.errors import ConfigurationError
from llmroute.numerics import Ints
from llmroute.scoring.progress import quiet
from llmroute.training import Settings
from llmroute.training.encoders import Encoder
from llmroute.training.minilm_torch import MiniLM, load_minilm

QUICK = Settings(
    members=1, layers=0, vector_size=16, hidden=16, dimensions=2, epochs=6, batch=64, rate=1e-2
)
CATEGORIES = tuple("abcdefg")


def write(folder: Path, models: tuple[str, ...], seed: int) -> Path:
    """Sums are easy, proofs are hard, in seven categories; later models are abler."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    hard = generator.random(700) < 0.5
    texts = [
        f"Prove theorem number {i}{seed} about manifolds and homology groups."
        if h
        else f"What is {i}{seed} plus {i + 1}?"
        for i, h in enumerate(hard)
    ]
    ids = [f"{folder.name}{i}" for i in range(len(hard))]
    split = np.where(generator.random(len(hard)) < 0.3, "test", "train")
    category = [CATEGORIES[i % len(CATEGORIES)] for i in range(len(hard))]
    pq.write_table(
        pa.table({"prompt_id": ids, "prompt": texts, "category": category, "split": split}),
        folder / "prompts.parquet",
    )
    rows = []
    for i, h in enumerate(hard):
        for m, name in enumerate(models):
            chance = 1 / (1 + np.exp(-(2.0 * m + (-2.0 if h else 3.0))))
            rows.append((ids[i], name, float(generator.random() < chance)))
    columns = ("prompt_id", "model", "score")
    table = dict(zip(columns, zip(*rows, strict=True), strict=True))
    pq.write_table(pa.table(table), folder / "outcomes.parquet")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("data")
    return [
        write(base / "three", ("a-1b", "a-8b", "a-70b"), 0),
        write(base / "two", ("b-small", "b-large"), 1),
    ]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return load_minilm()


@pytest.fixture(scope="module")
def tokenizer(minilm: MiniLM) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(minilm.tokenizer))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def ground(folders: list[Path], tokenizer: Tokenizer) -> Ground:
    return Ground.read(folders, "two", tokenizer, {"two": 2.0})


@pytest.fixture(scope="module")
def read(ground: Ground, minilm: MiniLM) -> Reader:
    return reader("static", ground, minilm, QUICK, quiet)


def test_the_weak_model_comes_first(ground: Ground) -> None:
    assert [ground.data.models[m] for m in ground.pair] == ["b-small", "b-large"]


def test_at_random_train_prompts_are_dealt_to_groups_of_one_size(ground: Ground) -> None:
    group = ground.groups_at_random()
    assert ((group >= 0) == (ground.asked & ground.trained)).all()
    assert np.ptp(np.bincount(group[group >= 0], minlength=GROUPS)) <= 1


def test_a_category_is_in_one_group_with_its_test_prompts(ground: Ground) -> None:
    group, category = ground.groups_by_category(), np.array(ground.data.category)
    assert ((group >= 0) == ground.asked).all()
    for name in CATEGORIES:
        assert len(set(group[ground.asked & (category == name)])) == 1
    assert set(group[ground.asked]) == set(range(GROUPS))


def test_what_is_estimated_took_no_part(ground: Ground, read: Reader) -> None:
    group = ground.groups_by_category()
    asked: list[Ints] = []

    def noted(rows: Ints, like: Ints) -> Encoder:
        asked.append(rows)
        return read(rows, like)

    cross_fitted(ground, noted, group, QUICK, quiet)
    for number, (learned, held) in enumerate(zip(asked[::2], asked[1::2], strict=True)):
        assert (group[held] == number).all()
        assert not (group[learned] == number).any()
        assert ground.trained[learned].all()  # no test prompt is trained on


@pytest.mark.parametrize("loss", ["log", "squared"])
def test_what_is_hard_is_known_where_it_was_left_out(
    ground: Ground, read: Reader, loss: str
) -> None:
    settings = Settings(**{**vars(QUICK), "loss": loss})
    group = ground.groups_by_category()
    quality = cross_fitted(ground, read, group, settings, quiet)
    assert (np.isnan(quality).any(axis=1) == (group < 0)).all()
    found = measure(ground, quality, np.flatnonzero(group >= 0))
    assert found.apgr["win"][0] > 0.6
    assert found.log_loss.value < 0.65


def test_the_losses_stand_beside_each_other(ground: Ground, read: Reader) -> None:
    rows = list(measured_rows(ground, "static", read, QUICK, quiet))
    assert [row[1:3] for row in rows] == [
        ["log", "at random, train"],
        ["squared", "at random, train"],
        ["log", "by category, train"],
        ["log", "by category, test"],
        ["squared", "by category, train"],
        ["squared", "by category, test"],
    ]
    assert [bool(row[-1]) for row in rows] == [row[1] == "squared" for row in rows]


def test_the_encoder_minilm_reads_each_prompt_once(ground: Ground, minilm: MiniLM) -> None:
    settings = Settings(**{**vars(QUICK), "layers": 1})
    told: list[str] = []
    read = reader("minilm", ground, minilm, settings, lambda stage, *_: told.append(stage))
    before = len(told)
    rows = np.arange(4)
    vectors = read(rows, np.arange(50))(rows)
    assert vectors.shape == (4, 384)
    assert "texts read" in told
    assert len(told) == before


def test_what_cannot_be_measured_is_said(folders: list[Path], tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigurationError, match="--on is one of three, two"):
        Ground.read(folders, "four", tokenizer, {})
    with pytest.raises(ConfigurationError, match="three has 3 models"):
        Ground.read(folders, "three", tokenizer, {})


def test_the_command_writes_the_page(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossfit, "Settings", lambda: QUICK)
    page = tmp_path / "router.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n", encoding="utf-8")
    arguments = [*map(str, folders), "--on", "two", "--encoder", "static", "--write", str(page)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| `static` | squared | by category, test |" in text
