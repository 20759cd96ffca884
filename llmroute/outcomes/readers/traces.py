"""Exports of LangSmith and Langfuse: model calls with feedback, into outcomes.

A score that hangs on a whole trace counts for the trace's model call when there is just one: of
several, none can be held to account.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble
from llmroute.outcomes.columns import Coded, Rows, repeated
from llmroute.outcomes.readers.calls import Call, Json, json_objects
from llmroute.outcomes.readers.langfuse import langfuse_calls
from llmroute.outcomes.readers.langsmith import langsmith_calls
from llmroute.outcomes.table import OutcomeTable, Split

#: Keys under which an export may keep its list.
_LISTS = ("runs", "observations", "traces", "data")


@dataclass(frozen=True)
class Traces:
    """An export: whose it is, its runs, traces or observations, and scores listed apart."""

    kind: Literal["LangSmith", "Langfuse"]
    entries: Sequence[Json]
    scores: Sequence[Json] = ()


def find_traces(document: Any) -> Traces | None:
    """The export that a parsed JSON document is, or None when it is something else."""
    scores: list[Json] = []
    if isinstance(document, dict):
        if _kind(document):
            document = [document]
        else:
            scores = json_objects(document.get("scores"))
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


def read_traces(
    traces: Traces,
    source: str,
    rows: Rows | None = None,
    split: Split | None = None,
    responses: bool = False,
    score_name: str | None = None,
) -> OutcomeTable:
    """Outcomes out of an export. Calls without a score or a text are left out, and counted.

    A prompt is the text of all messages of the call. Of calls that asked the same model the same,
    the first counts.

    Args:
        traces: The export.
        source: The file, as error texts name it.
        rows: How error texts name its entries.
        split: The side that is wanted; None for both.
        responses: Also take the answers' texts.
        score_name: Which score is the quality; needed when there are several.

    Raises:
        ConfigurationError: No model call or no score; several scores and none named; a value out of
            range; or no prompt is left.

    Warns:
        UserWarning: Calls were left out.
    """
    if traces.kind == "LangSmith":
        calls, of_traces = langsmith_calls(traces.entries)
    else:
        calls, of_traces = langfuse_calls(traces.entries, traces.scores)
    if not calls:
        raise ConfigurationError(
            f"{source} has no model call in its {len(traces.entries)} entries. Export the runs of "
            "type llm (LangSmith) or the observations of type GENERATION (Langfuse) as well."
        )
    calls_of = Counter(call.trace for call in calls)
    for call in calls:
        if calls_of[call.trace] == 1:
            call.scores = {**of_traces.get(call.trace, {}), **call.scores}
    score = _chosen_score(calls, score_name, source)
    kept = _usable(calls, score, source)
    columns: dict[str, Sequence[object]] = {
        "prompt": [call.prompt for call in kept],
        "model": [call.model for call in kept],
        "score": [call.scores[score] for call in kept],
        **{column: [call.numbers[column] for call in kept] for column in kept[0].numbers},
    }
    if responses:
        columns["response"] = [call.response for call in kept]
    rows = rows or Rows("entry")
    numbers = [call.row + 1 if rows.numbers is None else rows.numbers[call.row] for call in kept]
    return assemble(columns, source, Rows(rows.word, numbers), split)


def _chosen_score(calls: Sequence[Call], name: str | None, source: str) -> str:
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


def _usable(calls: Sequence[Call], score: str, source: str) -> list[Call]:
    """The calls that can be taken; warns of those that cannot."""
    scored = [call for call in calls if score in call.scores]
    whole = [call for call in scored if call.prompt.strip() and call.model]
    prompt = Coded.of(call.prompt for call in whole)
    model = Coded.of(call.model for call in whole)
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
