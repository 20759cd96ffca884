"""From a request to a decision, field by field. No model is called, unless it is said."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from pydantic import BaseModel, SecretStr

from llmroute import CheapestAbove, Model, ModelPool, RouterChain
from llmroute.errors import ConfigurationError, NoEligibleModel
from llmroute.policies import Pinned, StrongCalls
from llmroute.pool import Capabilities
from llmroute.request.request import read_request
from llmroute.routing.decide import DecisionContext, decide, policy_of
from llmroute.state.cooldown import Cooldown
from llmroute.testing import ScriptedProvider
from tests.conftest import EASY, HARD, PRICES, WordScorer

POOL = ModelPool([Model(n, input_price=i, output_price=o) for n, (i, o) in PRICES.items()])


class Sum(BaseModel):
    """A sum."""

    total: int


class Odd(WordScorer):
    """A scorer whose estimates are changed by a function."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def estimate(self, prompts: Any, pool: Any) -> Any:
        return self.change(super().estimate(prompts, pool))


def router(**settings: Any) -> RouterChain:
    return RouterChain(**{"pool": POOL, "scorer": WordScorer(), "escalation": None, **settings})


def asked(text: str = "hello", **arguments: Any) -> Any:
    return read_request([HumanMessage(text)], arguments)


class TestADecision:
    def test_says_all_that_it_is_made_of(self) -> None:
        decision = router().decide("hello", {"configurable": {"thread_id": "t"}})
        assert decision.model_dump(exclude={"decision_us", "estimates", "version"}) == {
            "chosen": "small",
            "answered_by": None,
            "policy": {"name": "CheapestAbove", "quality": 0.95},
            "reason": "small is the cheapest with at least 95% of the best expected quality: "
            "0.925 against 0.930.",
            "excluded": {},
            "unfamiliar": False,
            "strongest": "big",
            "ranking": ("small", "medium", "big"),
            "prompt_tokens": 1,
            "router": "word 1",
            "session": "t",
            "check": None,
            "calls": (),
            "checks": (),
            "escalated": False,
            "unchecked": False,
            "total_prompt_tokens": None,
            "total_completion_tokens": None,
            "cost_usd": None,
            "saved_usd": None,
        }
        assert {name: e.quality for name, e in decision.estimates.items()} == EASY
        assert 0 < decision.decision_us < 1e6

    def test_is_made_of_each_request_of_a_batch(self) -> None:
        made = router().decide_batch(["easy", "a hard one"], {"configurable": {"thread_id": "t"}})
        assert [decision.chosen for decision in made] == ["small", "big"]
        assert [decision.session for decision in made] == ["t", "t"]
        assert [decision.estimates["small"].quality for decision in made] == [
            EASY["small"],
            HARD["small"],
        ]
        assert decide([], DecisionContext(POOL, WordScorer(), CheapestAbove())) == []

    def test_says_that_the_prompt_is_unfamiliar(self) -> None:
        def strange(estimates: Any) -> Any:
            estimates.unfamiliar[:] = True
            return estimates

        decision = router(scorer=Odd(strange)).decide("hello")
        assert decision.unfamiliar
        assert decision.reason.endswith(
            "The prompt is unlike the scorer's training data: priors were used."
        )

    async def test_heeds_tools_schema_and_config(self) -> None:
        plain = Capabilities(tools=False, json_schema=False)
        pool = [POOL["small"].model_copy(update={"capabilities": plain}), *list(POOL)[1:]]
        chain = router(pool=pool)
        tool = {"name": "look_up", "description": "Look it up.", "parameters": {}}
        assert chain.decide("hello").chosen == "small"
        assert chain.decide("hello", tools=[tool]).chosen == "medium"
        assert chain.decide("hello", schema=Sum).chosen == "medium"
        only: Any = {"configurable": {"llmroute_models": ["big"]}}
        assert chain.decide("hello", only).chosen == "big"
        assert (await chain.adecide("hello", only)).chosen == "big"
        assert (await chain.adecide("hello", model="medium")).chosen == "medium"


