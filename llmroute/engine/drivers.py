"""Two thin drivers of the flow: they do what it says, sync and async."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from langchain_core.runnables.config import ContextThreadPoolExecutor

from llmroute.engine.flow import Answered, Ask, CallResult, Flow, Together, Wait

Perform = Callable[[Ask], CallResult]


def in_threads(perform: Perform, asks: Sequence[Ask]) -> list[CallResult]:
    """Several calls at once; their results in order."""
    with ContextThreadPoolExecutor(len(asks)) as threads:
        return list(threads.map(perform, asks))


def drive(
    steps: Flow,
    perform: Perform,
    *,
    together: Callable[[Perform, Sequence[Ask]], Iterable[CallResult]] = in_threads,
    wait: Callable[[float], object] = time.sleep,
) -> Answered:
    """Run a flow, blocking.

    Args:
        steps: The flow.
        perform: Makes one call.
        together: Makes several and gives their results in order: `map` makes one after the other.
        wait: Does nothing for so many seconds.
    """
    came: Any = None
    while True:
        try:
            step = steps.send(came)
        except StopIteration as end:
            answered: Answered = end.value
            return answered
        if isinstance(step, Wait):
            wait(step.seconds)
            came = None
        elif isinstance(step, Together):
            came = list(together(perform, step.asks))
        else:
            came = perform(step)


async def adrive(steps: Flow, perform: Callable[[Ask], Awaitable[CallResult]]) -> Answered:
    """`drive` on an event loop."""
    came: Any = None
    while True:
        try:
            step = steps.send(came)
        except StopIteration as end:
            answered: Answered = end.value
            return answered
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            came = None
        elif isinstance(step, Together):
            came = await _all_of([perform(ask) for ask in step.asks])
        else:
            came = await perform(step)


async def _all_of(calls: Sequence[Awaitable[CallResult]]) -> list[CallResult]:
    """All calls at once. When one raises, none of the others is left running."""
    running = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*running)
    except BaseException:
        for call in running:
            call.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise
