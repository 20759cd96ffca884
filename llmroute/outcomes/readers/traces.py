"""Exports of LangSmith and Langfuse: model calls with feedback, into outcomes.

A score that hangs on a whole trace counts for the trace's model call when there is just one: of
several, none can be held to account.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble
from llmroute.outcomes.columns import Coded, Rows, repeated
from llmroute.outcomes.readers.calls import Call, Json
from llmroute.outcomes.readers.langfuse import langfuse_calls
from llmroute.outcomes.readers.langsmith import langsmith_calls
from llmroute.outcomes.table import OutcomeTable, Split

Kind = Literal["LangSmith", "Langfuse"]

#: Keys under which an export may keep its list.
_LISTS = ("runs", "observations", "traces", "data")


@dataclass(frozen=True)
class Traces:
    """An export, before its calls are looked for.

    Attributes:
        kind: Whose it is.
        entries: Its runs, traces or observations.
        scores: Scores that are listed apart from them.
    """

    kind: Kind
    entries: Sequence[Json]
    scores: Sequence[Json] = ()


def find_traces(document: Any) -> Traces | None:
    """The export that a JSON document is, or None when it is something else.

    Args:
        document: Parsed JSON: a list of objects, or an object that holds one.
    """
    scores: Sequence[Json] = ()
    if isinstance(document, dict):
        apart = document.get("scores")
        whole = _kind([document])
        if whole is None and isinstance(apart, list):
            scores = [score for score in apart if isinstance(score, dict)]
        lists = [document[key] for key in _LISTS if isinstance(document.get(key), list)]
        document = [document] if whole else (lists[0] if lists else document)
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        return None
    kind = _kind(document)
    return Traces(kind, document, scores) if kind else None


def read_traces(
    traces: Traces,
    source: str,
    rows: Rows | None = None,
    split: Split | None = None,
    *,
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
    _pass_down(calls, of_traces)
    name = _chosen_score(calls, score_name, source)
    kept = _usable(calls, name, source)
    columns: dict[str, Sequence[object]] = {
        "prompt": [call.prompt for call in kept],
        "model": [call.model for call in kept],
        "score": [call.scores[name] for call in kept],
        **{
            column: [call.numbers.get(column) for call in kept]
            for column in ("cost_usd", "prompt_tokens", "completion_tokens", "latency_s")
        },
    }
    if responses:
        columns["response"] = [call.response for call in kept]
    rows = rows or Rows("entry")
    numbers = [call.row + 1 if rows.numbers is None else rows.numbers[call.row] for call in kept]
    return assemble(columns, source=source, rows=Rows(rows.word, numbers), split=split)


def _kind(entries: Sequence[Any]) -> Kind | None:
    first = next((entry for entry in entries if isinstance(entry, dict)), {})
    if "run_type" in first:
        return "LangSmith"
    is_trace = isinstance(first.get("observations"), list) and "id" in first
    is_observation = "type" in first and ("traceId" in first or "trace_id" in first)
    return "Langfuse" if is_trace or is_observation else None


def _pass_down(calls: Sequence[Call], of_traces: Mapping[str, Mapping[str, float]]) -> None:
    """Gives a trace's scores to its model call, where it has just one."""
    count = Counter(call.trace for call in calls)
    for call in calls:
        if count[call.trace] == 1:
            call.scores = {**of_traces.get(call.trace, {}), **call.scores}


def _chosen_score(calls: Sequence[Call], name: str | None, source: str) -> str:
    found = Counter(key for call in calls for key in call.scores)
    listed = ", ".join(f"{key!r} ({count} calls)" for key, count in found.most_common())
    if not found:
        raise ConfigurationError(
            f"{source}: none of its {len(calls)} model calls has a numeric score, its own or that "
            "of a trace with no other call. Export the feedback with the runs."
        )
    if name is None:
        if len(found) > 1:
            raise ConfigurationError(
                f"{source} has several scores: {listed}. Say which one is the quality: "
                f"score_name={next(iter(found))!r}."
            )
        return next(iter(found))
    if name not in found:
        raise ConfigurationError(f"{source} has no score {name!r}; it has {listed}.")
    return name


def _usable(calls: Sequence[Call], name: str, source: str) -> list[Call]:
    """The calls that can be taken; warns of those that cannot."""
    scored = [call for call in calls if name in call.scores]
    whole = [call for call in scored if call.prompt.strip() and call.model]
    prompt = Coded.of(call.prompt for call in whole)
    model = Coded.of(call.model for call in whole)
    again = repeated(prompt.codes, model.codes)
    kept = [call for row, call in enumerate(whole) if row not in again]
    losses = {
        f"without the score {name!r}": len(calls) - len(scored),
        "without a text or a model's name": len(scored) - len(whole),
        "that repeat a prompt and model": len(whole) - len(kept),
    }
    if len(kept) < len(calls):
        said = ", ".join(f"{count} {what}" for what, count in losses.items() if count)
        warnings.warn(
            f"{source}: of {len(calls)} model calls {len(calls) - len(kept)} are left out: {said}.",
            stacklevel=3,
        )
    if not kept:
        raise ConfigurationError(f"{source} has no model call that can be used.")
    return kept