class TestWhoCannotBeAsked:
    def test_is_listed_with_why(self) -> None:
        blind = Capabilities(vision=False)
        members = [m.model_copy(update={"capabilities": blind}) for m in POOL]
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        with pytest.raises(NoEligibleModel) as raised:
            router(pool=members).decide([HumanMessage([image])])
        assert set(raised.value.excluded) == {"small", "medium", "big"}
        named = router().decide("hello", model="medium")
        assert named.excluded == {
            "small": "the caller asked for medium",
            "big": "the caller asked for medium",
        }
        assert (named.strongest, named.ranking) == ("medium", ("medium",))

    def test_those_that_cool_down_are_asked_last_and_none_where_all_do(self) -> None:
        def made(**cooling: str) -> Any:
            context = DecisionContext(POOL, WordScorer(), CheapestAbove(), cooling_down=cooling)
            return decide([asked()], context)[0]

        resting = made(small="it failed")
        assert (resting.chosen, resting.ranking) == ("medium", ("medium", "big", "small"))
        assert resting.excluded == {"small": "it failed"}
        assert made(big="it failed").strongest == "big"
        everyone = made(small="a", medium="b", big="c")
        assert (everyone.chosen, everyone.excluded) == ("small", {})

    @pytest.mark.parametrize("number", [-1, 3])
    def test_a_policy_must_choose_a_model_of_the_pool(self, number: int) -> None:
        class Astray(CheapestAbove):
            def choose(self, estimates: Any, allowed: Any) -> Any:
                return [number]

        with pytest.raises(ConfigurationError, match=f"Astray chose model number {number} of 3"):
            router(policy=Astray()).decide("hello")


class TestWhichPolicyChooses:
    def test_the_calls_comes_before_the_routers(self) -> None:
        own, other = CheapestAbove(quality=0.5), CheapestAbove(quality=0.7)
        assert policy_of(asked(), own) is own
        assert policy_of(asked(llmroute_policy=other), own) is other
        assert policy_of(asked(llmroute_strong_share=0.2), own) == StrongCalls(share=0.2)
        both = asked(model="big", llmroute_policy=other)
        assert policy_of(both, own) == Pinned(model="big")

    @pytest.mark.parametrize(
        "arguments", [{"model": "small"}, {"n": 2}, {"llmroute_strong_share": 0.0}], ids=str
    )
    def test_a_fixed_choice_is_not_checked(self, arguments: dict[str, Any]) -> None:
        chain = router(escalation=lambda message: True)
        assert chain.decide("hello").check is not None
        decision = chain.decide("hello", **arguments)
        assert (decision.chosen, decision.check) == ("small", None)


class TestAScorerThatBreaks:
    def broken(self, pool: ModelPool = POOL, text: str = "hello there") -> Any:
        def fail(estimates: Any) -> Any:
            raise ZeroDivisionError

        with pytest.warns(UserWarning, match="the scorer 'word' failed with ZeroDivisionError"):
            return router(pool=pool, scorer=Odd(fail), escalation="auto").decide(text)

    def test_leaves_the_decision_to_prices(self) -> None:
        decision = self.broken()
        assert (decision.chosen, decision.check) == ("big", None)
        reason = "The scorer failed (ZeroDivisionError), so the strongest model is asked."
        assert decision.reason == reason
        assert decision.ranking == ("big", "medium", "small")
        assert (decision.estimates, decision.router, decision.unfamiliar) == ({}, "none", True)
        assert decision.prompt_tokens == round(len("hello there") / 4)

    def test_and_to_tiers_before_them(self) -> None:
        tiers = {"small": "strong", "big": "weak"}
        pool = ModelPool([m.model_copy(update={"tier": tiers.get(m.name)}) for m in POOL])
        assert self.broken(pool).ranking == ("small", "medium", "big")
        unpriced = ModelPool([Model("small"), Model("medium", tier="strong"), Model("big")])
        assert self.broken(unpriced).chosen == "medium"

    @pytest.mark.parametrize(
        "change",
        [
            lambda e: e.rows(slice(0, 0)),
            lambda e: type(e)(**{**vars(e), "models": ("a", "b", "c")}),
            lambda e: type(e)(**{**vars(e), "prompt_tokens": e.prompt_tokens * float("inf")}),
            lambda e: type(e)(**{**vars(e), "quality": e.quality[:, :2]}),
        ],
    )
    def test_may_have_told_of_other_models_or_nothing_finite(self, change: Any) -> None:
        with pytest.warns(UserWarning, match="failed with ValueError"):
            assert router(scorer=Odd(change)).decide("hello").router == "none"


