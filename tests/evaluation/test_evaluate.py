"""`evaluate`: a router beside the baselines, on the same prompts and the same replicates."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmroute import CheapestAbove, ModelPool, RouterChain, Threshold, WillingnessToPay
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, Report, evaluate, pool_from_outcomes
from llmroute.metrics import Interval, aiq
from tests.evaluation.made_up import Told, made_up, pool_of

pytestmark = pytest.mark.usefixtures("blas_threads")

OUTCOMES = made_up()
FEW = {"replicates": 50, "classic": False}


def measured(quality: np.ndarray) -> Report:
    chain = RouterChain(
        pool=pool_of(OUTCOMES), scorer=Told(OUTCOMES, quality), policy=WillingnessToPay(usd=1e-5)
    )
    return evaluate(chain, OUTCOMES, **FEW)


def same(one: Interval, other: Interval) -> bool:
    """Whether two figures are the same but for the order in which their sums were taken."""
    ends = other.value, other.low, other.high
    return (one.value, one.low, one.high) == pytest.approx(ends, abs=1e-9, nan_ok=True)


class TestWhatItSays:
    report = measured(0.1 + 0.8 * OUTCOMES.score)

    def test_the_baselines_are_always_there(self) -> None:
        expected = {"random", "cheapest", "zero", "oracle", "category", *OUTCOMES.models}
        assert expected == set(self.report.baselines)

    def test_a_router_that_knows_the_scores_comes_close_to_the_oracle(self) -> None:
        oracle = self.report.baselines["oracle"].metrics["aiq"]
        assert self.report.metrics["aiq_closed"].value > 0.95
        assert self.report.metrics["aiq"].value <= oracle.value + 1e-9

    def test_single_models_are_what_the_table_says(self) -> None:
        assert OUTCOMES.cost is not None
        for m, name in enumerate(OUTCOMES.models):
            cost, quality = self.report.singles[name]
            assert cost == pytest.approx(OUTCOMES.cost[:, m].mean())
            assert quality == pytest.approx(OUTCOMES.score[:, m].mean())
            assert self.report.baselines[name].metrics["quality"].value == pytest.approx(quality)

    def test_the_strongest_model_is_what_saving_is_measured_against(self) -> None:
        strong = self.report.baselines["m2"].metrics
        assert strong["saved"].value == pytest.approx(0, abs=1e-12)
        assert strong["kept"].value == pytest.approx(1, abs=1e-12)
        assert strong["strong_share"].value == pytest.approx(1, abs=1e-12)
        cheapest = self.report.baselines["cheapest"].metrics
        assert cheapest["saved"].value == pytest.approx(0.99)

    def test_aiq_is_that_of_the_curve_with_the_cheapest_model(self) -> None:
        singles = np.array(list(self.report.singles.values()))
        points = np.vstack([singles[:1], self.report.curve])
        low, high = singles[:, 0].min(), singles[:, 0].max()
        assert self.report.metrics["aiq"].value == pytest.approx(aiq(points, low, high))

    def test_every_figure_lies_in_its_interval(self) -> None:
        for one in (self.report.router, *self.report.baselines.values()):
            for name, figure in one.metrics.items():
                if np.isnan(figure.low):
                    continue
                slack = 0.05 if name == "ece" else 1e-9  # resampling adds to it, see its docstring
                assert figure.low - slack <= figure.value <= figure.high + slack, (one.name, name)

    def test_categories_make_up_the_whole(self) -> None:
        sizes = self.report.categories
        assert sizes == {"a": 200, "b": 200}
        whole = sum(sizes[c] * q for c, q in self.report.router.categories.items()) / 400
        assert whole == pytest.approx(self.report.metrics["quality"].value)

    def test_where_it_came_from_is_said(self) -> None:
        origin = self.report.provenance
        assert {"python", "llmroute", "numpy"} <= set(origin.versions)
        assert "cross-fitted" in origin.split
        assert (origin.replicates, origin.seed) == (50, 0)


def test_a_router_that_knows_nothing_is_worth_nothing() -> None:
    report = measured(OUTCOMES.score.mean(axis=0))
    assert report.metrics["aiq_over_zero"].value == pytest.approx(0, abs=1e-9)
    assert "auroc:m0" in report.metrics
    assert report.metrics["auroc:m0"].value == pytest.approx(0.5, abs=1e-12)


def test_the_order_of_prompts_and_columns_does_not_matter() -> None:
    quality = 0.1 + 0.5 * OUTCOMES.score
    shuffled = OUTCOMES.select(np.random.default_rng(1).permutation(len(OUTCOMES)))
    chain = RouterChain(pool=pool_of(OUTCOMES), scorer=Told(OUTCOMES, quality))
    one, other = evaluate(chain, OUTCOMES, **FEW), evaluate(chain, shuffled, **FEW)
    for name, figure in one.metrics.items():
        assert same(figure, other.metrics[name]), name


class TestTwoModelsWithoutCosts:
    outcomes = made_up(models=2, costs=False)

    def report(self, quality: np.ndarray) -> Report:
        scorer = Told(self.outcomes, quality)
        chain = RouterChain(
            pool=pool_of(self.outcomes).without_prices(),
            scorer=scorer,
            policy=Threshold(threshold=0.3),
        )
        return evaluate(chain, self.outcomes, **FEW)

    def test_spend_is_the_share_of_strong_calls(self) -> None:
        report = self.report(0.1 + 0.8 * self.outcomes.score)
        assert report.unit == "strong calls"
        share = report.metrics["strong_share"].value
        assert report.metrics["cost"].value == pytest.approx(share, abs=1e-12)
        assert report.singles["m0"][0] == 0
        assert report.singles["m1"][0] == pytest.approx(1, abs=1e-12)

    def test_a_router_that_knows_the_gain_has_the_oracles_apgr(self) -> None:
        report = self.report(0.1 + 0.8 * self.outcomes.score)
        oracle = report.baselines["oracle"].metrics
        assert report.metrics["apgr"].value == pytest.approx(oracle["apgr"].value, abs=0.02)
        assert 0 < oracle["cpt50"].value < oracle["cpt80"].value < 0.5

    def test_one_that_says_the_same_of_all_has_a_half(self) -> None:
        report = self.report(np.array([0.4, 0.6]))
        assert report.metrics["apgr"].value == pytest.approx(0.5)
        assert report.metrics["cpt80"].value == pytest.approx(0.8)


class TestRoutersOfOtherMakes:
    def test_the_names_they_chose_are_enough(self) -> None:
        names = ["m1"] * len(OUTCOMES)
        report = evaluate(names, OUTCOMES, name="mine", **FEW)
        alone = report.baselines["m1"].metrics
        assert report.router.name == "mine"
        assert same(report.metrics["quality"], alone["quality"])
        assert report.reliability == {}

    def test_or_a_function_that_chooses(self) -> None:
        def by_length(prompts: Sequence[str]) -> list[str]:
            return ["m2" if len(p) > 30 else "m0" for p in prompts]

        report = evaluate(by_length, OUTCOMES, **FEW)
        share = np.mean([len(p) > 30 for p in OUTCOMES.prompts])
        assert report.metrics["strong_share"].value == pytest.approx(share)

    def test_several_are_compared_on_the_same_replicates(self) -> None:
        report = evaluate(
            ["m0"] * len(OUTCOMES), OUTCOMES, others={"twin": ["m0"] * len(OUTCOMES)}, **FEW
        )
        twin = report.baselines["twin"].metrics
        assert set(report.metrics) == set(twin)
        assert all(same(figure, twin[name]) for name, figure in report.metrics.items())

    def test_a_name_that_is_not_there(self) -> None:
        with pytest.raises(ConfigurationError, match="no outcomes of 'm9'"):
            evaluate(["m9"] * len(OUTCOMES), OUTCOMES, **FEW)

    def test_too_few_names(self) -> None:
        with pytest.raises(ConfigurationError, match="one model for each of the 400 prompts"):
            evaluate(["m0"], OUTCOMES, **FEW)


class TestWhatIsLeftOut:
    def test_prompts_some_model_did_not_answer(self) -> None:
        score = OUTCOMES.score.copy()
        score[:10, 0] = np.nan
        holes = replace(OUTCOMES, score=score)
        with pytest.warns(UserWarning, match="10 of 400 prompts of made up are left out"):
            assert evaluate(["m1"] * 390, holes, **FEW).prompts == 390

    def test_models_the_router_does_not_have(self) -> None:
        pool = ModelPool([m for m in pool_of(OUTCOMES) if m.name != "m2"])
        chain = RouterChain(pool=pool, scorer=Told(OUTCOMES, OUTCOMES.score))
        report = evaluate(chain, OUTCOMES, **FEW)
        assert report.models == ("m0", "m1")

    def test_one_model_is_nothing_to_choose_from(self) -> None:
        with pytest.raises(ConfigurationError, match="at least 2 models"):
            evaluate(["m0"] * 400, OUTCOMES.only(["m0"]), **FEW)

    def test_few_prompts_are_warned_of(self) -> None:
        with pytest.warns(UserWarning, match="20 prompts are few"):
            evaluate(["m0"] * 20, OUTCOMES.select(range(20)), **FEW)


def part(data: Path, prefix: str) -> Outcomes:
    o = Outcomes.read(data / "routellm", "test")
    return o.select(np.array([c.startswith(prefix) for c in o.categories]))


@pytest.mark.filterwarnings("ignore:.*prompts are few")
@pytest.mark.parametrize(("prefix", "least"), [("mmlu", 0.62), ("gsm8k", 0.5), ("mt", 0.5)])
def test_the_bundled_router_between_gpt_4_and_mixtral(
    data: Path, prefix: str, least: float
) -> None:
    o = part(data, prefix)
    chain = RouterChain(pool=ModelPool(list(o.models)).without_prices())
    assert evaluate(chain, o, **FEW).metrics["apgr"].value > least


def test_the_bundled_router_on_routerbench(data: Path) -> None:
    pool = pool_from_outcomes(Outcomes.read(data / "routerbench", "train"))
    test = Outcomes.read(data / "routerbench", "test").complete()
    report = evaluate(RouterChain(pool=pool, policy=CheapestAbove()), test, **FEW)
    assert report.metrics["aiq"].value > report.baselines["random"].metrics["aiq"].value
    assert report.metrics["aiq_over_zero"].value > -0.01


class TestNamesAndTies:
    def test_two_of_one_name_are_refused(self) -> None:
        odd = replace(OUTCOMES, models=("oracle", "m1", "m2"))
        with pytest.raises(ConfigurationError, match="two ways to choose are called 'oracle'"):
            evaluate(["m1"] * 400, odd, **FEW)

    def test_of_equally_good_models_savings_are_of_the_cheapest_ones_bill(self) -> None:
        score = np.ones((400, 2))
        equal = replace(
            made_up(models=2), score=score, cost=np.tile([0.01, 0.001], (400, 1)), models=("d", "c")
        )
        report = evaluate(["c"] * 400, equal, **FEW)
        assert report.strongest == "c"
        assert report.metrics["saved"].value == pytest.approx(0, abs=1e-12)

    def test_train_that_is_measured_on_is_warned_of_and_told(self) -> None:
        with pytest.warns(UserWarning, match="400 prompts stand in train"):
            report = evaluate(["m1"] * 400, OUTCOMES, train=OUTCOMES, **FEW)
        assert "400 are measured on too" in report.provenance.split
