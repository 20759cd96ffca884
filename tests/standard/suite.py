"""LangChain's standard suites, set up for RouterChain over one kind of member.

Not collected itself (no `test_` prefix); each module beside it names a kind of member. Every test
runs over real HTTP against the scripted provider, and the router is as users have it by default,
but for a scorer that can be reasoned about.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from llmroute import ModelPool, RouterChain
from llmroute.testing import ScriptedProvider
from tests.conftest import WordScorer
from tests.standard.prompts import CACHED, THOUGHT

MakePool = Callable[..., ModelPool]


class _OfRouter:
    """What both suites ask about the model under test."""

    @property
    def settings(self) -> dict[str, Any]:
        """More settings of the router, for modules that test another than the default."""
        return {}

    # Autouse, so that it is there before the suites' own `model` fixture reads the parameters.
    @pytest.fixture(autouse=True)
    def _of_pool(self, pool: ModelPool) -> None:
        self._params = {"pool": pool, "scorer": WordScorer(), **self.settings}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return RouterChain

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self._params

    @property
    def has_tool_choice(self) -> bool:
        return True


class RouterUnit(_OfRouter, ChatModelUnitTests):
    """The unit suite; `pool` comes from the module's fixture."""


class RouterIntegration(_OfRouter, ChatModelIntegrationTests):
    """The integration suite, with all that it can ask of members that speak OpenAI's protocol."""

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "big"

    @property
    def enable_vcr_tests(self) -> bool:
        return True  # there is a provider to stream from, so no recording is needed

    @property
    def supported_usage_metadata_details(self) -> Any:
        details = ["reasoning_output", "cache_read_input"]
        return {"invoke": details, "stream": details}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        return self._answer(THOUGHT, stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        return self._answer(CACHED, stream)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return self._answer(CACHED, stream)

    # The suite is content when a file raises no error; here it has to arrive.
    @pytest.mark.parametrize(
        ("kind", "type_"),
        [("image", "image/png"), ("audio", "audio/wav"), ("file", "application/pdf")],
    )
    @pytest.mark.parametrize("of_tool", [False, True], ids=["the user's", "a tool's"])
    def test_a_file_reaches_the_provider_as_it_was(
        self,
        model: BaseChatModel,
        provider: ScriptedProvider,
        media: Path,
        kind: str,
        type_: str,
        of_tool: bool,
    ) -> None:
        if kind == "audio" and not self.supports_audio_inputs:
            pytest.skip("Members take no audio.")
        content = (media / f"media.{type_.rpartition('/')[2]}").read_bytes()
        data = base64.b64encode(content).decode()
        block: dict[str, Any] = {"type": kind, "mime_type": type_, "base64": data}
        if kind == "file":
            block["filename"] = "media.pdf"
        call = {"name": "look", "args": {}, "id": "1", "type": "tool_call"}
        shown = [
            HumanMessage("Look at what there is to see."),
            AIMessage("", tool_calls=[call]),
            ToolMessage([block], tool_call_id="1"),
        ]
        model.invoke(shown if of_tool else [HumanMessage([block])])
        assert data in json.dumps(provider.requests[-1].body)

    def _answer(self, prompt: str, stream: bool) -> AIMessage:
        router = RouterChain(**self._params)
        if not stream:
            return router.invoke(prompt)
        whole = None
        for chunk in router.stream(prompt):
            whole = chunk if whole is None else whole + chunk
        assert isinstance(whole, AIMessageChunk)
        return whole
