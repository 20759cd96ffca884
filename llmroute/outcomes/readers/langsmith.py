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
    number_of,
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
        model = _model(run)
        scores = {
            name: float(stats["avg"])
            for name, stats in json_object(run.get("feedback_stats")).items()
            if isinstance(stats, dict) and is_number(stats.get("avg"))
        }
        # An export of root runs only has no run of type llm, but the root may name its model.
        if run.get("run_type") == "llm" or (model and trace not in with_llm):
            calls.append(_call(run, row, trace, model, scores))
        elif not run.get("parent_run_id"):
            of_traces[trace].update(scores)
    return calls, of_traces


def _flat_runs(entries: Sequence[Json]) -> Iterator[tuple[int, str, Json]]:
    """Each run with the index of its entry and the id of its trace."""
    for row, entry in enumerate(entries):
        trace = str(entry.get("trace_id") or entry.get("id") or row)
        waiting = [entry]
        while waiting:
            run = waiting.pop()
            yield row, trace, run
            children = run.get("child_runs")
            if isinstance(children, list):
                waiting.extend(child for child in reversed(children) if isinstance(child, dict))


def _model(run: Json) -> str:
    extra = json_object(run.get("extra"))
    asked = json_object(extra.get("invocation_params"))
    metadata = json_object(extra.get("metadata"))
    names = (metadata.get("ls_model_name"), asked.get("model"), asked.get("model_name"))
    return next((name.strip() for name in names if isinstance(name, str) and name.strip()), "")


def _call(run: Json, row: int, trace: str, model: str, scores: dict[str, float]) -> Call:
    metadata = json_object(json_object(run.get("extra")).get("metadata"))
    outputs = json_object(run.get("outputs"))
    usage = json_object(metadata.get("usage_metadata")) or json_object(
        outputs.get("usage_metadata")
    )
    return Call(
        row=row,
        key=str(run.get("id")),
        trace=trace,
        model=model,
        prompt=text_of(run.get("inputs"), INPUTS),
        response=text_of(outputs, OUTPUTS) or None,
        numbers={
            "cost_usd": number_of(run.get("total_cost")),
            "prompt_tokens": first_number(run.get("prompt_tokens"), usage.get("input_tokens")),
            "completion_tokens": first_number(
                run.get("completion_tokens"), usage.get("output_tokens")
            ),
            "latency_s": seconds_between(run.get("start_time"), run.get("end_time")),
        },
        scores=scores,
    )
