"""The router as LangChain's decision model, and in LangChain's own `ModelRouterMiddleware`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from llmroute import CheapestAbove, Model, ModelPool, RouterChain, Threshold, WillingnessToPay
from llmroute.errors import ConfigurationError
from llmroute.records import Estimates
from llmroute.testing import ScriptedProvider

from .conftest import EASY, PRICES, WordScorer

HAS_DECISIONS = find_spec("langchain_core.decisions") is not None
with_decisions = pytest.mark.skipif(
    not HAS_DECISIONS, reason="decision models came with langchain-core 1.8"
)
MakePool = Callable[..., ModelPool]


@pytest.mark.skipif(HAS_DECISIONS, reason="this langchain-core has decision models")
def test_an_older_langchain_core_is_told_so_at_the_import() -> None:
    with pytest.raises(ConfigurationError, match=r"langchain-core 1\.8 or newer"):
        import llmroute.decision_model  # noqa: F401


class GivenScorer(WordScorer):
    """A scorer that estimates what it is given, prompt by prompt the same."""

    def __init__(self, quality: Sequence[float]) -> None:
        super().__init__()
        self.quality = np.array([quality])

    def estimate(self, prompts: Any, pool: ModelPool) -> Estimates:
        here = [list(PRICES).index(name) for name in pool.names]
        return replace(super().estimate(prompts, pool), quality=self.quality[:, here])


class BrokenScorer(WordScorer):
    def estimate(self, prompts: Any, pool: ModelPool) -> Estimates:
        raise RuntimeError("no")


@pytest.fixture
def pool(litellm_pool: MakePool) -> ModelPool:
    return litellm_pool()


def classifier(pool: ModelPool, **settings: Any) -> Any:
    from llmroute.decision_model import RouterDecisionModel

    settings = {"scorer": WordScorer(), "policy": CheapestAbove(quality=0.9), **settings}
    return RouterDecisionModel(router=RouterChain(pool=pool, **settings))


def asked(model: Any, state: Any, *labels: str) -> Any:
    """The answer to one choice between labels."""
    from langchain_core.decisions import Choice

    question = Choice(instructions="Which?", criteria=dict.fromkeys(labels or PRICES))
    answer = model.invoke({"state": state, "questions": {"which": question}})
    return answer.choices["which"]


@with_decisions
@pytest.mark.parametrize(("prompt", "chosen"), [("easy", "small"), ("hard", "big")])
def test_the_policy_chooses_the_label(pool: ModelPool, prompt: str, chosen: str) -> None:
    assert asked(classifier(pool), prompt).choice == chosen


@with_decisions
def test_confidence_is_the_chance_of_a_good_answer(pool: ModelPool) -> None:
    assert asked(classifier(pool), "easy").confidence == EASY["small"]


@with_decisions
def test_probabilities_say_which_label_is_the_cheapest_to_answer_well(pool: ModelPool) -> None:
    answer = asked(classifier(pool, scorer=GivenScorer([0.5, 0.4, 0.8])), "a prompt")
    assert answer.probabilities == pytest.approx({"small": 0.5, "medium": 0.0, "big": 0.5})


@with_decisions
@given(quality=st.lists(st.floats(-1, 2), min_size=3, max_size=3))
def test_probabilities_are_probabilities(quality: list[float]) -> None:
    model = classifier(of_one_price(), scorer=GivenScorer(quality), policy=WillingnessToPay(usd=1))
    answer = asked(model, "a prompt")
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert min(answer.probabilities.values()) >= 0
    assert 0 <= answer.confidence <= 1


def of_one_price() -> ModelPool:
    return ModelPool([Model(n, input_price=1, output_price=1) for n in PRICES])


@with_decisions
def test_some_members_alone_may_be_offered(pool: ModelPool) -> None:
    answer = asked(classifier(pool), "easy", "medium", "big")
    assert answer.choice == "medium"
    assert set(answer.probabilities) == {"medium", "big"}


@with_decisions
def test_a_policy_that_needs_both_of_its_models_says_so(pool: ModelPool) -> None:
    model = classifier(
        pool, policy=Threshold(threshold=0.5, weak="small", strong="big"), escalation=None
    )
    with pytest.raises(ConfigurationError, match="small"):
        asked(model, "easy", "medium", "big")


@with_decisions
def test_a_label_that_is_no_member_is_refused(pool: ModelPool) -> None:
    with pytest.raises(ConfigurationError, match="offers 'fast'"):
        asked(classifier(pool), "easy", "fast", "big")


@with_decisions
def test_questions_of_other_kinds_are_refused(pool: ModelPool) -> None:
    from langchain_core.decisions import Box, Noul, Score

    for question in (
        Noul(instructions="Is it?"),
        Score(instructions="How much?", criteria=["little", "much"]),
        Box(instructions="Where?"),
    ):
        with pytest.raises(ConfigurationError, match=f"is a {type(question).__name__}"):
            classifier(pool).invoke({"state": "a prompt", "questions": {"which": question}})


@with_decisions
@pytest.mark.parametrize(
    "state",
    [
        "a hard one",
        HumanMessage("a hard one"),
        [SystemMessage("Be brief."), HumanMessage("easy"), AIMessage("ok"), HumanMessage("hard")],
        {"task": "a hard one", "tries": 3},
        {"messages": [HumanMessage("a hard one")], "about": None},
        ["text", HumanMessage("a hard one")],
    ],
    ids=["text", "message", "messages", "object", "object of messages", "array"],
)
def test_every_form_of_state_is_read(pool: ModelPool, state: Any) -> None:
    assert asked(classifier(pool), state).choice == "big"


@with_decisions
def test_escalation_is_left_out(pool: ModelPool) -> None:
    """A draft that nobody looks at would be an answer."""
    checked = asked(classifier(pool, escalation="auto"), "a hard one")
    assert checked == asked(classifier(pool, escalation=None), "a hard one")


@with_decisions
def test_a_scorer_that_breaks_does_not_break_the_run(pool: ModelPool) -> None:
    with pytest.warns(UserWarning, match="failed"):
        answer = asked(classifier(pool, scorer=BrokenScorer()), "easy")
    assert (answer.choice, answer.confidence) == ("big", 0.0)
    assert answer.probabilities == {"small": 0.0, "medium": 0.0, "big": 1.0}


@with_decisions
async def test_the_bundled_classifier_answers_offline_and_on_a_loop() -> None:
    from langchain_core.decisions import Choice

    from llmroute.decision_model import RouterDecisionModel

    names = ["openai/gpt-4.1-nano", "openai/gpt-4.1"]
    model = RouterDecisionModel(router=RouterChain(pool=names))
    question = Choice(instructions="Which?", criteria=dict.fromkeys(names))
    response = await model.ainvoke({"state": "Say hello.", "questions": {"q": question}})
    assert response.choices["q"].choice in names
    assert response.model == model.model == "static"


@with_decisions
def test_its_run_is_traced_under_its_name(pool: ModelPool) -> None:
    from langchain_core.decisions import Choice

    trace = RunCollectorCallbackHandler()
    question = Choice(instructions="Which?", criteria=dict.fromkeys(PRICES))
    classifier(pool).invoke({"state": "x", "questions": {"q": question}}, {"callbacks": [trace]})
    metadata = trace.traced_runs[0].extra["metadata"]
    assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("llmroute", "word 1")


@with_decisions
@pytest.mark.parametrize(("prompt", "chosen"), [("easy", "small"), ("hard", "big")])
@pytest.mark.parametrize("on_a_loop", [False, True], ids=["invoke", "ainvoke"])
@pytest.mark.filterwarnings("ignore:.*ModelRouterMiddleware.*beta")
async def test_it_drives_langchains_own_router(
    pool: ModelPool, provider: ScriptedProvider, prompt: str, chosen: str, on_a_loop: bool
) -> None:
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

    models = {member.name: member.runnable for member in pool}
    middleware = ModelRouterMiddleware(
        choices={name: ModelChoice(model, "") for name, model in models.items()},
        instructions="The cheapest that will do.",
        classifier=classifier(pool),
    )
    agent = create_agent(models["medium"], middleware=[middleware])
    given = {"messages": [("user", prompt)]}
    state = await agent.ainvoke(given) if on_a_loop else agent.invoke(given)
    assert [r.model for r in provider.requests] == [chosen]
    assert state["model_route"].choice == chosen


@with_decisions
@pytest.mark.parametrize("outside", [True, False], ids=["ours outside", "ours inside"])
@pytest.mark.filterwarnings("ignore:.*ModelRouterMiddleware.*beta")
def test_of_two_routers_the_inner_one_has_the_last_word(
    pool: ModelPool, provider: ScriptedProvider, outside: bool
) -> None:
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

    from llmroute.middleware import RouterMiddleware

    ours = RouterMiddleware(pool=pool, scorer=WordScorer(), escalation=None)
    theirs = ModelRouterMiddleware(
        choices={"medium": ModelChoice(pool["medium"].runnable, "")},
        instructions="There is one only.",
        classifier=classifier(pool),
    )
    both = [ours, theirs] if outside else [theirs, ours]
    create_agent(pool["medium"].runnable, middleware=both).invoke({"messages": "a hard one"})
    assert [r.model for r in provider.requests] == ["medium" if outside else "big"]
