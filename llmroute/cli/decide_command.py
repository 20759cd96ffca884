"""`llmroute decide`: which model would be asked, and why. No model is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from llmroute.cli.options import RoutingOptions, json_option, read_prompt, routing_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llmroute.records import Decision


@click.command(short_help="Show which model would be asked, and why.")
@click.argument("prompt")
@routing_options(without=["api_base"])
@json_option
def decide(prompt: str, routing: RoutingOptions, as_json: bool) -> None:
    """Show which model would be asked for PROMPT (- reads stdin), and why. None is called."""
    text = read_prompt(prompt)
    decision = routing.router(asks=False).decide(text)
    from llmroute.cli.render import print_json, terminal

    if as_json:
        print_json(decision.to_json())
        return
    console = terminal()
    console.print(_estimates(decision))
    console.print(decision.reason, markup=False)
    unpriced = [name for name, known in decision.estimates.items() if known.cost is None]
    if unpriced:
        remedy = f"--model {unpriced[0]}=INPUT/OUTPUT"
        if routing.config is not None:
            remedy = "its input_price and output_price"
        console.print(
            f"No price is known for {', '.join(unpriced)}. State it, USD per million tokens: "
            f"{remedy}",
            style="yellow",
            markup=False,
        )
    console.print(_footer(decision), style="dim", markup=False)


def _estimates(decision: Decision) -> RenderableType:
    from rich.text import Text

    from llmroute.cli.render import bar, clip, money, number, table

    prior = " (prior)" if decision.unfamiliar else ""
    listing = table("model", f"|expected quality{prior}", ">cost", ">tokens", "")
    listing.columns[0].overflow, listing.columns[-1].max_width = "fold", 44
    for name, known in decision.estimates.items():
        chosen = name == decision.chosen
        why = Text(clip(decision.excluded.get(name, ""), 120), style="yellow")
        listing.add_row(
            name,
            f"{bar(known.quality)} {known.quality:.3f}",
            money(known.cost),
            number(known.tokens, ",.0f", "unknown"),
            Text("✓ chosen", style="green") if chosen else why,
            style="bold" if chosen else "",
        )
    return listing


def _footer(decision: Decision) -> str:
    stated = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in decision.policy.items()
        if name != "name"
    )
    parts = [
        f"policy {decision.policy['name']}({stated})",
        f"scorer {decision.router}",
        f"about {decision.prompt_tokens:,} prompt tokens",
        f"decided in {decision.decision_us:,.0f} µs",
    ]
    if decision.unfamiliar:
        parts.insert(0, "unfamiliar prompt")
    return " · ".join(parts)
