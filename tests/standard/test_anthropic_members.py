"""The standard suites over a pool of ChatAnthropic members."""

from __future__ import annotations

from typing import Any

import pytest

from llmroute import ModelPool
from tests.standard.suite import MakePool, RouterIntegration, RouterUnit


@pytest.fixture
def pool(anthropic_pool: MakePool) -> ModelPool:
    return anthropic_pool()


class TestUnit(RouterUnit):
    pass


class TestIntegration(RouterIntegration):
    @property
    def supports_audio_inputs(self) -> bool:
        return False  # Anthropic has no block for audio

    @property
    def supported_usage_metadata_details(self) -> Any:
        details = ["cache_read_input", "cache_creation_input"]
        return {"invoke": details, "stream": details}
