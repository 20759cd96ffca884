"""LangChain's standard suites, set up for RouterChain over one kind of member.

Not collected itself (no `test_` prefix); each module beside it names a kind of member.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from llmroute import ModelPool, RouterChain
from tests.conftest import WordScorer


class RouterUnit(ChatModelUnitTests):
    """The unit suite; `pool` comes from the module's fixture."""

    @pytest.fixture(autouse=True)
    def _pool(self, pool: ModelPool) -> None:
        self._params = {"pool": pool, "scorer": WordScorer()}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return RouterChain

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self._params

    @property
    def has_tool_choice(self) -> bool:
        return True


class RouterIntegration(ChatModelIntegrationTests):
    """The integration suite, over real HTTP to the scripted provider."""

    @pytest.fixture(autouse=True)
    def _pool(self, pool: ModelPool) -> None:
        self._params = {"pool": pool, "scorer": WordScorer()}

    # The suite's `model` fixture reads the parameters, so they have to be there before it.
    @pytest.fixture
    def model(self, _pool: None, request: Any) -> BaseChatModel:
        return RouterChain(**{**self.standard_chat_model_params, **self._params})

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return RouterChain

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self._params

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
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


MakePool = Callable[..., ModelPool]
