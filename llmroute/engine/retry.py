"""The retry rule: when a call that failed is tried again, and after what wait."""

from __future__ import annotations

import random
from dataclasses import dataclass

from llmroute.errors import ProviderError


@dataclass(frozen=True)
class Retry:
    """When a call that failed is tried again, on the same model or on another.

    Args:
        times: Further tries after the first, for errors that may pass (429, 5xx, no connection).
        base_s: Seconds before the first further try; doubled for each one after, with jitter. A
            provider's `retry-after` replaces it.
        max_wait_s: The longest wait. When the provider asks for more, the next model is asked.
        when_refused: The model to ask when a provider's content policy refused the request; None
            lets the refusal stand.
    """

    times: int = 1
    base_s: float = 0.5
    max_wait_s: float = 8.0
    when_refused: str | None = None

    def wait(self, attempt: int, error: ProviderError) -> float | None:
        """Seconds to wait before another try on the same model, or None for no further try."""
        if not error.retryable or attempt >= self.times:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.max_wait_s else None
        backoff = min(self.base_s * 2.0**attempt, self.max_wait_s)
        # Jitter, so that many clients that failed together do not come back together.
        return backoff * random.uniform(0.5, 1.0)
