"""The standard suites over a pool of litellm members."""

from __future__ import annotations

import pytest

from llmroute import ModelPool
from tests.standard.suite import MakePool, RouterIntegration, RouterUnit


@pytest.fixture
def pool(litellm_pool: MakePool) -> ModelPool:
    return litellm_pool()


class TestUnit(RouterUnit):
    pass


class TestIntegration(RouterIntegration):
    pass
