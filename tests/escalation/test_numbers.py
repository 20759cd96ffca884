"""What the tuned numbers come to: a change of any one of them shows here.

The other tests say which way beliefs and plans move; these say how far, on a pool of three models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llmroute import (
    BestWithin,
    CheapestAbove,
    Decision,
    Model,
    ModelPool,
    Threshold,
    WillingnessToPay,
)
from llmroute.answers.votes import NO_ANSWER, Vote
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.calibration_file import Calibration
from llmroute.escalation.calibration_fit import Recorded, fit_belief_model
from llmroute.escalation.first_call import FirstCallOptions, lambda_for_quality
from llmroute.escalation.next_call import Prices, next_step
from llmroute.escalation.priors import FORMS
from llmroute.escalation.request_plan import RequestPlanner
from llmroute.policies import Policy
from llmroute.records import ModelEstimate
from tests.escalation.test_belief import planted

MODEL = BeliefModel.unfitted(3)
PRIOR = np.array([0.5, 0.6, 0.8])
NAMES = ("small", "middle", "large")
PRICES = Prices(
    [1e-4, 4e-4, 2e-3],
    verify=[5e-5, 2e-4, 1e-3],
    sample=[2e-4, 8e-4, 4e-3],
    confident=[True] * 3,
)
TYPICAL = np.array([[0.4, 0.5, 0.7], [0.5, 0.6, 0.8], [0.6, 0.7, 0.9]])

#: Of each form: right, shared_error_rate, other, and each model's own shared_error_rate.
FOUND_FORMS = {
    "choice": (0.07105, 0.54203, 1.5, [0.32415, 0.66805, 0.63387]),
    "number": (0.07409, 0.5931, 9.0, [0.40294, 0.65092, 0.72544]),
    "new": (0.05634, 0.61713, 20.0, [0.49906, 0.63458, 0.71777]),
}
#: Of each kind of confidence, by model: intercept, gap, load, both, prior,
#: shared_error_rate, spread.
FOUND_CONFIDENCES = {
    "token": (
        [-0.6124, 1.2292, 0.0213, -0.0109, -0.1625, -0.2267, 0.7144],
        [-0.3395, 0.9149, 0.0905, -0.0611, -0.1429, -0.5377, 0.726],
        [-0.3881, 1.0735, -0.0486, 0.0809, -0.3315, -0.4013, 0.7568],
    ),
    "verified": (
        [-0.5895, 1.2038, 0.0301, 0.024, -0.1564, -0.3132, 0.7168],
        [-0.3522, 0.9332, 0.1033, -0.0993, -0.1482, -0.5807, 0.7011],
        [-0.266, 0.8769, 0.0468, -0.0168, -0.2272, -0.7725, 0.7273],
    ),
    "share": (
        [-0.1708, 1.146, 0.0236, 0.0333, -0.0453, -0.2545, 0.9743],
        [0.0581, 0.9231, 0.1257, -0.1374, 0.0245, -0.5197, 1.0139],
        [-0.046, 1.0232, -0.0003, 0.0448, -0.0393, -0.6508, 0.9769],
    ),
}


def about(*numbers: float) -> Any:
    return pytest.approx(numbers, abs=2e-5)


class TestBeliefs:
    @pytest.mark.parametrize(
        ("votes", "form", "good", "able"),
        [
            ([Vote(0, 0, confidence=0.999)], "number", [0.66655], [0.57226, 0.67117, 0.85131]),
            ([Vote(0, 0, confidence=0.3)], "number", [0.31657], [0.41956, 0.52384, 0.74973]),
            ([Vote(0, 0, verified=0.9)], "choice", [0.44825], [0.47621, 0.57972, 0.79014]),
            ([Vote(0, 0), Vote(1, 0)], "choice", [0.72235], [0.58097, 0.67141, 0.83876]),
            ([Vote(0, 0), Vote(1, 0)], "prose", [0.73012], [0.5845, 0.67487, 0.84121]),
            ([Vote(0, 0), Vote(1, 1)], "number", [0.23376, 0.41386], [0.39504, 0.50367, 0.74138]),
            (
                [Vote(0, NO_ANSWER), Vote(1, 0)],
                None,
                [0.32174, 0.47985],
                [0.43063, 0.53674, 0.76217],
            ),
        ],
    )
    def test_after_some_votes(
        self, votes: list[Vote], form: str | None, good: list[float], able: list[float]
    ) -> None:
        belief = MODEL.belief(PRIOR, votes, form)
        assert belief.good.tolist() == about(*good)
        assert belief.able.tolist() == about(*able)

    @pytest.mark.parametrize(
        ("agreeing", "of", "held"), [(2, 2, 0.38859), (3, 3, 0.42391), (2, 3, 0.30821)]
    )
    def test_a_share_of_samples_counts_as_after_one_more_of_each_kind(
        self, agreeing: int, of: int, held: float
    ) -> None:
        """So two of two say less than three of three."""
        votes = [Vote(0, 0 if k < agreeing else k) for k in range(of)]
        assert MODEL.belief(PRIOR, votes, "number").held == pytest.approx(held, abs=2e-5)

    @pytest.mark.parametrize(
        ("form", "agree", "differ"),
        [
            ("choice", 0.72235, 0.63807),
            ("yesno", 0.62674, 0.68902),
            ("number", 0.83267, 0.56111),
            ("date", 0.83267, 0.56111),
            ("tools", 0.81912, 0.60517),
            ("fields", 0.79940, 0.65131),
            ("json", 0.79940, 0.65131),
            ("text", 0.80711, 0.64354),
            ("prose", 0.73012, 0.76157),
            ("code", 0.72880, 0.77797),
        ],
    )
    def test_by_form_where_two_agree_and_where_three_differ(
        self, form: str, agree: float, differ: float
    ) -> None:
        two = MODEL.belief(PRIOR, [Vote(0, 0), Vote(1, 0)], form)
        three = MODEL.belief(PRIOR, [Vote(0, 0), Vote(1, 1), Vote(2, 2)], form)
        assert (two.held, three.held) == about(agree, differ)

    def test_of_six_different_answers_two_are_taken_to_be_good_at_most(self) -> None:
        votes = [Vote(m, m) for m in range(6)]
        belief = BeliefModel.unfitted(6).belief(np.full(6, 0.6), votes, "prose")
        assert belief.good.tolist() == about(*[0.21683] * 6)
        assert belief.able.tolist() == about(*[0.32438] * 6)


class TestWhatMayCome:
    BELIEF = MODEL.belief(PRIOR, [Vote(0, 0, confidence=0.9)], "number")

    def test_of_asking_a_model_whose_confidence_comes_with_the_answer(self) -> None:
        found = self.BELIEF.after_asking(1, confident=True)
        assert found.chance.tolist() == about(
            0.04363, 0.13044, 0.15942, 0.07425, 0.12989, 0.22797, 0.17809, 0.05629
        )
        assert found.held.tolist() == about(
            0.02011, 0.09397, 0.13927, 0.07075, 0.03569, 0.08528, 0.10676, 0.04471
        )
        assert found.able[0].tolist() == about(0.01762, 0.0219, 0.03149)

    def test_of_asking_one_that_gives_none(self) -> None:
        found = self.BELIEF.after_asking(1, confident=False)
        assert found.chance.tolist() == about(0.40774, 0.59226)
        assert found.held.tolist() == about(0.3241, 0.25858)
        assert found.able[0].tolist() == about(0.24267, 0.28107, 0.34927)

    @pytest.mark.parametrize(
        ("kind", "chance", "held"),
        [
            ("verified", (0.19529, 0.37255, 0.318, 0.11417), (0.03145, 0.1372, 0.19222, 0.09239)),
            ("share", (0.18888, 0.35958, 0.32188, 0.12967), (0.02504, 0.12422, 0.1961, 0.10789)),
        ],
    )
    def test_of_a_verification_and_of_samples(
        self, kind: str, chance: tuple[float, ...], held: tuple[float, ...]
    ) -> None:
        found = self.BELIEF.after_checking(0, kind)
        assert found.chance.tolist() == about(*chance)
        assert found.held.tolist() == about(*held)

    @pytest.mark.parametrize(
        ("worth", "kind", "model", "gain"),
        [
            (1e-3, "stop", 0, 0.0),
            (5e-3, "verify", 0, 0.080874),
            (1e-2, "ask", 1, 0.208717),
            (5e-2, "ask", 1, 0.308659),
        ],
    )
    def test_and_which_step_is_the_best(
        self, worth: float, kind: str, model: int, gain: float
    ) -> None:
        step = next_step(self.BELIEF, PRICES, worth)
        assert (step.kind, step.model) == (kind, model)
        assert step.gain == pytest.approx(gain, abs=2e-5)

    def test_a_step_must_gain_a_hundredth_more_than_it_costs(self) -> None:
        """The planner's caution: of many steps the one that looks best is seldom as good."""
        low, high = 1e-3, 5e-3
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (
                (middle, high)
                if next_step(self.BELIEF, PRICES, middle).kind == "stop"
                else (low, middle)
            )
        step = next_step(self.BELIEF, PRICES, high)
        assert step.gain - step.cost / high == pytest.approx(0.01, abs=1e-6)


