"""The demo's first part: its prompts through a router, and the bill, as its JSON document."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import click

from llmroute.chain import RouterChain
from llmroute.cli.demo import live, standins
from llmroute.cli.demo.demo_prompts import PROMPTS, DemoPrompt
from llmroute.cli.demo.standins import make_trouble, scripted_provider, stand_in_pool
from llmroute.cli.demo.tables import prompt_table, totals_table
from llmroute.cli.render import money, progress, terminal
from llmroute.engine.prepare import warm_up
from llmroute.errors import (
    AllModelsFailed,
    AuthenticationFailed,
    ModelNotFound,
    NoEligibleModel,
    ProviderError,
)
from llmroute.policies import CheapestAbove
from llmroute.pool import ModelPool
from llmroute.scoring.registry import load_scorer


def scripted_part(quality: float, scorer: str, as_json: bool) -> dict[str, Any]:
    """Ask the stand-ins, and show what came of it unless a document is wanted."""
    with scripted_provider(PROMPTS) as provider:
        router = _router(stand_in_pool(provider.base_url), quality, scorer)
        title = (
            f"{len(PROMPTS)} requests over HTTP to {', '.join(router.pool.names)}: "
            f"the cheapest with {quality:.0%} of the best expected quality (the library's default "
            f"is {CheapestAbove().quality:.0%}, which saves less)"
        )
        label = standins.LABEL
        document = _run(router, title, label, as_json, lambda p: make_trouble(provider, router, p))
        return {**document, "http_requests": len(provider.requests)}


def live_part(
    quality: float, scorer: str, as_json: bool, api_base: str | None, *, agreed: bool
) -> dict[str, Any]:
    """Ask real providers once the user has agreed to the cost, and show what came of it."""
    router = _router(live.live_pool(api_base), quality, scorer, max_tokens=live.MAX_TOKENS)
    models = ", ".join(router.pool.names)
    if not agreed:
        expected, greatest = map(money, live.expected_and_greatest_cost(router, PROMPTS))
        cost = f"about {expected} and at most {greatest}"
        question = f"Send {len(PROMPTS)} prompts to {models}, for {cost}?"
        click.confirm(question, abort=True, err=True)
    return _run(router, f"{len(PROMPTS)} requests to {models}", live.LABEL, as_json)


def _router(pool: ModelPool, quality: float, scorer: str, **options: Any) -> RouterChain:
    return RouterChain(
        pool=pool,
        policy=CheapestAbove(quality=quality),
        scorer=load_scorer(scorer),
        # The stand-ins' answers are made up: there is nothing to be learned by looking at them.
        # Live it is one call a prompt, so that the bill is the one that was agreed to.
        escalation=None,
        **options,
    )


def _run(
    router: RouterChain,
    title: str,
    label: str,
    as_json: bool,
    before: Callable[[DemoPrompt], None] = lambda prompt: None,
) -> dict[str, Any]:
    """Ask all the prompts, show what came of them, and return it as a document."""
    pool = router.pool
    with progress(shown=not as_json) as show:
        show("loading LiteLLM", 0, None, "a few seconds, once")
        for member in pool:  # so that the run's time is the calls', not the import's
            warm_up(member)
        show("loading LiteLLM", 1, 1)
        start, rows = time.perf_counter(), []
        for number, prompt in enumerate(PROMPTS, start=1):
            before(prompt)
            rows.append(_ask(number, prompt, router))
            show("asking", number, len(PROMPTS), prompt.category)
        totals = _add_up(rows, pool, time.perf_counter() - start)
    if not as_json:
        console = terminal()
        console.print(prompt_table(rows, pool, title, console.width))
        console.print(totals_table(totals, pool, label))
    return {
        "label": label,
        "pool": [m.model_dump(include={"name", "input_price", "output_price"}) for m in pool],
        "prompts": rows,
        "totals": totals,
    }


def _ask(number: int, prompt: DemoPrompt, router: RouterChain) -> dict[str, Any]:
    """Send the prompt of a number: its row has an answer and a record, or why there is none."""
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
        raise  # all further calls would fail alike
    except (ProviderError, AllModelsFailed, NoEligibleModel) as error:
        return {**row, "answer": "", "error": str(error), "record": None}
    calls = [
        f"{c['name']}({json.dumps(c['args'], ensure_ascii=False)})" for c in message.tool_calls
    ]
    answer = str(message.text) or "; ".join(calls)
    record = message.response_metadata["llmroute"]
    return {**row, "answer": answer, "error": None, "record": record}


def _add_up(rows: Sequence[dict[str, Any]], pool: ModelPool, seconds: float) -> dict[str, Any]:
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
