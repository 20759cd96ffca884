"""The standard suites with every answer of a cheaper model looked at before it is given."""

from __future__ import annotations

from typing import Any

import pytest

from llmroute import ModelPool
from tests.standard.suite import MakePool, RouterIntegration, RouterUnit


def never(answer: Any) -> bool:
    """Whether to escalate: what is given is an accepted draft."""
    return False


def always(answer: Any) -> bool:
    """Whether to escalate: what is given comes after a rejected draft."""
    return True


@pytest.fixture
def pool(litellm_pool: MakePool, openai_pool: MakePool) -> ModelPool:
    return ModelPool([*litellm_pool("small"), *openai_pool("medium", "big")])


class TestUnit(RouterUnit):
    @property
    def settings(self) -> dict[str, Any]:
        return {"escalation": never}


class TestAccepted(RouterIntegration):
    @property
    def settings(self) -> dict[str, Any]:
        return {"escalation": never}


class TestRejected(RouterIntegration):
    @property
    def settings(self) -> dict[str, Any]:
        return {"escalation": always}

    @property
    def has_structured_output(self) -> bool:
        return False  # its tests want one run a call, and a rejected draft is a run of its own