class TestTheFirstCall:
    OPTIONS = FirstCallOptions(MODEL, [True, False, False], FORMS["number"], PRIOR)

    @pytest.mark.parametrize(
        ("worth", "first", "quality", "cost"),
        [
            (1e-3, 0, 0.5, 1e-4),
            (3e-3, 0, 0.607534, 3.19658e-4),
            (1e-2, 0, 0.781963, 1.61092e-3),
            (1e-1, 2, 0.800082, 2e-3),
        ],
    )
    def test_by_what_a_good_answer_is_worth(
        self, worth: float, first: int, quality: float, cost: float
    ) -> None:
        best = self.OPTIONS.table(PRIOR, PRICES, [True] * 3).best_option(worth)
        assert best.first == first
        assert best.quality == pytest.approx(quality, abs=2e-5)
        assert best.cost == pytest.approx(cost, rel=1e-4)

    @pytest.mark.parametrize(
        ("share", "worth"), [(0.0, 2e-7), (0.9, 7.442509e-3), (1.0, 0.20846011)]
    )
    def test_what_a_share_of_the_best_quality_is_worth(self, share: float, worth: float) -> None:
        found = lambda_for_quality(self.OPTIONS, TYPICAL, PRICES, share, [True] * 3)
        assert found == pytest.approx(worth, rel=1e-4)


