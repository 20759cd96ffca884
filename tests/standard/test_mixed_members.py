"""The standard suites over a pool of all kinds of members, which answer in turns."""

from __future__ import annotations

from itertools import count
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from pydantic import PrivateAttr

from llmroute import ModelPool, Policy
from llmroute.numerics import Bools
from llmroute.records import Estimates
from tests.standard.suite import MakePool, RouterIntegration, RouterUnit


class InTurns(Policy):
    """One member after the other, so that the calls of one test go to different kinds."""

    _turns: Any = PrivateAttr(default_factory=count)

    def choose(self, estimates: Estimates, allowed: Bools) -> Any:
        turn = next(self._turns)
        return np.array([np.flatnonzero(row)[turn % row.sum()] for row in allowed])

    def why(self, estimates: Estimates, row: int, allowed: Bools, chosen: int) -> str:
        return "It is its turn."


@pytest.fixture
def pool(
    litellm_pool: MakePool,
    openai_pool: MakePool,
    anthropic_pool: MakePool,
    request: pytest.FixtureRequest,
) -> ModelPool:
    """One member of each kind; which comes first depends on the test's name."""
    members = [*litellm_pool("small"), *openai_pool("medium"), *anthropic_pool("big")]
    first = crc32(request.node.name.encode()) % len(members)
    return ModelPool(members[first:] + members[:first])


class TestUnit(RouterUnit):
    @property
    def settings(self) -> dict[str, Any]:
        return {"policy": InTurns()}


class TestIntegration(RouterIntegration):
    @property
    def settings(self) -> dict[str, Any]:
        return {"policy": InTurns()}

    @property
    def supported_usage_metadata_details(self) -> Any:
        details = ["cache_read_input"]  # the only one that all kinds report
        return {"invoke": details, "stream": details}
