"""Leaving a source out: which models are compared, what is trained on, and what is written."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("torch") is None:
    pytest.skip("torch is not installed (extra `train`)", allow_module_level=True)

import pyarrow as pa
import pyarrow.parquet as pq

from examples.reproduce.cost_interval import coverage
from examples.reproduce.leave_out import LeftOut, pairs, routers_without, transfer, unseen_models
from examples.reproduce.ood_detection import detection, fallback
from examples.reproduce.ood_texts import ood_texts
from examples.reproduce.transfer import BEGIN, END, main, put_between_marks
from llmroute.evaluation import Outcomes
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.training import Settings

QUICK = Settings(
    layers=0, vector_size=16, hidden=16, dimensions=2, epochs=6, batch=64, rate=1e-2, patience=6
)


def write(folder: Path, models: tuple[str, ...], seed: int) -> Path:
    """Sums are easy, proofs are hard; later models are abler."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    hard = generator.random(500) < 0.5
    texts = [
        f"Prove theorem number {i}{seed} about manifolds and homology groups."
        if h
        else f"What is {i}{seed} plus {i + 1}?"
        for i, h in enumerate(hard)
    ]
    ids = [f"{folder.name}{i}" for i in range(500)]
    split = np.where(generator.random(500) < 0.3, "test", "train")
    pq.write_table(
        pa.table({"prompt_id": ids, "prompt": texts, "category": ["c"] * 500, "split": split}),
        folder / "prompts.parquet",
    )
    rows = []
    for i, h in enumerate(hard):
        for m, name in enumerate(models):
            chance = 1 / (1 + np.exp(-(1.5 * m + (-1.5 if h else 1.5))))
            made = int((300 if h else 60) * generator.uniform(0.8, 1.2))
            rows.append((ids[i], name, float(generator.random() < chance), made, 15))
    columns = ("prompt_id", "model", "score", "completion_tokens", "prompt_tokens")
    table = dict(zip(columns, zip(*rows, strict=True), strict=True))
    table["cost_usd"] = tuple((row[4] * 0.1 + row[3] * 0.5) / 1e6 for row in rows)
    pq.write_table(pa.table(table), folder / "outcomes.parquet")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = tmp_path_factory.mktemp("data")
    return [
        write(base / "one", ("a-1b", "a-8b", "a-70b"), 0),
        write(base / "two", ("b-small", "b-large"), 1),
    ]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def routers(folders: list[Path], work: Path) -> dict[str, LatentAbilityScorer]:
    return routers_without(folders, work, settings=QUICK)


def test_the_strongest_model_meets_those_at_the_lower_quartile_and_the_median() -> None:
    means = np.array([0.3, 0.9, 0.1, 0.5, 0.2, 0.4])
    lower, middle = pairs(np.tile(means, (4, 1)))
    assert (lower.weak, lower.strong, lower.quantiles) == (4, 1, ("lower quartile",))
    assert (middle.weak, middle.strong, middle.quantiles) == (0, 1, ("median",))


def test_two_models_are_one_pair() -> None:
    (only,) = pairs(np.array([[1.0, 0.0], [1.0, np.nan]]))
    assert (only.weak, only.strong, only.quantiles) == (1, 0, ("lower quartile", "median"))


def test_a_router_has_not_seen_the_folder_that_was_left_out(
    routers: dict[str, LatentAbilityScorer],
) -> None:
    seen = {name: {source.name for source in one.card.data} for name, one in routers.items()}
    assert seen == {"": {"one", "two"}, "one": {"two"}, "two": {"one"}}


def test_routers_that_lie_there_are_not_trained_again(
    folders: list[Path], work: Path, routers: dict[str, LatentAbilityScorer]
) -> None:
    def fail(stage: str, done: int, total: int, note: str = "") -> None:
        raise AssertionError(stage)

    again = routers_without(folders, work, settings=QUICK, progress=fail)
    assert again["one"].card == routers["one"].card


