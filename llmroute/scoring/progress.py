"""What is told of the progress of a training, for progress bars."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told how a training goes."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """One step was made.

        Args:
            stage: What is being done, such as `"epoch"`.
            done: Steps done.
            total: Steps in all.
            note: Figures worth showing.
        """


def quiet(stage: str, done: int, total: int, note: str = "") -> None:
    """A progress callback that shows nothing."""
