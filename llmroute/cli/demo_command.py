"""`llmroute demo`: prompts through the router, and recorded outcomes replayed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import json_option, scorer_option

if TYPE_CHECKING:
    from llmroute.chain import RouterChain
    from llmroute.cli.demo.prompts import DemoPrompt
    from llmroute.pool import ModelPool


@click.command(short_help="See the router at work; no key needed.")
@click.option(
    "--part",
    type=click.Choice(["answers", "replay"]),
    help="Only one of the two parts: prompts through scripted models, or recorded outcomes.",
)
@click.option(
    "--quality",
    type=click.FloatRange(0, 1),
    default=0.9,
    help="The share of the best expected quality that is good enough.",
)
@scorer_option()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of recorded outcomes.  [default: LLMROUTE_DATA]",
)
@click.option("--live", is_flag=True, help="Ask real providers, with the environment's keys.")
@click.option("--api-base", metavar="URL", help="With --live: where all the models are served.")
@click.option("--yes", is_flag=True, help="With --live: do not ask before spending.")
@json_option
def demo(
    part: str | None,
    quality: float,
    scorer: str,
    data: Path | None,
    live: bool,
    api_base: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """See the router at work: 40 requests over real HTTP to scripted models, then replays.

    The first part needs no key and no network; its answers are stand-ins. The second replays real
    models' recorded answers, where they are at hand, and measures quality.
    """
    document: dict[str, Any] = {}
    if part != "replay":
        if live:
            document["answers"] = _live(quality, scorer, api_base, yes, as_json)
        else:
            document["answers"] = _scripted(quality, scorer, as_json)
    # --live is about spending on real calls: the replay comes with it only when asked for.
    if part == "replay" or (part is None and not live):
        from llmroute.cli.demo.replay import replay_part

        document["replay"] = replay_part(data, scorer, as_json)
    if as_json:
        from llmroute.cli.render import print_json

        print_json(document)


def _scripted(quality: float, scorer: str, as_json: bool) -> dict[str, Any]:
    from llmroute.cli.demo.prompts import PROMPTS
    from llmroute.cli.demo.standins import LABEL, make_trouble, scripted_provider, stand_in_pool
    from llmroute.policies import CheapestAbove

    with scripted_provider(PROMPTS) as provider:
        router = _router(stand_in_pool(provider.base_url), quality, scorer)
        title = (
            f"{len(PROMPTS)} requests over HTTP to {', '.join(router.pool.names)}: "
            f"the cheapest with {quality:.0%} of the best expected quality (the library's default "
            f"is {CheapestAbove().quality:.0%}, which saves less)"
        )
        document = _run(router, title, LABEL, as_json, lambda p: make_trouble(provider, router, p))
        return {**document, "http_requests": len(provider.requests)}


def _live(
    quality: float, scorer: str, api_base: str | None, yes: bool, as_json: bool
) -> dict[str, Any]:
    from llmroute.cli.demo.live import LABEL, MAX_TOKENS, expected_and_greatest_cost, live_pool
    from llmroute.cli.demo.prompts import PROMPTS
    from llmroute.cli.render import money

    router = _router(live_pool(api_base), quality, scorer, max_tokens=MAX_TOKENS)
    models = ", ".join(router.pool.names)
    if not yes:
        expected, greatest = map(money, expected_and_greatest_cost(router, PROMPTS))
        cost = f"about {expected} and at most {greatest}"
        question = f"Send {len(PROMPTS)} prompts to {models}, for {cost}?"
        click.confirm(question, abort=True, err=True)
    return _run(router, f"{len(PROMPTS)} requests to {models}", LABEL, as_json)


def _router(pool: ModelPool, quality: float, scorer: str, **options: Any) -> RouterChain:
    from llmroute.chain import RouterChain
    from llmroute.policies import CheapestAbove
    from llmroute.scoring.registry import load_scorer

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
    from llmroute.cli.demo.demo_run import add_up, ask
    from llmroute.cli.demo.prompts import PROMPTS
    from llmroute.cli.demo.tables import prompt_table, totals_table
    from llmroute.cli.render import progress, terminal
    from llmroute.engine.prepare import warm_up

    pool = router.pool
    with progress(shown=not as_json) as show:
        show("loading LiteLLM", 0, None, "a few seconds, once")
        for member in pool:  # so that the run's time is the calls', not the import's
            warm_up(member)
        show("loading LiteLLM", 1, 1)
        start, rows = time.perf_counter(), []
        for number, prompt in enumerate(PROMPTS, start=1):
            before(prompt)
            rows.append(ask(number, prompt, router))
            show("asking", number, len(PROMPTS), prompt.category)
        totals = add_up(rows, pool, time.perf_counter() - start)
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
