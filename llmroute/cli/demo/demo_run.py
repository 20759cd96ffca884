"""Sends the demo's prompts through a router and adds up what came of them, as its JSON document."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from llmroute.chain import RouterChain
from llmroute.cli.demo.prompts import DemoPrompt
from llmroute.errors import (
    AllModelsFailed,
    AuthenticationFailed,
    ModelNotFound,
    NoEligibleModel,
    ProviderError,
)
from llmroute.pool import ModelPool


def ask(number: int, prompt: DemoPrompt, router: RouterChain) -> dict[str, Any]:
    """Send the prompt of a number.

    Returns:
        The prompt, its answer and its record, as `Decision.to_json` writes it; of a prompt that no
        model answered, why.

    Raises:
        AuthenticationFailed: A key is wrong; all further calls would fail alike.
        ModelNotFound: A provider does not know a model; likewise.
    """
    chain: Any = router
    if prompt.schema is not None:
        structured = router.with_structured_output(prompt.schema, include_raw=True)
        chain = structured | itemgetter("raw")
    elif prompt.tools:
        chain = router.bind_tools(prompt.tools)
    row = {"number": number, "category": prompt.category, "prompt": prompt.question}
    try:
        message = chain.invoke(prompt.messages)
    except (AuthenticationFailed, ModelNotFound):
        raise
    except (ProviderError, AllModelsFailed, NoEligibleModel) as error:
        return {**row, "answer": "", "error": str(error), "record": None}
    calls = [
        f"{c['name']}({json.dumps(c['args'], ensure_ascii=False)})" for c in message.tool_calls
    ]
    answer = str(message.text) or "; ".join(calls)
    record = message.response_metadata["llmroute"]
    return {**row, "answer": answer, "error": None, "record": record}


def add_up(rows: Sequence[dict[str, Any]], pool: ModelPool, seconds: float) -> dict[str, Any]:
    """The totals of a run that took so many seconds; USD is None where a price is unknown."""
    records = [row["record"] for row in rows if row["record"]]
    counts = Counter(record["answered_by"] for record in records)
    cost = _sum([record["cost_usd"] for record in records])
    saved = _sum([record["saved_usd"] for record in records])
    strongest = records[-1]["strongest"] if records else pool.names[-1]
    failed = [call for record in records for call in record["calls"][:-1]]
    decision_us = [record["decision_us"] for record in records]
    return {
        "prompts": len(rows),
        "answered": len(records),
        "calls_by_model": {name: counts[name] for name in pool.names},
        # Of the prompts that a model answered, failed attempts included.
        "cost_by_model": {
            name: _sum([r["cost_usd"] for r in records if r["answered_by"] == name])
            for name in pool.names
        },
        "failed_attempts": dict(Counter(call["status"] for call in failed)),
        # Further tries on the same model.
        "retries": sum(len(r["calls"]) - len({c["model"] for c in r["calls"]}) for r in records),
        "fallbacks": sum(record["answered_by"] != record["chosen"] for record in records),
        "unfamiliar": sum(record["unfamiliar"] for record in records),
        "strongest": strongest,
        "strong_share": counts[strongest] / len(records) if records else 0.0,
        "cost_usd": cost,
        # The same tokens, always from the strongest model.
        "always_strong_usd": None if cost is None or saved is None else round(cost + saved, 12),
        "saved_usd": saved,
        "random_mix_usd": _random_mix(records, counts, pool),
        "decision_us": statistics.median(decision_us) if records else 0.0,
        "seconds": round(seconds, 3),
    }


def _random_mix(
    records: Sequence[dict[str, Any]], counts: Counter[str], pool: ModelPool
) -> float | None:
    """What the same tokens cost when each prompt's model is drawn at random, in expectation.

    The draw has the run's own shares, the strongest model's included: Σ over models of its share
    times the cost of all prompts on it. None where a price or a token count is unknown.
    """
    expected: list[float | None] = []
    for name, answers in counts.items():
        for record in records:
            tokens = itemgetter("prompt_tokens", "completion_tokens")(record["calls"][-1])
            price = None if None in tokens else pool[name].price(*tokens)
            expected.append(None if price is None else price * answers / len(records))
    return _sum(expected)


def _sum(amounts: Sequence[float | None]) -> float | None:
    """The sum, rounded as prices are; None where one is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 12) if len(known) == len(amounts) else None
