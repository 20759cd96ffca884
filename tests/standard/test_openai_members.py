"""The standard suites over a pool of openai members."""

from __future__ import annotations

import pytest

from llmroute import ModelPool
from tests.standard.suite import MakePool, RouterIntegration, RouterUnit


@pytest.fixture
def pool(openai_pool: MakePool) -> ModelPool:
    return openai_pool()


class TestUnit(RouterUnit):
    pass


class TestIntegration(RouterIntegration):
    pass