class TestTheRouter:
    def test_counts_tokens_by_the_member_that_counts_most(self) -> None:
        chain = router()
        words = [HumanMessage("word " * 40)]
        alone = chain.get_num_tokens_from_messages(words)
        assert alone == chain.get_num_tokens("word " * 40)
        tool = {"name": "look_up", "description": "x" * 400, "parameters": {}}
        with_tool = chain.get_num_tokens_from_messages(words, tools=[tool])
        assert 100 < with_tool - alone < 150  # four characters a token

    def test_names_itself_by_what_decides(self) -> None:
        assert router()._identifying_params == {
            "pool": ("small", "medium", "big"),
            "policy": {"name": "CheapestAbove", "quality": 0.95},
            "escalation": None,
            "scorer": "word 1",
        }
        named = router(scorer="static", escalation="auto")._identifying_params
        assert (named["scorer"], named["escalation"]) == ("static", {"name": "auto"})
        params = router(stop=["."])._get_ls_params()
        assert (params["ls_provider"], params["ls_model_name"]) == ("llmroute", "router")
        assert params["ls_stop"] == ["."]
        assert router(stop=["."])._get_ls_params(stop=["!"])["ls_stop"] == ["!"]

    def test_asks_with_its_own_settings_where_the_call_has_none(self) -> None:
        chain = router(temperature=0.5, max_tokens=9, stop=["."], streaming=True)
        request = chain.prepare_request("hi", {"temperature": 0.1}, {})
        assert request.arguments == {
            "temperature": 0.1,
            "max_tokens": 9,
            "stop": ["."],
            "stream": True,
        }
        assert router().prepare_request("hi", {}, {}, ["!"]).arguments == {"stop": ["!"]}
        assert router(stop=[]).prepare_request("hi", {}, {}).arguments == {}

    def test_can_what_all_of_its_members_can(self) -> None:
        able = {"context_window": 8000, "max_output_tokens": 100}
        pool = [
            Model("a", capabilities={"tools": True, "vision": True}, **able),
            Model(
                "b",
                capabilities={"tools": True, "vision": False},
                **{**able, "context_window": 4000},
            ),
        ]
        profile: Any = router(pool=pool).profile
        assert profile["max_input_tokens"] == 4000
        assert (profile["tool_calling"], profile["image_inputs"]) == (True, False)
        assert router(pool=[*pool, Model("c")]).profile is None

    def test_keeps_a_scorer_and_takes_another_one(self) -> None:
        chain, scorer = router(), WordScorer()
        assert chain.active_scorer() is chain.active_scorer()
        chain.scorer = scorer
        assert chain.active_scorer() is scorer
        copied = chain.fresh_copy(policy=CheapestAbove(quality=0.5))
        assert (copied.policy.quality, copied.scorer) == (0.5, scorer)
        assert copied._state is not chain._state

    def test_goes_on_without_a_cooldown(self) -> None:
        chain = router(cooldown=None)
        assert chain.decision_context().cooling_down == {}
        assert router(cooldown=Cooldown(after=1)).decision_context().cooling_down == {}

    def test_tells_its_members_what_it_is_set_to(self) -> None:
        retry = router(max_retries=3, max_retry_wait=2.5, when_refused="big")._retry
        assert (retry.times, retry.max_wait_s, retry.when_refused) == (3, 2.5, "big")
        calls = router(
            timeout=7,
            api_key=SecretStr("k"),
            empty_stream_fails=True,
            tags=["t"],
            metadata={"a": 1},
        )._calls(asked(), router().decide("hello"), {}, None)
        assert (calls.inherited.timeout, calls.inherited.api_key) == (7, SecretStr("k"))
        assert (calls.config.tags, calls.config.metadata["a"]) == (["t"], 1)
        assert calls.empty_stream_fails


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_the_config_of_a_structured_call_is_the_calls(
    way: str, litellm_pool: Any, provider: ScriptedProvider
) -> None:
    chain = router(pool=litellm_pool())
    runs = RunCollectorCallbackHandler()
    structured = chain.with_structured_output(Sum)
    config: Any = {"callbacks": [runs], "configurable": {"llmroute_models": ["big"]}}
    if way in ("invoke", "stream"):
        came = getattr(structured, way)("hello", config)
        list(came) if way == "stream" else came
    elif way == "ainvoke":
        await structured.ainvoke("hello", config)
    else:
        _ = [value async for value in structured.astream("hello", config)]
    assert [request.model for request in provider.requests] == ["big"]
    assert "route:big" in str([run.tags for run in _all(runs.traced_runs)])


def _all(runs: Any) -> list[Any]:
    return [run for one in runs for run in (one, *_all(one.child_runs))]
