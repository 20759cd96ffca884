"""Exports of LangSmith and Langfuse: model calls with feedback, into outcomes.

LangSmith's runs (docs.langchain.com/langsmith/run-data-format), flat or with `child_runs`.
Langfuse's traces and observations as its API returns them, rows of its UI export, and its
blob-storage export, whose names are in snake case (langfuse.com/docs, "Blob storage export field
reference"). A score that hangs on a whole trace counts for the trace's model call when there is
just one: of several, none can be held to account.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeGuard

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble
from llmroute.outcomes.columns import Coded, Rows, repeated
from llmroute.outcomes.table import OutcomeTable, Wanted

Json = dict[str, Any]
Scores = dict[str, float]

#: Keys under which an export may keep its list.
_LISTS = ("runs", "observations", "traces", "data")
#: Where LangSmith's runs and Langfuse's observations have the parts of a call, the more trusted
#: places first. A dot leads into an object, and a name may be written in snake case.
_PLACES = {
    "model": (
        "extra.metadata.ls_model_name",
        "extra.invocation_params.model",
        "extra.invocation_params.model_name",
        "model",
        "providedModelName",
    ),
    "prompt": ("inputs", "input"),
    "response": ("outputs", "output"),
    "cost_usd": ("totalCost", "calculatedTotalCost", "costDetails.total"),
    "prompt_tokens": (
        "prompt_tokens",
        "extra.metadata.usage_metadata.input_tokens",
        "outputs.usage_metadata.input_tokens",
    ),
    "completion_tokens": (
        "completion_tokens",
        "extra.metadata.usage_metadata.output_tokens",
        "outputs.usage_metadata.output_tokens",
    ),
    "latency_s": ("latency",),
}
#: Keys of inputs and outputs that hold a text, the likelier ones first.
_INPUTS = ("messages", "input", "prompt", "prompts", "question", "query", "text")
_OUTPUTS = ("generations", "choices", "output", "content", "text", "messages", "answer")
_OF_A_MESSAGE = ("content", "message", "text")
#: Nesting up to which a text is looked for inside inputs and outputs.
_DEPTH = 8
#: What the first of a message's two parts says, where it is written as a pair.
_ROLES = ("system", "human", "user", "ai", "assistant", "tool")


class Traces(NamedTuple):
    """An export: whose it is, its runs, traces or observations, and scores listed apart."""

    kind: Literal["LangSmith", "Langfuse"]
    entries: Sequence[Json]
    scores: Sequence[Json] = ()


@dataclass
class _Call:
    """A call of a model: its entry's index, its trace, its row of the table, its feedback."""

    entry: int
    trace: str
    cells: dict[str, Any]
    scores: Scores


def find_traces(document: Any) -> Traces | None:
    """The export that a parsed JSON document is, or None when it is something else."""
    scores: list[Json] = []
    if isinstance(document, dict):
        if _kind(document):
            document = [document]
        else:
            scores = _objects(document.get("scores"))
            lists = (document[key] for key in _LISTS if isinstance(document.get(key), list))
            document = next(lists, None)
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        return None
    kind = _kind(document[0]) if document else None
    return Traces(kind, document, scores) if kind else None


def _kind(entry: Json) -> Literal["LangSmith", "Langfuse"] | None:
    if "run_type" in entry:
        return "LangSmith"
    is_trace = isinstance(entry.get("observations"), list) and "id" in entry
    is_observation = "type" in entry and ("traceId" in entry or "trace_id" in entry)
    return "Langfuse" if is_trace or is_observation else None


def read_traces(traces: Traces, source: str, rows: Rows, wanted: Wanted) -> OutcomeTable:
    """Outcomes out of an export. Calls without a score or a text are left out, and counted.

    A prompt is the text of all messages of the call. Of calls that asked the same model the same,
    the first counts. Errors name the file and its entries by `source` and `rows`.

    ConfigurationError where there is no model call or no score; several scores and none named; a
    value out of range; or no prompt that is left. UserWarning where calls were left out.
    """
    read = _langsmith_calls if traces.kind == "LangSmith" else _langfuse_calls
    calls, of_traces = read(traces)
    if not calls:
        raise ConfigurationError(
            f"{source} has no model call in its {len(traces.entries)} entries. Export the runs of "
            "type llm (LangSmith) or the observations of type GENERATION (Langfuse) as well."
        )
    calls_of = Counter(call.trace for call in calls)
    for call in calls:
        if calls_of[call.trace] == 1:
            call.scores = {**of_traces.get(call.trace, {}), **call.scores}
    score = _chosen_score(calls, wanted.score_name, source)
    kept = _usable(calls, score, source)
    columns: dict[str, Any] = {name: [call.cells[name] for call in kept] for name in kept[0].cells}
    columns["score"] = [call.scores[score] for call in kept]
    if not wanted.responses:
        del columns["response"]
    return assemble(columns, source, rows.select([call.entry for call in kept]), wanted.split)


