"""`llmroute demo`: prompts through the router, and recorded outcomes replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llmroute.cli.options import json_option, scorer_option


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
        from llmroute.cli.demo.answers_part import live_part, scripted_part

        document["answers"] = (
            live_part(quality, scorer, as_json, api_base, agreed=yes)
            if live
            else scripted_part(quality, scorer, as_json)
        )
    # --live is about spending on real calls: the replay comes with it only when asked for.
    if part == "replay" or (part is None and not live):
        from llmroute.cli.demo.replay_part import replay_part

        document["replay"] = replay_part(data, scorer, as_json)
    if as_json:
        from llmroute.cli.render import print_json

        print_json(document)
