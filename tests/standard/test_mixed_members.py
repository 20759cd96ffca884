"""The standard suites over a pool that mixes LiteLLM and ChatOpenAI members."""

from __future__ import annotations

import pytest

from llmroute import ModelPool
from tests.standard.suite import MakePool, RouterIntegration, RouterUnit


@pytest.fixture
def pool(litellm_pool: MakePool, openai_pool: MakePool) -> ModelPool:
    return ModelPool([*litellm_pool("small"), *openai_pool("medium", "big")])


class TestUnit(RouterUnit):
    pass


class TestIntegration(RouterIntegration):
    pass
