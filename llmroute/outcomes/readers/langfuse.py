"""Langfuse's traces and observations as model calls.

As its API returns them; rows of its UI export; and its blob-storage export, whose names are in
snake case (langfuse.com/docs, "Blob storage export field reference").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from llmroute.outcomes.readers.calls import (
    INPUTS,
    OUTPUTS,
    Call,
    Json,
    either,
    first_number,
    is_number,
    json_object,
    json_objects,
    seconds_between,
    text_of,
)


def langfuse_calls(
    entries: Sequence[Json], scores: Sequence[Json]
) -> tuple[list[Call], dict[str, dict[str, float]]]:
    """The model calls of an export, and the scores of each trace as a whole.

    Args:
        entries: Traces with their observations, or observations.
        scores: Scores that are listed apart from them.
    """
    calls: list[Call] = []
    all_scores = list(scores)
    for row, entry in enumerate(entries):
        is_trace = "observations" in entry
        # A score that stands inside of a trace or an observation is its own.
        inside = {"traceId" if is_trace else "observationId": entry.get("id")}
        all_scores += [{**inside, **score} for score in json_objects(entry.get("scores"))]
        # The API's list of traces has only the ids of observations; these are passed over.
        for observation in json_objects(entry.get("observations")) if is_trace else [entry]:
            if str(observation.get("type", "")).upper() == "GENERATION":
                calls.append(_call(observation, row, str(entry.get("id"))))
    call_of = {call.key: call for call in calls}
    of_traces: dict[str, dict[str, float]] = defaultdict(dict)
    for score in all_scores:
        value, name = score.get("value"), score.get("name")
        if not is_number(value) or not isinstance(name, str):
            continue
        observation_id = either(score, "observationId", "observation_id")
        if not observation_id:
            of_traces[str(either(score, "traceId", "trace_id"))][name] = float(value)
        elif str(observation_id) in call_of:
            call_of[str(observation_id)].scores[name] = float(value)
    return calls, of_traces


def _call(observation: Json, row: int, trace: str) -> Call:
    usage = json_object(either(observation, "usageDetails", "usage_details"))
    usage = usage or json_object(observation.get("usage"))
    costs = json_object(either(observation, "costDetails", "cost_details"))
    model = either(observation, "model", "providedModelName", "provided_model_name")
    seconds = seconds_between(
        either(observation, "startTime", "start_time"), either(observation, "endTime", "end_time")
    )
    return Call(
        row=row,
        key=str(observation.get("id")),
        trace=str(either(observation, "traceId", "trace_id") or trace),
        model=str(model or "").strip(),
        prompt=text_of(observation.get("input"), INPUTS),
        response=text_of(observation.get("output"), OUTPUTS) or None,
        numbers={
            "cost_usd": first_number(
                either(observation, "totalCost", "total_cost"),
                observation.get("calculatedTotalCost"),
                costs.get("total"),
            ),
            "prompt_tokens": _tokens(usage, "input"),
            "completion_tokens": _tokens(usage, "output"),
            "latency_s": first_number(seconds, observation.get("latency")),
        },
        # A row of the UI export has each score as a key of its own, with a list of numbers. Any
        # other export has an observation's scores in a list of objects, or none.
        scores={
            name: float(np.mean(values))
            for name, values in observation.items()
            if isinstance(values, list) and values and all(map(is_number, values))
        },
    )


def _tokens(usage: Json, part: str) -> float | None:
    """Tokens of all kinds with a word in their name, as Langfuse's own tables count them."""
    counts = [first_number(count) for name, count in usage.items() if part in name.lower()]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
