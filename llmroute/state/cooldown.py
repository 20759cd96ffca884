"""Models that failed in a row and are not asked for a while."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from pydantic import Field

from llmroute.errors import ProviderError, ProviderTimeout, ProviderUnavailable, RateLimited
from llmroute.validation import Frozen

#: Failures that say something of the model's health and nothing of the request.
_ILL = (RateLimited, ProviderUnavailable, ProviderTimeout)
#: Seconds that a provider's `retry-after` is heeded at the most: one may be wrong by much.
_LONGEST = 600.0


class Cooldown(Frozen):
    """When a failing model is no longer asked, and for how long.

    Args:
        after: Failures in a row (429, 5xx, no connection, timeout) from which it is not asked for a
            while.
        seconds: How long. When a provider asks with its 429 for a longer wait than the router's
            `max_retry_wait`, it is not asked from then on, for as long as the provider says.
    """

    after: int = Field(default=5, ge=1)
    seconds: float = Field(default=10.0, gt=0)


@dataclass
class _Health:
    failures: int = 0
    until: float = 0.0
    #: Until when the provider itself asked for a pause.
    asked_until: float = 0.0

    @property
    def end(self) -> float:
        return max(self.until, self.asked_until)


class Cooldowns:
    """The health of a router's models, shared by all threads that use it."""

    def __init__(self) -> None:
        self._health: dict[str, _Health] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Cooldowns], tuple[()]]:
        return Cooldowns, ()

    def note(
        self, model: str, error: ProviderError | None, rule: Cooldown, patience: float
    ) -> None:
        """Take note of how a call ended.

        Args:
            model: The pool member.
            error: What it ended with, or None for an answer.
            rule: When a model is not asked, and for how long.
            patience: Seconds a request waits for one model; see `Cooldown.seconds`.
        """
        if error is None:
            if model in self._health:
                self._recovered(model)
            return
        if not isinstance(error, _ILL):
            return
        with self._lock:
            health = self._health.setdefault(model, _Health())
            health.failures += 1
            now, asked_for = time.monotonic(), min(error.retry_after or 0.0, _LONGEST)
            if asked_for > patience:
                health.asked_until = max(health.asked_until, now + asked_for)
            elif health.failures >= rule.after:
                health.until = now + rule.seconds

    def _recovered(self, model: str) -> None:
        with self._lock:
            health = self._health.get(model)
            if health is None:
                return
            # What was under way when the provider asked for a pause may well succeed after it.
            if health.asked_until > time.monotonic():
                self._health[model] = _Health(asked_until=health.asked_until)
            else:
                del self._health[model]

    def cooling_down(self) -> dict[str, str]:
        """The models that are not asked now, each with why."""
        if not self._health:
            return {}
        now = time.monotonic()
        with self._lock:
            return {
                model: f"has failed {health.failures or 1} times in a row; left alone for another "
                f"{health.end - now:.0f} s"
                for model, health in self._health.items()
                if health.end > now
            }
