"""The contract every scorer keeps: prompts and a pool in, estimates out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from llmroute.pool import ModelPool
from llmroute.records import Estimates
from llmroute.scoring.text import RoutingText


@runtime_checkable
class Scorer(Protocol):
    """Says what each model of a pool would achieve on each prompt, before any is called.

    A scorer is thread-safe and keeps no state between calls beyond caches. `estimate` is the whole
    contract: the chain, the policies and the evaluation ask nothing else.
    """

    @property
    def name(self) -> str:
        """Short name, such as `"static"`."""
        ...

    @property
    def version(self) -> str:
        """Version of what it was trained on; changes whenever its numbers do."""
        ...

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models.

        Args:
            prompts: Plain texts (one user turn each) or routing texts made from conversations.
            pool: The models a call may go to.
        """
        ...
