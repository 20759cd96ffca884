"""What one call asks for in place of the router's settings: by config, by arguments, by binding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import ConfigurableField

from llmroute import CheapestAbove, ModelPool, RouterChain, WillingnessToPay
from llmroute.errors import ConfigurationError, NoEligibleModel
from llmroute.policies import BUILT_IN, BestWithin, StrongCalls, Threshold, of_record
from llmroute.request.overrides import Overrides
from llmroute.testing import ScriptedProvider
from tests.conftest import WordScorer

MakePool = Callable[..., ModelPool]


@pytest.fixture
def router(litellm_pool: MakePool) -> RouterChain:
    return RouterChain(pool=litellm_pool(), scorer=WordScorer(), escalation=None)


def config(**overrides: Any) -> dict[str, Any]:
    return {"configurable": {f"llmroute_{name}": value for name, value in overrides.items()}}


def answered_by(message: Any) -> str:
    name: str = message.response_metadata["llmroute"]["answered_by"]
    return name


class TestAPolicy:
    def test_of_the_config_comes_before_the_routers(self, router: RouterChain) -> None:
        assert answered_by(router.invoke("hello")) == "small"
        dear = config(policy=WillingnessToPay(usd=1e6))
        assert answered_by(router.invoke("hello", dear)) == "big"

    def test_may_be_a_record_as_a_file_or_a_web_form_has_it(self, router: RouterChain) -> None:
        dear = config(policy={"name": "WillingnessToPay", "usd": 1e6})
        decision = router.decide("hello", dear)
        assert (decision.chosen, decision.policy["name"]) == ("big", "WillingnessToPay")

    def test_is_handed_down_by_with_config(self, router: RouterChain) -> None:
        dear = router.with_config(**config(policy=WillingnessToPay(usd=1e6)))
        assert answered_by(dear.invoke("hello")) == "big"

    def test_of_the_call_comes_before_the_configs(self, router: RouterChain) -> None:
        bound = router.bind(llmroute_policy=CheapestAbove(quality=0.5))
        dear = config(policy=WillingnessToPay(usd=1e6))
        assert answered_by(bound.invoke("hello", dear)) == "small"

    async def test_is_heeded_by_every_way_to_call(self, router: RouterChain) -> None:
        dear = config(policy=WillingnessToPay(usd=1e6))
        chunks = [chunk async for chunk in router.astream("hello", dear)]
        assert chunks[0].response_metadata["llmroute"]["chosen"] == "big"
        assert answered_by(await router.ainvoke("hello", dear)) == "big"
        assert router.batch(["hello"], dear)[0].response_metadata["llmroute"]["chosen"] == "big"

    def test_field_of_the_router_is_configurable_as_langchain_has_it(
        self, router: RouterChain
    ) -> None:
        configurable = router.configurable_fields(policy=ConfigurableField(id="how"))
        dear = {"configurable": {"how": WillingnessToPay(usd=1e6)}}
        assert answered_by(configurable.invoke("hello", dear)) == "big"
        assert answered_by(configurable.invoke("hello")) == "small"


class TestLimits:
    def test_on_the_models(self, router: RouterChain) -> None:
        decision = router.decide("hello", config(models=["medium", "big"]))
        assert decision.chosen == "medium"
        assert decision.excluded == {"small": "not among the models this call may ask"}
        assert router.decide("hello", config(models="big")).chosen == "big"

    def test_on_the_expected_cost(self, router: RouterChain) -> None:
        cost = router.decide("a hard one").estimates["big"].cost
        assert cost is not None
        decision = router.decide("a hard one", config(cost=cost / 2))
        assert decision.chosen == "medium"
        assert "over this call's" in decision.excluded["big"]

    def test_on_the_latency(self, litellm_pool: MakePool) -> None:
        pool = ModelPool(
            [m.model_copy(update={"first_token_s": 1.0, "tokens_per_s": s})
             for m, s in zip(litellm_pool(), (200.0, 100.0, 10.0), strict=True)]
        )  # fmt: skip
        router = RouterChain(pool=pool, scorer=WordScorer(), escalation=None)
        decision = router.decide("a hard one", config(latency=5))
        assert "big" in decision.excluded
        assert decision.chosen != "big"

    def test_that_leave_no_model_say_so(self, router: RouterChain) -> None:
        with pytest.raises(NoEligibleModel, match="over this call's"):
            router.decide("hello", config(cost=0))


class TestAShareOfStrongCalls:
    @pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
    def test_is_kept_over_the_calls(self, router: RouterChain, share: float) -> None:
        prompts = [f"{'hard' if i % 2 else 'easy'} {i}" for i in range(40)]
        decisions = [router.decide(p, config(strong_share=share)) for p in prompts]
        strong = [d.chosen == "big" for d in decisions]
        assert sum(strong) == pytest.approx(share * 40, abs=1)
        if share == 0.25:
            hard = [s for s, p in zip(strong, prompts, strict=True) if "hard" in p]
            assert sum(hard) >= 0.8 * sum(strong)

    def test_is_counted_anew_by_a_copy(self, router: RouterChain) -> None:
        all_strong = StrongCalls(share=0.0).model_copy(update={"share": 1.0})
        assert all_strong.with_parameter(0.0).share == 0.0
        again = router.model_copy(update={"policy": all_strong})
        assert [again.decide("hello").chosen for _ in range(3)] == ["big"] * 3

    def test_excludes_a_policy(self, router: RouterChain) -> None:
        both = config(strong_share=0.2, policy=CheapestAbove())
        with pytest.raises(ConfigurationError, match="not both"):
            router.decide("hello", both)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"polcy": 1}, "no llmroute_polcy; it may have llmroute_policy"),
        ({"cost": -1}, "cost"),
        ({"models": ["nobody"]}, "names 'nobody'; the pool has 'small'"),
        ({"policy": {"name": "Cheapest"}}, "no policy 'Cheapest'; there are CheapestAbove"),
        ({"policy": {"name": "CheapestAbove", "quality": 2}}, "less than or equal to 1"),
        ({"policy": Threshold(threshold=0.5)}, "two models and the pool has 3"),
    ],
)
def test_what_cannot_be_meant_is_said_before_any_call(
    router: RouterChain, provider: ScriptedProvider, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        router.invoke("hello", config(**overrides))
    assert provider.requests == []


def test_other_peoples_configurable_is_none_of_our_business() -> None:
    assert Overrides.of({"user": "x", "model": "y"}, {}) == Overrides()


@given(
    st.one_of(
        st.floats(0, 1).map(lambda x: CheapestAbove(quality=x)),
        st.floats(1e-6, 1e3).map(lambda x: WillingnessToPay(usd=x)),
        st.floats(0, 1).map(lambda x: Threshold(threshold=x, strong="a", weak="b")),
        st.floats(0, 10).map(lambda x: BestWithin(cost=x)),
        st.floats(0, 1).map(lambda x: StrongCalls(share=x)),
    )
)
def test_every_policy_comes_back_from_its_record(policy: Any) -> None:
    again = of_record(policy.to_record())
    assert type(again) is type(policy)
    assert type(policy) in BUILT_IN
    assert again.to_record() == policy.to_record()