class TestThePlanOfARequest:
    POOL = ModelPool(
        [
            Model("small", input_price=0.1, output_price=0.4, capabilities={"logprobs": True}),
            Model("middle", input_price=0.5, output_price=2),
            Model("large", input_price=2, output_price=8),
        ]
    )

    def decision(self) -> Decision:
        each = zip(NAMES, PRIOR.tolist(), (1.4e-4, 7e-4, 2.8e-3), strict=True)
        return Decision(
            chosen="small",
            policy={"name": "test"},
            reason="because",
            estimates={n: ModelEstimate(quality=q, cost=c, tokens=300.0) for n, q, c in each},
            excluded={},
            unfamiliar=False,
            strongest="large",
            ranking=NAMES,
            prompt_tokens=200,
            decision_us=1.0,
            router="test",
            version="0",
        )

    @pytest.fixture(scope="class")
    @classmethod
    def calibration(cls, tmp_path_factory: pytest.TempPathFactory) -> str:
        path = tmp_path_factory.mktemp("calibration") / "calibration.json"
        return str(Calibration.fit(NAMES, planted(prompts=300)).save(path))

    @pytest.mark.parametrize(
        ("policy", "worth", "calibrated", "limit"),
        [
            # A promise holds more of what it leaves open in reserve where nothing was calibrated.
            (CheapestAbove(quality=0.8), 9.76829e-3, 2.910792e-3, np.inf),
            (CheapestAbove(quality=0.9), 1.1692139e-2, 9.067354e-3, np.inf),
            (CheapestAbove(quality=0.95), 1.2807493e-2, 9.849668e-3, np.inf),
            (CheapestAbove(quality=1), 5.0056688e-2, 1.5618299e-2, np.inf),
            (WillingnessToPay(usd=0.01), 0.01, 0.01, np.inf),
            (Threshold(threshold=0.2, weak="small", strong="large"), 0.014, 0.014, np.inf),
            (Threshold(threshold=0, weak="small", strong="large"), 2800.0, 2800.0, np.inf),
            (BestWithin(cost=0.001), 2800.0, 2800.0, 0.001),
            (BestWithin(latency=3), 2800.0, 2800.0, np.inf),
        ],
    )
    def test_what_a_policy_aims_at(
        self, policy: Policy, worth: float, calibrated: float, limit: float, calibration: str
    ) -> None:
        for path, expected in ((None, worth), (calibration, calibrated)):
            plan = RequestPlanner(path, ("verify", "sample")).of_decision(
                policy, self.decision(), self.POOL, "number"
            )
            assert plan.value_per_answer == pytest.approx(expected, rel=1e-4)
            assert plan.limit == limit

    def test_what_one_planner_has_worked_out_is_of_each_policy_pool_and_form_alone(self) -> None:
        """The worth of a share is kept, and so is all that hangs on the pool."""
        planner, known = RequestPlanner(None, ("verify",)), {}
        dear = ModelPool([m.model_copy(update={"output_price": 20.0}) for m in self.POOL])
        without = self.decision().model_copy(update={"excluded": {"large": "it is out"}})
        other = self.decision().model_copy(update={"router": "another"})
        asked = [
            (CheapestAbove(quality=0.8), self.decision(), self.POOL, "number"),
            (CheapestAbove(quality=0.9), self.decision(), self.POOL, "number"),
            (CheapestAbove(quality=0.9), self.decision(), self.POOL, "prose"),
            (CheapestAbove(quality=0.9), without, self.POOL, "number"),
            (CheapestAbove(quality=0.9), self.decision(), dear, "number"),
            (CheapestAbove(quality=0.9), other, self.POOL, "number"),
        ]
        for number, each in enumerate(asked):
            known[number] = planner.of_decision(*each)
            fresh = RequestPlanner(None, ("verify",)).of_decision(*each)
            assert known[number].value_per_answer == fresh.value_per_answer
            assert known[number].limit == fresh.limit
            assert known[number].allowed == fresh.allowed
        assert known[0].belief_model is known[1].belief_model
        values = {plan.value_per_answer for plan in known.values()}
        assert len(values) == 5  # the last is as before
        assert known[3].allowed == [True, True, False]
        # As typical requests are, of as many tokens in as out, whatever this one is.
        assert known[4].value_per_answer == pytest.approx(1.0625311e-3, rel=1e-6)
        for number in range(70):
            other = self.decision().model_copy(update={"router": str(number)})
            planner.of_decision(CheapestAbove(quality=0), other, self.POOL, None)
        assert len(planner._pools) == 64

    def test_an_unknown_form_counts_as_text(self) -> None:
        policy = CheapestAbove(quality=0.9)
        planner = RequestPlanner(None, ())
        values = [
            planner.of_decision(policy, self.decision(), self.POOL, form).value_per_answer
            for form in (None, "text", "number")
        ]
        assert values[0] == values[1] != values[2]

    def test_a_cost_that_is_not_known_matters_only_where_the_model_may_be_asked(self) -> None:
        """Two models without prices can be told apart by a threshold: the strong one costs 1."""
        unpriced = ModelPool([*list(self.POOL)[:2], Model("large")])
        estimates = dict(self.decision().estimates)
        estimates["large"] = ModelEstimate(quality=0.8, cost=None, tokens=300.0)
        whole = self.decision().model_copy(update={"estimates": estimates})
        out = whole.model_copy(update={"excluded": {"large": "it is out"}, "strongest": "middle"})
        planner = RequestPlanner(None, ())
        plan = planner.of_decision(CheapestAbove(quality=0.9), out, unpriced, "number")
        assert plan.prices.ask == [1.4e-4, 7e-4, 0.0]
        assert plan.value_per_answer == pytest.approx(4.515912e-3, rel=1e-4)
        pair = whole.model_copy(update={"excluded": {"middle": "it is out"}})
        policy = Threshold(threshold=0.2, weak="small", strong="large")
        plan = planner.of_decision(policy, pair, unpriced, "number")
        assert plan.prices.ask == [1e-6, 1e-6, 1.0]
        assert plan.value_per_answer == pytest.approx(5)
        for refused, made in ((policy, whole), (CheapestAbove(), pair)):
            with pytest.raises(AssertionError):
                planner.of_decision(refused, made, unpriced, "number")

    def test_what_the_steps_cost(self) -> None:
        plan = RequestPlanner(None, ("verify", "sample")).of_decision(
            CheapestAbove(), self.decision(), self.POOL, "number"
        )
        assert plan.prices.ask == [1.4e-4, 7e-4, 2.8e-3]
        # The prompt and the answer once more, and two tokens; two more generations.
        assert plan.prices.verify == pytest.approx([5.08e-5, 2.54e-4, 1.016e-3])
        assert plan.prices.sample == pytest.approx([2.8e-4, 1.4e-3, 5.6e-3])
        assert plan.prices.confident == (True, False, False)

    def test_nothing_is_bought_that_may_not_be(self) -> None:
        plan = RequestPlanner(None, ()).of_decision(
            CheapestAbove(), self.decision(), self.POOL, "number"
        )
        assert np.isnan(plan.prices.verify).all()
        assert np.isnan(plan.prices.sample).all()


class TestAFittedBeliefModel:
    """On planted answers with holes, answers that could not be read, and three forms."""

    @pytest.fixture
    def fitted(self) -> BeliefModel:
        answers, generator = planted(prompts=300), np.random.default_rng(5)
        score, groups, forms = answers.score.copy(), answers.groups.copy(), answers.forms.copy()
        score[::7, 0], groups[::11, 1], forms[::3] = np.nan, NO_ANSWER, "number"
        forms[1::9] = "new"  # a form without a default counts as text
        noise = generator.normal(0, 0.1, score.shape)
        verified = np.clip(0.6 + 0.2 * answers.score + noise, 0, 1)
        verified[generator.random(score.shape) < 0.5] = np.nan
        share = np.round(np.clip(0.5 + 0.3 * answers.score + 2 * noise, 0, 1) * 5) / 5
        return fit_belief_model(
            Recorded(answers.quality, score, groups, forms, answers.token, verified, share)
        )

    def test_is_what_the_answers_tell(self, fitted: BeliefModel) -> None:
        assert [member.discrimination for member in fitted.members] == [0.75, 1.5, 1.5]
        for form, (right, shared, other, each) in FOUND_FORMS.items():
            found = fitted.forms[form]
            assert (found.right, found.shared_error_rate, found.other) == about(
                right, shared, other
            )
            assert [m.shared_error_rate[form] for m in fitted.members] == about(*each)
        names = ("intercept", "gap", "load", "both", "prior", "shared_error_rate", "spread")
        for kind, of_models in FOUND_CONFIDENCES.items():
            for member, expected in zip(fitted.members, of_models, strict=True):
                confidence = getattr(member, kind)
                assert len(confidence.knots) == 41
                found = [getattr(confidence, name) for name in names]
                assert found == pytest.approx(expected, abs=2e-4), kind

    def test_is_never_surer_than_a_tenth_of_a_score(self) -> None:
        answers = planted(prompts=300)
        same = Recorded(
            answers.quality, answers.score, answers.groups, answers.forms, answers.score
        )
        assert [member.token.spread for member in fit_belief_model(same).members] == [0.1] * 3
