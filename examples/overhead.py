"""What routing adds to a call, beside the same member called directly, in one run.

    python examples/overhead.py [--rounds 300] [--json]

The provider is scripted, on loopback, and takes 20 ms to answer, which is quick for a model. Calls
are made in turns, direct and routed, so that a machine that slows down slows both. What is printed
is the difference, as a share of the direct call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable

from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI

from llmroute import Model, ModelPool, RouterChain, WillingnessToPay
from llmroute.testing import ScriptedModel, ScriptedProvider

DELAY_S = 0.020
PROMPT = "Why does a heavy stone fall as fast as a light feather when there is no air around?"
#: The part of a 20 ms call that routing may take.
AIM = 0.05


def members(provider: ScriptedProvider, kind: str) -> ModelPool:
    """Two members of one kind."""
    found = []
    for name, price in (("small", 0.1), ("big", 2.0)):
        if kind == "LiteLLM":
            own = {"model": f"openai/{name}", "api_base": provider.base_url, "api_key": "any"}
        else:
            chat_model = ChatOpenAI(
                model=name, base_url=provider.base_url, api_key="any", max_retries=0
            )
            own = {"chat_model": chat_model}
        found.append(Model(name, input_price=price, output_price=4 * price, **own))
    return ModelPool(found)


def in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 10):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if round_ >= 10:  # the first are warming up
                times[name].append(time.perf_counter() - start)
    return times


async def in_turns_async(
    direct: BaseChatModel, router: RouterChain, rounds: int
) -> dict[str, list[float]]:
    """`in_turns`, for the async calls."""
    times: dict[str, list[float]] = {"direct": [], "routed": []}
    for round_ in range(rounds + 10):
        for name, model in (("direct", direct), ("routed", router)):
            start = time.perf_counter()
            await model.ainvoke(PROMPT)
            if round_ >= 10:
                times[name].append(time.perf_counter() - start)
    return times


def measured(kind: str, rounds: int) -> list[dict[str, object]]:
    """One row for sync calls and one for async ones."""
    models = [ScriptedModel(name, delay=DELAY_S) for name in ("small", "big")]
    with ScriptedProvider(models) as provider:
        pool = members(provider, kind)
        # Drafts and checks are further calls, and not what is measured here: the small model is
        # to answer everything.
        cheap = WillingnessToPay(usd=1e-9)
        router = RouterChain(pool=pool, policy=cheap, escalation=None)
        direct = pool["small"].runnable
        sync = in_turns(
            {"direct": lambda: direct.invoke(PROMPT), "routed": lambda: router.invoke(PROMPT)},
            rounds,
        )
        both = {"sync": sync, "async": asyncio.run(in_turns_async(direct, router, rounds))}
    rows = []
    for way, times in both.items():
        plain, routed = (statistics.median(times[name]) for name in ("direct", "routed"))
        added = statistics.median(
            r - d for d, r in zip(times["direct"], times["routed"], strict=True)
        )
        rows.append(
            {
                "members": kind,
                "way": way,
                "direct_ms": plain * 1e3,
                "routed_ms": routed * 1e3,
                "added_ms": added * 1e3,
                "share_of_20_ms": added / DELAY_S,
            }
        )
    return rows


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rows = [row for kind in ("LiteLLM", "ChatOpenAI") for row in measured(kind, options.rounds)]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'members':<12}{'way':<8}{'direct':>10}{'routed':>10}{'added':>10}   of 20 ms")
    for row in rows:
        print(
            f"{row['members']:<12}{row['way']:<8}{row['direct_ms']:>7.2f} ms"
            f"{row['routed_ms']:>7.2f} ms{row['added_ms']:>7.2f} ms   "
            f"{row['share_of_20_ms']:.1%} (aim: {AIM:.0%})"
        )


if __name__ == "__main__":
    main()
