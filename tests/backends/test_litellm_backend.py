"""The chat model behind members given by name, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGeneration
from pydantic import BaseModel

from llmroute import Model, RouterChain
from llmroute.backends.litellm import LiteLLMChat, import_litellm
from llmroute.errors import AuthenticationFailed, RateLimited
from llmroute.testing import Fault, Reply, ScriptedModel, ScriptedProvider, ToolCall
from tests.conftest import KEY, WordScorer


@pytest.fixture(scope="module")
def special() -> Iterator[ScriptedProvider]:
    """Models with habits of their own."""
    models = [
        ScriptedModel("plain"),
        ScriptedModel("thinker", reply=lambda _: Reply("42", reasoning="six times seven")),
        ScriptedModel("cached", reply=lambda _: Reply("yes", cached_tokens=3)),
        ScriptedModel("sampler", reply=lambda request: f"sample {request.sample}"),
        ScriptedModel(
            "clumsy", reply=lambda _: Reply(tool_calls=[ToolCall("weather", '{"city": "Par')])
        ),
    ]
    with ScriptedProvider(models) as running:
        yield running


def chat(provider: ScriptedProvider, name: str, **settings: Any) -> LiteLLMChat:
    return LiteLLMChat(model=f"openai/{name}", api_base=provider.base_url, api_key=KEY, **settings)


class TestAnswers:
    def test_names_the_model_that_the_provider_named(self, special: ScriptedProvider) -> None:
        answer = chat(special, "plain").invoke("hello")
        assert answer.response_metadata["model_name"] == "plain"
        assert answer.response_metadata["finish_reason"] == "stop"
        json.dumps(answer.response_metadata)

    def test_several_generations_in_one_call_are_billed_once(
        self, special: ScriptedProvider
    ) -> None:
        result = chat(special, "sampler").generate([[HumanMessage("hello")]], n=3, temperature=1)
        row = [g for g in result.generations[0] if isinstance(g, ChatGeneration)]
        assert len({g.text for g in row}) == 3
        assert [g.message.usage_metadata is not None for g in row] == [True, False, False]

    def test_log_probabilities_whole_and_streamed(self, special: ScriptedProvider) -> None:
        model = chat(special, "plain")
        whole = model.invoke("hello", logprobs=True, top_logprobs=2)
        tokens = whole.response_metadata["logprobs"]["content"]
        assert "".join(t["token"] for t in tokens) == whole.content
        assert all(t["logprob"] <= 0 and len(t["top_logprobs"]) == 2 for t in tokens)
        streamed: Any = None
        for chunk in model.stream("hello", logprobs=True):
            streamed = chunk if streamed is None else streamed + chunk
        content = streamed.response_metadata["logprobs"]["content"]
        assert "".join(t["token"] for t in content) == streamed.content

    def test_reasoning_stands_beside_the_answer(self, special: ScriptedProvider) -> None:
        model = chat(special, "thinker")
        assert model.invoke("x").additional_kwargs["reasoning_content"] == "six times seven"
        streamed: Any = None
        for chunk in model.stream("x"):
            streamed = chunk if streamed is None else streamed + chunk
        assert streamed.additional_kwargs["reasoning_content"] == "six times seven"
        assert streamed.content == "42"

    def test_cached_tokens_are_told_apart(self, special: ScriptedProvider) -> None:
        usage = chat(special, "cached").invoke("x").usage_metadata
        assert usage is not None
        assert usage["input_token_details"]["cache_read"] == 3

    def test_broken_tool_arguments_are_kept_as_invalid(self, special: ScriptedProvider) -> None:
        answer = chat(special, "clumsy").invoke("x")
        assert answer.tool_calls == []
        assert answer.invalid_tool_calls[0]["name"] == "weather"


class TestRequests:
    def test_one_call_is_one_request(self, special: ScriptedProvider) -> None:
        special.clear()
        special.fail("plain", Fault.rate_limit(retry_after=0), times=None)
        with pytest.raises(RateLimited):
            chat(special, "plain").invoke("x")
        assert special.count("plain") == 1
        special.clear()

    def test_settings_of_the_call_win_over_settings_of_the_model(
        self, special: ScriptedProvider
    ) -> None:
        model = chat(special, "plain", temperature=0.1, params={"top_p": 0.5, "seed": 1})
        model.invoke("x", temperature=0.9, seed=2)
        body = special.requests[-1].body
        assert (body["temperature"], body["top_p"], body["seed"]) == (0.9, 0.5, 2)

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ("any", "required"),
            (True, "required"),
            ("auto", "auto"),
            ("look", {"type": "function", "function": {"name": "look"}}),
        ],
    )
    def test_tool_choices(self, special: ScriptedProvider, given: Any, sent: Any) -> None:
        def look(where: str) -> str:
            """Look somewhere."""
            return where

        chat(special, "plain").bind_tools([look], tool_choice=given).invoke("x")
        assert special.requests[-1].body["tool_choice"] == sent

    @pytest.mark.parametrize("strict", [None, True])
    def test_a_json_schema_is_sent_as_one(
        self, special: ScriptedProvider, strict: bool | None
    ) -> None:
        class City(BaseModel):
            name: str

        model = chat(special, "plain")
        structured = model.with_structured_output(City, method="json_schema", strict=strict)
        assert isinstance(structured.invoke("x"), City)
        sent = special.requests[-1].body["response_format"]
        assert sent["type"] == "json_schema"
        assert sent["json_schema"]["name"] == "City"
        assert sent["json_schema"].get("strict") is strict

    def test_json_mode(self, special: ScriptedProvider) -> None:
        structured = chat(special, "plain").with_structured_output(
            {"title": "Joke", "type": "object"}, method="json_mode"
        )
        assert set(structured.invoke("a joke as JSON")) == {"setup", "punchline"}

    def test_images_are_passed_on(self, special: ScriptedProvider) -> None:
        picture = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
        chat(special, "plain").invoke([HumanMessage([{"type": "text", "text": "what?"}, picture])])
        sent = special.requests[-1].body["messages"][0]["content"]
        assert sent[1]["image_url"]["url"] == "data:image/png;base64,AAAA"


class TestSecrets:
    def test_a_key_that_a_provider_echoes_is_in_no_error(self, special: ScriptedProvider) -> None:
        import traceback

        special.fail("plain", Fault.unauthorized())
        with pytest.raises(AuthenticationFailed, match=r"\[key\]") as raised:
            chat(special, "plain").invoke("x")
        assert KEY not in "".join(traceback.format_exception(raised.value))

    def test_nor_one_from_the_environment(
        self, special: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "no-shape-of-a-key-at-all")
        special.fail("plain", Fault.unauthorized())
        model = LiteLLMChat(model="openai/plain", api_base=special.base_url)
        with pytest.raises(AuthenticationFailed) as raised:
            model.invoke("x")
        assert "no-shape" not in str(raised.value)

    def test_nor_one_that_stands_on_the_router(self, special: ScriptedProvider) -> None:
        special.fail("plain", Fault.unauthorized())
        member = Model("plain", model="openai/plain", api_base=special.base_url, ability=0.0)
        with pytest.raises(AuthenticationFailed) as raised:
            RouterChain(pool=[member], api_key="0f1e2d3c4b5a69788796a5b4c3d2e1f0").invoke("x")
        assert "0f1e2d3c" not in str(raised.value)
        assert "0f1e2d3c" not in str(raised.value.calls)

    def test_keys_are_in_no_repr_and_no_cache_key(self, special: ScriptedProvider) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        model = chat(special, "plain", params={"extra_headers": headers})
        assert KEY not in repr(model)
        assert KEY not in model._get_llm_string()


class TestLiteLLMRouterAsAMember:
    def test_balances_deployments_of_one_model(self, special: ScriptedProvider) -> None:
        litellm = import_litellm()
        deployments = [
            {
                "model_name": "group",
                "litellm_params": {
                    "model": f"openai/{name}",
                    "api_base": special.base_url,
                    "api_key": KEY,
                },
            }
            for name in ("plain", "cached")
        ]
        member = Model(
            "group",
            litellm_router=litellm.Router(model_list=deployments),
            input_price=1,
            output_price=1,
            ability=0.0,
        )
        special.clear()
        router = RouterChain(pool=[member])
        answers = [router.invoke("x") for _ in range(20)]
        assert special.count("plain") + special.count("cached") == 20
        assert min(special.count("plain"), special.count("cached")) > 0
        answered = {a.response_metadata["llmroute"]["calls"][0]["answered_by"] for a in answers}
        assert answered == {"plain", "cached"}

    async def test_streams(self, special: ScriptedProvider) -> None:
        router = RouterChain(pool=[self.member(special, "plain")])
        assert "plain" in "".join(chunk.text for chunk in router.stream("x"))
        assert "plain" in "".join([chunk.text async for chunk in router.astream("x")])

    def test_two_groups_of_one_name_have_two_places_in_a_cache(
        self, special: ScriptedProvider
    ) -> None:
        first, second = self.member(special, "plain"), self.member(special, "cached")
        keys = {m.runnable._get_llm_string() for m in (first, second)}
        assert len(keys) == 2

    def member(self, special: ScriptedProvider, name: str) -> Model:
        deployment = {
            "model_name": "group",
            "litellm_params": {
                "model": f"openai/{name}",
                "api_base": special.base_url,
                "api_key": KEY,
            },
        }
        balanced = import_litellm().Router(model_list=[deployment])
        return Model("group", litellm_router=balanced, ability=0.0)


class TestClosing:
    @pytest.fixture
    def endless(self) -> Iterator[ScriptedProvider]:
        model = ScriptedModel("endless", reply="word " * 500, chunk_delay=0.05)
        with ScriptedProvider([model]) as running:
            yield running

    async def test_a_stream_that_is_left_frees_its_connection(
        self, endless: ScriptedProvider
    ) -> None:
        # A connection that still carries an answer cannot take the next request; ones that were
        # closed or came free leave no thread of the provider's busy.
        router = RouterChain(
            pool=[
                Model(
                    "endless",
                    model="openai/endless",
                    api_base=endless.base_url,
                    api_key=KEY,
                    ability=0.0,
                )
            ]
        )
        stream = router.stream("x")
        next(stream)
        stream.close()
        astream = router.astream("x")
        await anext(astream)
        await astream.aclose()
        for _ in range(200):  # ten seconds; the answers themselves would take 25
            if not answering():
                break
            await asyncio.sleep(0.05)
        assert not answering()


def answering() -> list[str]:
    """Threads of scripted providers that are in the middle of an answer's delays."""
    frames = sys._current_frames()
    busy = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        while frame is not None:
            if frame.f_code.co_filename.endswith("testing/delivery.py"):
                busy.append(thread.name)
                break
            frame = frame.f_back
    return busy


class TestManyAtOnce:
    async def test_async_calls_share_connections(
        self, provider: ScriptedProvider, litellm_pool: Any
    ) -> None:
        router = RouterChain(pool=litellm_pool(), scorer=WordScorer())
        before = provider.connections
        for start in range(0, 60, 10):
            answers = await router.abatch([f"question{start + i}" for i in range(10)])
            assert all(f"question{start + i}" in a.content for i, a in enumerate(answers))
        assert provider.connections - before <= 20
