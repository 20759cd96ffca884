"""What a profile and a few answers are worth: the measuring, on outcomes with a known pattern."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from examples.reproduce import profile_figures
from examples.reproduce.profile_data import AIQ, GAIN, WIN, Field, pooled
from examples.reproduce.profile_figures import (
    BEGIN,
    END,
    anchor_difficulties,
    anchor_table,
    main,
    unseen_model_row,
)
from examples.reproduce.profile_local_scorer import (
    LOCAL_HEADS,
    UNSEEN_HEADS,
    WAYS,
    local_rows,
    unseen_rows,
)
from llmroute.evaluation import Outcomes
from tests.routers.material import outcomes

NUMBER = re.compile(r"[-+]?\d+\.\d+")


def kinds(count: int, start: int = 0) -> Outcomes:
    """Sums and proofs, each under two names, with costs."""
    whole = outcomes(count, start=start)
    names = tuple(f"{c} {i // 2 % 2}" for i, c in enumerate(whole.categories))
    return replace(whole, categories=names)


def value(cell: str) -> float:
    return float(NUMBER.findall(cell)[0])


def write(path: Path, table: Outcomes, split: str | None = None) -> Path:
    """A log of the outcomes; without a split half of the prompts, by hash, are the test."""
    lines = ["prompt,model,score,cost_usd,category,split"]
    for p, prompt in enumerate(table.prompts):
        for m, model in enumerate(table.models):
            cost = "" if table.cost is None else table.cost[p, m]
            part = split or ("test" if p % 3 == 0 else "train")
            row = f"{table.score[p, m]},{cost},{table.categories[p]},{part}"
            lines.append(f"{prompt},{model},{row}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def priced() -> Field:
    return Field("priced", kinds(240), kinds(120, 500), True)


@pytest.fixture(scope="module")
def pair() -> Field:
    both = [outcomes(n, start=s, cost=False).only(["apprentice", "master"])
            for n, s in ((240, 0), (120, 500))]  # fmt: skip
    return Field("pair", *both, True)


def test_a_folder_is_read_by_parts_of_its_categories(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", outcomes(240))
    field = Field.read(f"{log}=proof")
    assert set(field.train.categories) == set(field.test.categories) == {"proof"}
    assert field.has_train
    assert field.name == "`log.csv` proof"


def test_of_many_models_without_costs_two_are_compared(tmp_path: Path) -> None:
    field = Field.read(str(write(tmp_path / "log.csv", outcomes(240, cost=False))))
    assert field.test.models[1] == "master"  # the strongest
    assert field.test.models[0] in ("apprentice", "guesser")
    assert field.measures == (WIN, GAIN)


def test_without_a_train_part_no_answer_is_measured_on(priced: Field) -> None:
    field = replace(priced, train=priced.test, has_train=False)
    parts = list(field.splits())
    assert sorted(np.concatenate([held for _, held in parts])) == list(range(len(field.test)))
    assert not any(set(learn) & set(held) for learn, held in parts)


def test_parts_estimated_by_other_answers_are_not_ranked_against_one_another(pair: Field) -> None:
    whole = replace(pair, train=pair.test, has_train=False)
    quality = np.where(whole.test.score > 0, 0.9, 0.2)
    lifted = quality.copy()
    for number, (_, held) in enumerate(whole.splits()):
        lifted[held] = 0.5 * quality[held] / (1 + number)
    cost = np.zeros(quality.shape)
    found = (whole.figures(each, cost)[GAIN][0] for each in (quality, lifted))
    assert next(found) == pytest.approx(next(found))


def test_knowing_every_score_is_the_oracle_and_knowing_means_closes_no_gap(priced: Field) -> None:
    cost = priced.test.cost
    assert cost is not None
    means = np.tile(priced.test.score.mean(axis=0), (len(priced.test), 1))
    known = priced.closed(priced.figures(priced.test.score, cost)[AIQ])
    flat = priced.closed(priced.figures(means, np.tile(cost.mean(axis=0), (len(cost), 1)))[AIQ])
    assert known[0] == pytest.approx(1, abs=0.01)
    assert flat[0] == pytest.approx(0, abs=0.01)


@given(st.integers(2, 6), st.integers(0, 1000))
def test_pooled_figures_keep_their_mean_and_differences(count: int, seed: int) -> None:
    one, other = np.random.default_rng(seed).normal(size=(2, count, 8))
    assert pooled(one)[0] == pytest.approx(one[:, 0].mean())
    # Paired: what is drawn for one is drawn for the other.
    assert pooled(one) - pooled(other) == pytest.approx(pooled(one - other))


def test_draws_that_differ_widen_the_interval() -> None:
    replicates = np.tile(np.random.default_rng(0).normal(size=200), (8, 1))
    apart = replicates + np.arange(8)[:, None]
    assert pooled(apart)[1:].std() > pooled(replicates)[1:].std()


@pytest.mark.parametrize("way", list(WAYS))
def test_each_way_learns_which_model_is_better(priced: Field, way: str) -> None:
    quality = WAYS[way](priced.train, priced.pool(), priced.test.prompts)
    assert quality.shape == priced.test.score.shape
    assert quality.mean(axis=0).argmax() == 1  # the master


def test_answers_alone_tell_sums_from_proofs(priced: Field) -> None:
    apprentice = WAYS["local"](priced.train, priced.pool(), priced.test.prompts)[:, 0]
    right = priced.test.score[:, 0] > 0
    assert apprentice[right].mean() > apprentice[~right].mean() + 0.2


def test_rows_of_few_answers_add_up(priced: Field, pair: Field) -> None:
    for field in (priced, pair):
        rows = list(local_rows(field, draws=2, sizes=(20, 60)))
        assert len(rows) == 2 * len(field.measures)
        for row in rows:
            assert len(row) == len(LOCAL_HEADS)
            local, combined, over_local = (value(row[i]) for i in (3, 4, 6))
            assert combined - local == pytest.approx(over_local, abs=2e-3)


def test_an_unknown_model_is_nearly_known_after_fifty_answers(priced: Field) -> None:
    row = unseen_model_row(priced)
    assert row[:2] == ["priced", "3"]
    assert abs(value(row[-2])) < 0.05
    assert value(row[-1]) >= value(row[-2])


def test_plain_and_cautious_are_measured_on_categories_left_out(priced: Field) -> None:
    plain, cautious = unseen_rows(priced)
    assert len(plain) == len(cautious) == len(UNSEEN_HEADS)
    assert set(plain[-1].split(", ")) == {"1"}
    assert all(0 <= float(share) <= 1 for share in cautious[-1].split(", "))


def test_an_able_and_a_weak_model_are_told_less_of_by_the_anchors() -> None:
    heads, _, information, deviation = anchor_table().splitlines()
    assert heads.count("|") == information.count("|")
    informations = [float(cell) for cell in NUMBER.findall(information)]
    left = [float(cell) for cell in NUMBER.findall(deviation)]
    assert np.argmax(informations) == np.argmin(left) == len(left) // 2
    assert "67 anchors" in anchor_difficulties()


def test_the_command_writes_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_figures, "_UNSEEN_MODEL_DRAWS", 1)
    log, page = write(tmp_path / "log.csv", kinds(400)), tmp_path / "page.md"
    names = ("anchors", "unseen model", "few answers", "unseen categories")
    marks = [f"{BEGIN.format(name)}\n{END.format(name)}" for name in names]
    page.write_text("before\n" + "\nbetween\n".join(marks) + "\nafter\n", encoding="utf-8")
    arguments = [
        str(log),
        "--draws",
        "2",
        "--answers",
        "20",
        "--unseen",
        "log.csv",
        "--write",
        str(page),
    ]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    text = page.read_text("utf-8")
    for part in ("Fisher information", "worst model", "2 draws.", "| `log.csv` | cautious |"):
        assert part in text
    assert text.count("between") == 3
    assert text.endswith("after\n")
