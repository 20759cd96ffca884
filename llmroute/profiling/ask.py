"""Asking a model the anchors: the way any prompt goes, with retries, several at once, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

from llmroute.chain import RouterChain
from llmroute.pool import Model, ModelPool
from llmroute.profiling.anchors import Anchor
from llmroute.profiling.grading import grade
from llmroute.profiling.profile_file import Graded
from llmroute.scoring.latent import LatentAbilityScorer

#: Told of each answer as it comes: the anchor and what its answer was worth.
OnAnswer = Callable[[Anchor, Graded], None]


def missing(anchors: Sequence[Anchor], known: Mapping[str, Graded]) -> list[Anchor]:
    """The anchors that have no graded answer yet."""
    return [anchor for anchor in anchors if anchor.id not in known]


def expected_cost(
    scorer: LatentAbilityScorer, model: Model, anchors: Sequence[Anchor]
) -> float | None:
    """What asking is expected to cost, USD; None where the model's price is unknown."""
    if model.input_price is None or model.output_price is None:
        return None
    if not anchors:
        return 0.0
    estimates = scorer.estimate([anchor.prompt for anchor in anchors], ModelPool([model]))
    return float(estimates.cost.sum())


def ask_anchors(
    model: Model,
    anchors: Sequence[Anchor],
    *,
    scorer: LatentAbilityScorer,
    on_answer: OnAnswer | None = None,
    keep_answers: bool = False,
    workers: int = 4,
    **options: Any,
) -> dict[str, Graded]:
    """Asks a model, and grades what it says.

    At the first call that fails for good no further one is begun; `on_answer` has had every answer
    until then, so that a later run asks only the rest.

    Args:
        model: The model.
        anchors: What it is asked.
        scorer: The scorer of the router the calls go through; with one model it decides nothing.
        on_answer: Told of each answer, in the thread that got it: make it thread-safe.
        keep_answers: Whether the answers' texts are kept.
        workers: How many calls may be under way at once.
        options: `RouterChain`'s: `timeout`, `max_retries`, `temperature`, …

    Returns:
        Anchor id → graded answer.

    Raises:
        LLMRouteError: The first call that failed for good.
    """
    router = RouterChain(pool=ModelPool([model]), scorer=scorer, **options)
    graded: dict[str, Graded] = {}

    def ask(anchor: Anchor) -> None:
        answer = _asked(router, anchor, keep_answers)
        graded[anchor.id] = answer
        if on_answer is not None:
            on_answer(anchor, answer)

    with ThreadPoolExecutor(workers) as pool:
        calls = [pool.submit(ask, anchor) for anchor in anchors]
        _, rest = wait(calls, return_when=FIRST_EXCEPTION)
        for call in rest:
            call.cancel()
    for call in calls:
        if not call.cancelled():
            call.result()
    return graded


def _asked(router: RouterChain, anchor: Anchor, keep: bool) -> Graded:
    begun = time.monotonic()
    first: float | None = None
    whole: Any = None
    for chunk in router.stream(anchor.prompt):
        if first is None and chunk.text:
            first = time.monotonic() - begun
        whole = chunk if whole is None else whole + chunk
    took = time.monotonic() - begun
    said = str(whole.text)
    bill = whole.response_metadata["llmroute"]
    call = bill["calls"][-1]
    if len(bill["calls"]) > 1:  # earlier tries and the waiting between them say nothing of speed
        first = None
    return Graded(
        score=grade(anchor.kind, anchor.answer, said),
        prompt_tokens=call["prompt_tokens"],
        completion_tokens=call["completion_tokens"],
        first_token_s=first,
        latency_s=took,
        cost_usd=bill["cost_usd"],
        said=said if keep else None,
    )
