"""Those who are told of every request from beginning to end: telemetry, ledgers, budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, runtime_checkable

from llmroute.records import Decision


class Watch(Protocol):
    """One request, as an observer follows it. An error that it raises is not held back."""

    def active(self) -> AbstractContextManager[object]:
        """Entered while models are asked, in the caller's thread or task."""
        ...

    def ended(self, decision: Decision) -> None:
        """There was an answer, and this is the completed record. Nothing follows.

        Of a stream that was left early the record has what is known.
        """
        ...

    def failed(self, decision: Decision, error: BaseException) -> None:
        """There was none, or its stream broke. Nothing follows."""
        ...


@runtime_checkable
class Observer(Protocol):
    """Told of every request that a router sends to a model. Used by many threads at once."""

    def begin(self, decision: Decision) -> Watch:
        """A request was decided on, and models are about to be asked."""
        ...


class Watching:
    """All watches of one request; each is told of its end once.

    Args:
        observers: Who watches.
        decision: What was decided.
    """

    def __init__(self, observers: Sequence[Observer], decision: Decision) -> None:
        self._decision = decision
        self._watches = [observer.begin(decision) for observer in observers]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Entered while models are asked; an error that comes out of it ends the request."""
        with ExitStack() as entered:
            for watch in self._watches:
                entered.enter_context(watch.active())
            try:
                yield
            except BaseException as error:
                self.failed(error)
                raise

    @property
    def is_over(self) -> bool:
        """Whether there is nobody left to tell."""
        return not self._watches

    def ended(self, decision: Decision) -> None:
        """Tell of the answer."""
        self._tell(lambda watch: watch.ended(decision))

    def failed(self, error: BaseException) -> None:
        """Tell that there was no whole answer."""
        self._tell(lambda watch: watch.failed(self._decision, error))

    def _tell(self, how: Callable[[Watch], None]) -> None:
        """Tell everybody, also when one of them raises; the first error is raised then."""
        watches, self._watches = self._watches, []
        raised = None
        for watch in watches:
            try:
                how(watch)
            except Exception as error:
                raised = raised or error
        if raised is not None:
            raise raised