def test_unseen_models_have_general_abilities_in_the_order_of_their_answers(
    folders: list[Path], routers: dict[str, LatentAbilityScorer]
) -> None:
    pool = unseen_models(routers["one"], Outcomes.read(folders[0], "train"))
    abilities = [pool[name].ability for name in ("a-1b", "a-8b", "a-70b")]
    assert abilities == sorted(abilities)


def test_what_is_hard_is_known_on_the_folder_left_out(
    folders: list[Path], routers: dict[str, LatentAbilityScorer]
) -> None:
    folder, scorer = LeftOut.read(folders[0]), routers["one"]
    quality = scorer.estimate(folder.test.prompts, unseen_models(scorer, folder.train)).quality
    figures = transfer(quality, folder, folder.pairs[0])
    assert set(figures) == {"failure", "win", "gain", "difficulty known"}
    assert figures["failure"][0] > 0.5


def test_no_other_model_no_yardstick(
    folders: list[Path], routers: dict[str, LatentAbilityScorer]
) -> None:
    folder = LeftOut.read(folders[1])
    assert "difficulty known" not in transfer(np.full((len(folder.test), 2), 0.5), folder,
                                              folder.pairs[0])  # fmt: skip


def test_the_made_sets_are_unlike_each_other_and_the_same_every_time() -> None:
    made = ood_texts()
    assert set(made) == {"other scripts", "Romance languages", "source code", "keys and noise"}
    assert made == ood_texts()
    assert all(len(texts) >= 30 and all(texts) for texts in made.values())
    assert not any(text.isascii() for text in made["other scripts"])
    assert all("def " in text for text in made["source code"])


def test_other_scripts_are_told_from_familiar_prompts(
    folders: list[Path], routers: dict[str, LatentAbilityScorer]
) -> None:
    familiar = Outcomes.read(folders[0], "test").prompts
    sets = {"strange": ood_texts()["other scripts"], "the same": familiar}
    found = detection(routers[""], familiar, sets)
    assert found["strange"].auroc.value > 0.9
    assert found["strange"].flagged > 0.5
    assert found["the same"].auroc.value == pytest.approx(0.5)


def test_falling_back_changes_nothing_where_nothing_is_flagged(
    folders: list[Path], routers: dict[str, LatentAbilityScorer]
) -> None:
    test = Outcomes.read(folders[0], "test")
    scorer = routers[""]
    distance = scorer.latent(test.prompts).distance
    calm = test.select(distance <= scorer.card.unfamiliar_above)
    found = fallback(scorer, calm, unseen_models(scorer, test))
    assert found.flagged == found.saved.value == found.halfway.value == 0
    assert 0 < found.log_loss < 1


def test_coverage_counts_where_recorded_costs_lie(
    folders: list[Path], routers: dict[str, LatentAbilityScorer]
) -> None:
    train, test = (Outcomes.read(folders[0], part) for part in ("train", "test"))
    found = coverage(routers[""], train, test)
    assert found is not None
    assert found.cells == 3 * len(test)
    assert found.inside + found.below + found.above == pytest.approx(1)
    assert found.inside > 0.8  # these counts vary by a fifth


def test_figures_take_their_place_in_the_page() -> None:
    new = f"{BEGIN}\nnew\n{END}"
    assert put_between_marks(f"# Title\n{BEGIN}\nold\n{END}\ntext\n", new) == (
        f"# Title\n{new}\ntext\n"
    )
    assert put_between_marks("# Title\n", new) == f"# Title\n{new}\n"


def test_the_command_writes_the_page(
    folders: list[Path], work: Path, routers: dict[str, LatentAbilityScorer], tmp_path: Path
) -> None:
    page = tmp_path / "transfer.md"
    page.write_text(f"# Transfer\n{BEGIN}{END}\nMore.\n", encoding="utf-8")
    main([str(folders[0]), str(folders[1]), "--work", str(work), "--write", str(page)])
    text = page.read_text("utf-8")
    assert text.startswith("# Transfer")
    assert text.endswith("More.\n")
    for part in ("one, left out", "**worst folder**", "keys and noise", "80 % interval"):
        assert part in text
