"""The figures of RouteLLM's benchmark, computed a second time by the plainest means."""

from pathlib import Path

import numpy as np
import pytest

from llmroute.evaluation import Outcomes, Report, evaluate
from llmroute.metrics import apgr

STRONG, WEAK = "gpt-4-1106-preview", "mistralai/Mixtral-8x7B-Instruct-v0.1"


@pytest.fixture(scope="module")
def outcomes(data: Path) -> Outcomes:
    return Outcomes.read(data / "routellm", "test").complete()


@pytest.fixture(scope="module")
def scores(data: Path) -> tuple[list[float], list[float]]:
    """The strong and the weak model's scores on test prompts, read without this package."""
    parquet = pytest.importorskip("pyarrow.parquet")
    prompts = parquet.read_table(data / "routellm" / "prompts.parquet").to_pylist()
    test = {p["prompt_id"] for p in prompts if p["split"] == "test"}
    by_model: dict[str, dict[str, float]] = {STRONG: {}, WEAK: {}}
    for row in parquet.read_table(data / "routellm" / "outcomes.parquet").to_pylist():
        if row["prompt_id"] in test:
            by_model[row["model"]][row["prompt_id"]] = row["score"]
    both = sorted(set(by_model[STRONG]) & set(by_model[WEAK]))
    return [by_model[STRONG][p] for p in both], [by_model[WEAK][p] for p in both]


def curve_by_hand(strong: list[float], weak: list[float]) -> tuple[list[float], list[float]]:
    """Shares and PGR of the router that knows the gains, prompt by prompt."""
    gains = sorted((s - w for s, w in zip(strong, weak, strict=True)), reverse=True)
    gap, size = sum(gains), len(gains)
    shares, recovered, total = [0.0], [0.0], 0.0
    for asked, gain in enumerate(gains, 1):
        total += gain
        shares.append(asked / size)
        recovered.append(total / gap)
    return shares, recovered


def crossing_by_hand(shares: list[float], recovered: list[float], part: float) -> float:
    for i in range(1, len(shares)):
        if recovered[i] >= part:
            along = (part - recovered[i - 1]) / (recovered[i] - recovered[i - 1])
            return shares[i - 1] + along * (shares[i] - shares[i - 1])
    raise AssertionError


@pytest.fixture(scope="module")
def report(outcomes: Outcomes) -> Report:
    return evaluate([STRONG] * len(outcomes), outcomes, replicates=20, classic=False)


def test_the_accuracies(report: Report, scores: tuple[list[float], list[float]]) -> None:
    strong, weak = scores
    assert report.singles[STRONG][1] == pytest.approx(sum(strong) / len(strong), abs=1e-12)
    assert report.singles[WEAK][1] == pytest.approx(sum(weak) / len(weak), abs=1e-12)


def test_the_oracle(report: Report, scores: tuple[list[float], list[float]]) -> None:
    shares, recovered = curve_by_hand(*scores)
    area = sum(
        (shares[i] - shares[i - 1]) * (recovered[i] + recovered[i - 1]) / 2
        for i in range(1, len(shares))
    )
    figures = report.baselines["oracle"].metrics
    assert figures["apgr"].value == pytest.approx(area, abs=1e-9)
    for part, name in ((0.5, "cpt50"), (0.8, "cpt80")):
        by_hand = crossing_by_hand(shares, recovered, part)
        assert figures[name].value == pytest.approx(by_hand, abs=1e-9)


def test_random_routers_have_a_half(outcomes: Outcomes) -> None:
    chance = np.random.default_rng(0)
    strong = outcomes.score[:, outcomes.models.index(STRONG)]
    weak = outcomes.score[:, outcomes.models.index(WEAK)]
    drawn = [apgr(chance.random(len(strong)), weak, strong) for _ in range(50)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.01)
