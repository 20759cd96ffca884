"""Sends the demo's prompts through a router and adds up what came of them."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
from llmroute.records import Decision


@dataclass(frozen=True)
class Row:
    """What came of one prompt.

    Attributes:
        number: Its place, from 1.
        prompt: The prompt.
        decision: The record, or None where no model answered.
        answer: What the model said or called.
        error: Why no model answered.
    """

    number: int
    prompt: DemoPrompt
    decision: Decision | None
    answer: str = ""
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as plain JSON types."""
        return {
            "number": self.number,
            "category": self.prompt.category,
            "prompt": self.prompt.question,
            "answer": self.answer,
            "error": self.error,
            "record": self.decision.to_json() if self.decision else None,
        }


@dataclass(frozen=True)
class Totals:
    """What a run came to. Amounts are USD, None where a price is unknown.

    Attributes:
        prompts: Prompts sent.
        answered: Prompts answered.
        calls_by_model: Answers by model, in the pool's order.
        cost_by_model: Cost of those prompts, failed attempts included.
        failed_attempts: Attempts that failed, by status.
        retries: Further tries on the same model.
        fallbacks: Prompts that another model than the chosen one answered.
        unfamiliar: Prompts the scorer called unfamiliar.
        strongest: The model the saving is measured against.
        strong_share: Part of the answers that are the strongest model's.
        cost_usd: The routed run.
        always_strong_usd: The same tokens, always from the strongest model.
        saved_usd: The difference.
        random_mix_usd: The expected cost of the same tokens when each prompt's model is drawn at
            random with the routed run's shares.
        decision_us: Median microseconds a decision took.
        seconds: The whole run.
    """

    prompts: int
    answered: int
    calls_by_model: dict[str, int]
    cost_by_model: dict[str, float | None]
    failed_attempts: dict[str, int]
    retries: int
    fallbacks: int
    unfamiliar: int
    strongest: str
    strong_share: float
    cost_usd: float | None
    always_strong_usd: float | None
    saved_usd: float | None
    random_mix_usd: float | None
    decision_us: float
    seconds: float


def ask(number: int, prompt: DemoPrompt, router: RouterChain) -> Row:
    """Send the prompt of a number.

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
    try:
        message = chain.invoke(prompt.messages)
    except (AuthenticationFailed, ModelNotFound):
        raise
    except (ProviderError, AllModelsFailed, NoEligibleModel) as error:
        return Row(number, prompt, None, error=str(error))
    record = Decision.model_validate(message.response_metadata["llmroute"])
    calls = [
        f"{c['name']}({json.dumps(c['args'], ensure_ascii=False)})" for c in message.tool_calls
    ]
    return Row(number, prompt, record, answer=str(message.text) or "; ".join(calls))


def add_up(rows: Sequence[Row], pool: ModelPool, seconds: float) -> Totals:
    """The totals of a run that took so many seconds; its pool is needed for prices."""
    records = [row.decision for row in rows if row.decision is not None]
    answered_by = [str(record.answered_by) for record in records]
    counts = Counter(answered_by)
    cost = _sum([record.cost_usd for record in records])
    saved = _sum([record.saved_usd for record in records])
    strongest = records[-1].strongest if records else pool.names[-1]
    failed = [call for record in records for call in record.calls[:-1]]
    tried = [len(r.calls) - len({call.model for call in r.calls}) for r in records]
    return Totals(
        prompts=len(rows),
        answered=len(records),
        calls_by_model={name: counts[name] for name in pool.names},
        cost_by_model={
            name: _sum([r.cost_usd for r in records if r.answered_by == name])
            for name in pool.names
        },
        failed_attempts=dict(Counter(str(call.status) for call in failed)),
        retries=sum(tried),
        fallbacks=sum(record.answered_by != record.chosen for record in records),
        unfamiliar=sum(record.unfamiliar for record in records),
        strongest=strongest,
        strong_share=counts[strongest] / len(records) if records else 0.0,
        cost_usd=cost,
        always_strong_usd=None if cost is None or saved is None else round(cost + saved, 12),
        saved_usd=saved,
        random_mix_usd=_random_mix(records, pool),
        decision_us=statistics.median(r.decision_us for r in records) if records else 0.0,
        seconds=round(seconds, 3),
    )


def _random_mix(records: Sequence[Decision], pool: ModelPool) -> float | None:
    """What the same tokens cost when each prompt's model is drawn at random, in expectation.

    The draw has the run's own shares, the strongest model's included: Σ over models of its share
    times the cost of all prompts on it. None where a price or a token count is unknown.
    """
    shares = Counter(str(record.answered_by) for record in records)
    expected: list[float | None] = []
    for name, count in shares.items():
        for record in records:
            last = record.calls[-1]
            if last.prompt_tokens is None or last.completion_tokens is None:
                return None
            price = pool[name].price(last.prompt_tokens, last.completion_tokens)
            expected.append(None if price is None else price * count / len(records))
    return _sum(expected)


def _sum(amounts: Sequence[float | None]) -> float | None:
    """The sum, rounded as prices are; None where one is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 12) if len(known) == len(amounts) else None
