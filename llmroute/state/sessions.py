"""Which model answered a conversation last."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

#: Conversations that are remembered; the one that was silent longest is forgotten first.
_CAPACITY = 10_000


@dataclass(frozen=True)
class Turn:
    """The last answer of a conversation.

    Attributes:
        model: The pool member that gave it.
        tokens: Tokens of the conversation that the member has read and written; None if unknown.
        at: When, in seconds since 1970; None if unknown.
        is_cached: Whether its provider keeps what it has read; None if unknown.
    """

    model: str
    tokens: int | None = None
    at: float | None = None
    is_cached: bool | None = None


@runtime_checkable
class Sessions(Protocol):
    """A store of last turns, by the name of the conversation. Used by many threads at once."""

    def last(self, session: str) -> Turn | None:
        """The last turn of a conversation, or None when it is not known."""
        ...

    def remember(self, session: str, turn: Turn) -> None:
        """Keep the last turn of a conversation."""
        ...


class MemorySessions:
    """Sessions of this process.

    Args:
        capacity: Conversations that are kept; the one that was silent longest goes first.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._turns: OrderedDict[str, Turn] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[MemorySessions], tuple[int]]:
        return MemorySessions, (self._capacity,)

    def __len__(self) -> int:
        return len(self._turns)

    def last(self, session: str) -> Turn | None:
        """The last turn of a conversation, or None when it is not known."""
        with self._lock:
            return self._turns.get(session)

    def remember(self, session: str, turn: Turn) -> None:
        """Keep the last turn of a conversation."""
        with self._lock:
            self._turns[session] = turn
            self._turns.move_to_end(session)
            while len(self._turns) > self._capacity:
                self._turns.popitem(last=False)


@contextmanager
def suppress_store_errors(what: str) -> Iterator[None]:
    """A store of sessions that breaks is warned of: an answer is worth more than what it keeps.

    Args:
        what: What the store was to do: "tell" or "remember".
    """
    try:
        yield
    except Exception as error:
        warnings.warn(
            f"the store of sessions failed to {what} a conversation's model "
            f"({type(error).__name__}); the request goes on without.",
            stacklevel=2,
        )
