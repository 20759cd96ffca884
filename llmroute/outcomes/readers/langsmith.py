"""LangSmith's runs (docs.langchain.com/langsmith/run-data-format) as model calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from llmroute.outcomes.readers.calls import (
    INPUTS,
    OUTPUTS,
    Call,
    Json,
    first_number,
    is_number,
    json_object,
    json_objects,
    seconds_between,
    text_of,
)


def langsmith_calls(runs: Sequence[Json]) -> tuple[list[Call], dict[str, dict[str, float]]]:
    """The model calls of some runs, and the scores of each trace as a whole.

    Args:
        runs: Runs as LangSmith's SDK and API return them, flat or with `child_runs`.
    """
    flat = list(_flat_runs(runs))
    with_llm = {trace for _, trace, run in flat if run.get("run_type") == "llm"}
    calls: list[Call] = []
    of_traces: dict[str, dict[str, float]] = defaultdict(dict)
    for row, trace, run in flat:
        call = _call(run, row, trace)
        # An export of root runs only has no run of type llm, but the root may name its model.
        if run.get("run_type") == "llm" or (call.model and trace not in with_llm):
            calls.append(call)
        elif not run.get("parent_run_id"):
            of_traces[trace].update(call.scores)
    return calls, of_traces


def _flat_runs(entries: Sequence[Json]) -> Iterator[tuple[int, str, Json]]:
    """Each run with the index of its entry and the id of its trace."""
    for row, entry in enumerate(entries):
        trace = str(entry.get("trace_id") or entry.get("id") or row)
        waiting = [entry]
        while waiting:
            run = waiting.pop()
            yield row, trace, run
            waiting.extend(reversed(json_objects(run.get("child_runs"))))


def _call(run: Json, row: int, trace: str) -> Call:
    extra = json_object(run.get("extra"))
    metadata = json_object(extra.get("metadata"))
    asked = json_object(extra.get("invocation_params"))
    models = (metadata.get("ls_model_name"), asked.get("model"), asked.get("model_name"))
    outputs = json_object(run.get("outputs"))
    usages = (metadata.get("usage_metadata"), outputs.get("usage_metadata"))
    usage = next(filter(None, map(json_object, usages)), {})
    return Call(
        row=row,
        key=str(run.get("id")),
        trace=trace,
        model=next((m.strip() for m in models if isinstance(m, str) and m.strip()), ""),
        prompt=text_of(run.get("inputs"), INPUTS),
        response=text_of(outputs, OUTPUTS) or None,
        numbers={
            "cost_usd": first_number(run.get("total_cost")),
            "prompt_tokens": first_number(run.get("prompt_tokens"), usage.get("input_tokens")),
            "completion_tokens": first_number(
                run.get("completion_tokens"), usage.get("output_tokens")
            ),
            "latency_s": seconds_between(run.get("start_time"), run.get("end_time")),
        },
        scores={
            name: float(stats["avg"])
            for name, stats in json_object(run.get("feedback_stats")).items()
            if isinstance(stats, dict) and is_number(stats.get("avg"))
        },
    )