def _chosen_score(calls: Sequence[_Call], name: str | None, source: str) -> str:
    counts = Counter(key for call in calls for key in call.scores)
    listed = ", ".join(f"{key!r} ({count} calls)" for key, count in counts.most_common())
    if not counts:
        raise ConfigurationError(
            f"{source}: none of its {len(calls)} model calls has a numeric score, its own or that "
            "of a trace with no other call. Export the feedback with the runs."
        )
    first = next(iter(counts))
    if name is None and len(counts) > 1:
        raise ConfigurationError(
            f"{source} has several scores: {listed}. Say which one is the quality: "
            f"score_name={first!r}."
        )
    if name is not None and name not in counts:
        raise ConfigurationError(f"{source} has no score {name!r}; it has {listed}.")
    return first if name is None else name


def _usable(calls: Sequence[_Call], score: str, source: str) -> list[_Call]:
    """The calls that can be taken; warns of those that cannot."""
    scored = [call for call in calls if score in call.scores]
    whole = [call for call in scored if call.cells["prompt"].strip() and call.cells["model"]]
    prompt, model = (Coded.of(call.cells[name] for call in whole) for name in ("prompt", "model"))
    again = repeated(prompt.codes, model.codes)
    kept = [call for row, call in enumerate(whole) if row not in again]
    losses = {
        f"without the score {score!r}": len(calls) - len(scored),
        "without a text or a model's name": len(scored) - len(whole),
        "that repeat a prompt and model": len(whole) - len(kept),
    }
    if len(kept) < len(calls):
        listed = ", ".join(f"{count} {what}" for what, count in losses.items() if count)
        warnings.warn(
            f"{source}: of {len(calls)} model calls {len(calls) - len(kept)} are left out: "
            f"{listed}.",
            stacklevel=3,
        )
    if not kept:
        raise ConfigurationError(f"{source} has no model call that can be used.")
    return kept


def _langsmith_calls(traces: Traces) -> tuple[list[_Call], Mapping[str, Scores]]:
    """The model calls of some runs, and the scores of each trace as a whole."""
    runs = [
        (row, str(entry.get("trace_id") or entry.get("id") or row), run)
        for row, entry in enumerate(traces.entries)
        for run in _with_children(entry)
    ]
    with_llm = {trace for _, trace, run in runs if run.get("run_type") == "llm"}
    calls: list[_Call] = []
    of_traces: defaultdict[str, Scores] = defaultdict(dict)
    for row, trace, run in runs:
        scores = {
            name: float(stats["avg"])
            for name, stats in _object(run.get("feedback_stats")).items()
            if isinstance(stats, dict) and _is_number(stats.get("avg"))
        }
        cells = _cells(run)
        # An export of root runs only has no run of type llm, but the root may name its model.
        if run.get("run_type") == "llm" or (cells["model"] and trace not in with_llm):
            calls.append(_Call(row, trace, cells, scores))
        elif not run.get("parent_run_id"):
            of_traces[trace].update(scores)
    return calls, of_traces


def _with_children(run: Json) -> Iterator[Json]:
    yield run
    for child in _objects(run.get("child_runs")):
        yield from _with_children(child)


def _langfuse_calls(traces: Traces) -> tuple[list[_Call], Mapping[str, Scores]]:
    """The model calls of traces or observations, and the scores of each trace as a whole."""
    calls: list[_Call] = []
    call_of: dict[str, _Call] = {}
    all_scores = list(traces.scores)
    for row, entry in enumerate(traces.entries):
        is_trace = "observations" in entry
        # A score that stands inside of a trace or an observation is its own.
        inside = {"traceId" if is_trace else "observationId": entry.get("id")}
        all_scores += [{**inside, **score} for score in _objects(entry.get("scores"))]
        # The API's list of traces has only the ids of observations; these are passed over.
        for observation in _objects(entry.get("observations")) if is_trace else [entry]:
            if str(observation.get("type", "")).upper() != "GENERATION":
                continue
            trace = str(_first(observation, "traceId") or entry.get("id"))
            # A row of the UI export has each score as a key of its own, with a list of numbers.
            # Any other export has an observation's scores in a list of objects, or none.
            scores = {
                name: float(np.mean(values))
                for name, values in observation.items()
                if isinstance(values, list) and values and all(map(_is_number, values))
            }
            calls.append(_Call(row, trace, _cells(observation), scores))
            call_of[str(observation.get("id"))] = calls[-1]
    of_traces: defaultdict[str, Scores] = defaultdict(dict)
    for score in all_scores:
        value, name = score.get("value"), score.get("name")
        if not _is_number(value) or not isinstance(name, str):
            continue
        observation_id = _first(score, "observationId")
        if not observation_id:
            of_traces[str(_first(score, "traceId"))][name] = float(value)
        elif str(observation_id) in call_of:
            call_of[str(observation_id)].scores[name] = float(value)
    return calls, of_traces


def _cells(entry: Json) -> dict[str, Any]:
    """The row of the table that a call makes."""
    places = {column: _values(entry, *paths) for column, paths in _PLACES.items()}
    names = (name.strip() for name in places["model"] if isinstance(name, str))
    usage = next(filter(None, map(_object, _values(entry, "usageDetails", "usage"))), {})
    seconds = _seconds_between(_first(entry, "startTime"), _first(entry, "endTime"))
    return {
        "model": next(filter(None, names), ""),
        "prompt": _text(places["prompt"], _INPUTS),
        "response": _text(places["response"], _OUTPUTS) or None,
        "cost_usd": _number(*places["cost_usd"]),
        "prompt_tokens": _number(*places["prompt_tokens"], _tokens(usage, "input")),
        "completion_tokens": _number(*places["completion_tokens"], _tokens(usage, "output")),
        "latency_s": _number(seconds, *places["latency_s"]),
    }


def _tokens(usage: Json, part: str) -> float | None:
    """Tokens of all kinds with a word in their name, as Langfuse's own tables count them."""
    counts = [_number(count) for name, count in usage.items() if part in name.lower()]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _text(places: Sequence[Any], keys: Sequence[str]) -> str:
    """The text of a call's inputs or outputs: of all messages, in their order; or an empty one.

    The first place, if any, holds a text, messages, an object that holds them under one of the
    keys, the likelier ones first, or one of these as JSON.
    """
    value = next(iter(places), "")
    opened = _opened(value)
    text = _inner_text(opened, keys, _DEPTH)
    if not text and isinstance(opened, dict):
        texts = [part for part in opened.values() if isinstance(part, str)]
        text = texts[0] if len(texts) == 1 else ""
    # A prompt may look like JSON and be none of these.
    return text or (value if isinstance(value, str) else "")


def _inner_text(value: Any, keys: Sequence[str], depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth == 0:
        return ""
    if isinstance(value, list):
        if len(value) == 2 and value[0] in _ROLES and isinstance(value[1], str):
            return value[1]
        parts = [_inner_text(part, keys, depth - 1) for part in value]
        return "\n\n".join(filter(None, parts))
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("kwargs"), dict):  # a LangChain object, as its load module writes it
        value = value["kwargs"]
    key = next((key for key in (*_OF_A_MESSAGE, *keys) if value.get(key)), None)
    return "" if key is None else _inner_text(value[key], keys, depth - 1)


def _opened(value: Any) -> Any:
    """JSON inside of a text, which exports into flat files have."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _object(value: Any) -> Json:
    """An object, also one that stands in a text as JSON; an empty one for anything else."""
    value = _opened(value)
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Json]:
    """The objects of a list; none for anything else."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _values(entry: Json, *paths: str) -> list[Any]:
    """What is at some places in an entry, as far as there is anything."""
    values: list[Any] = []
    for path in paths:
        value: Any = entry
        for name in path.split("."):
            fields = _object(value)
            value = fields.get(name, fields.get(re.sub("([A-Z])", r"_\1", name).lower()))
        values += [] if value is None else [value]
    return values


def _first(entry: Json, path: str) -> Any:
    return next(iter(_values(entry, path)), None)


def _number(*values: Any) -> float | None:
    """The first number among some values, also one that is written as a text, or None."""
    for value in values:
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                continue
        if _is_number(value):
            return float(value)
    return None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _seconds_between(start: Any, end: Any) -> float | None:
    """Seconds between two times, or None, also where the second is the earlier one.

    Both are ISO 8601, without a zone in UTC; or milliseconds of the epoch.
    """
    if _is_number(start) and _is_number(end):
        seconds = float(end - start) / 1000
    else:
        try:
            start, end = map(datetime.fromisoformat, (start, end))
        except (TypeError, ValueError):
            return None
        start, end = (t if t.tzinfo else t.replace(tzinfo=UTC) for t in (start, end))
        seconds = (end - start).total_seconds()
    return seconds if seconds >= 0 else None
