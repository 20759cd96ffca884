"""The demo's tables: one row a prompt, and the bill."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, groupby
from operator import itemgetter
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from llmroute.cli.render import bar, clip, count, money, number, table
from llmroute.pool import ModelPool

#: From the cheapest model to the dearest.
_COLOURS = ("green", "cyan", "magenta", "blue", "yellow", "red")
_CAPTION = (
    "grounds: the quality expected of the chosen model, of the best expected of any that can take "
    "the prompt"
)
#: Characters from which there is room for whole paths.
_WIDE = 110
#: What a failed attempt is called in a cell, where its HTTP status says it best.
_STATUS = {"rate_limited": "429", "unavailable": "5xx"}


def _short(name: str) -> str:
    """A model's name without provider, as a cell has room for."""
    return name.rsplit("/", 1)[-1].removeprefix("standin-")


def _colours(pool: ModelPool) -> dict[str, str]:
    """A colour a model, by price."""
    by_price = sorted(pool, key=lambda model: model.output_price or 0.0)
    return dict(zip((model.name for model in by_price), cycle(_COLOURS)))


def prompt_table(rows: Sequence[dict[str, Any]], pool: ModelPool, title: str, width: int) -> Table:
    """One row a prompt, on a terminal of `width` characters: who answered, on what grounds."""
    wide = width >= _WIDE
    kind, path, grounds = (17, 27, 20) if wide else (14, 11, 12)
    # Rich would shrink all columns alike; only the prompt can spare characters.
    room = max(width - (2 + kind + path + grounds + 8) - 2 * 6, 12)
    listing = table(title=title, caption=_CAPTION)
    listing.add_column("#", justify="right", no_wrap=True, style="dim", min_width=2)
    listing.add_column("kind", no_wrap=True, min_width=kind)
    listing.add_column("prompt", no_wrap=True, style="dim", min_width=room)
    listing.add_column("model", min_width=path, max_width=path)
    listing.add_column("grounds", min_width=grounds, max_width=grounds)
    listing.add_column("USD", justify="right", no_wrap=True, min_width=8)
    tint = _colours(pool)
    for row in rows:
        record = row["record"]
        listing.add_row(
            str(row["number"]),
            clip(row["category"], kind),
            clip(row["prompt"], room),
            _path(record["calls"], tint) if record else Text("no answer", style="red"),
            _grounds(record) if record else clip(row["error"], 2 * grounds),
            number(record["cost_usd"] if record else None, ".6f"),
        )
    return listing


def _path(calls: Sequence[dict[str, Any]], tint: dict[str, str]) -> Text:
    """`small`, or `small 429 ↻ small`, or `small 5xx ↻ 5xx → medium`."""
    path = Text()
    for name, attempts in groupby(calls, key=itemgetter("model")):
        failed = [_STATUS.get(c["status"], c["status"]) for c in attempts if c["status"] != "ok"]
        if path:
            path.append(" → ", style="red")
        path.append(_short(name), style=tint[name])
        if failed:
            path.append(f" {' ↻ '.join(failed)}", style="red")
            if calls[-1]["model"] == name:
                path.append(" ↻ ok", style=tint[name])
    return path


def _grounds(record: dict[str, Any]) -> str:
    if record["excluded"]:
        names = ", ".join(map(_short, record["excluded"]))
        why = next(iter(record["excluded"].values()))
        return f"not {names}: {'too long' if 'context window' in why else clip(why, 30)}"
    quality = {name: known["quality"] for name, known in record["estimates"].items()}
    best = max(quality[name] for name in record["ranking"])
    unfamiliar = " ?" if record["unfamiliar"] else ""
    return f"{quality[record['chosen']]:.2f} of {best:.2f}{unfamiliar}"


def totals_table(totals: dict[str, Any], pool: ModelPool, label: str) -> Group:
    """Calls by model, the bill beside its baselines, what went wrong on the way, and a label."""
    notes = Text(_notes(totals), style="dim")
    return Group("", _shares(totals, pool), _bill(totals), notes, Text(label, style="yellow"))


def _shares(totals: dict[str, Any], pool: ModelPool) -> Table:
    listing = table(
        *("model", "|share", ">prompts", ">in / out, USD per M tokens", ">cost"),
        title="Who answered",
    )
    tint = _colours(pool)
    for model in pool:
        answers = totals["calls_by_model"][model.name]
        share = answers / max(totals["answered"], 1)
        prices = (number(price, ".2f", "?") for price in (model.input_price, model.output_price))
        listing.add_row(
            model.name,
            Text(f"{bar(share, 20)} {share:>4.0%}", style=tint[model.name]),
            str(answers),
            " / ".join(prices),
            money(totals["cost_by_model"][model.name]),
        )
    return listing


def _bill(totals: dict[str, Any]) -> Table:
    listing = table("on the same prompts and tokens", ">USD", "", title="The bill")
    routed, strong, mix = (
        totals[f"{name}_usd"] for name in ("cost", "always_strong", "random_mix")
    )

    def share(usd: float | None) -> str:
        return f"{usd / strong:.0%}" if usd is not None and strong else ""

    listing.add_row("routed", money(routed), share(routed), style="bold")
    listing.add_row(f"always {totals['strongest']}", money(strong), "100%")
    listing.add_row("the same mix at random (expected)", money(mix), share(mix))
    listing.add_row("saved by routing", money(totals["saved_usd"]), "")
    return listing


def _notes(totals: dict[str, Any]) -> str:
    answered = f"{totals['answered']} of {totals['prompts']} prompts answered"
    lines = [
        f"{answered} in {totals['seconds']:.1f} s; a decision took {totals['decision_us']:,.0f} µs "
        "(median).",
        "The same mix at random may cost less, because hard prompts have long answers; what a "
        "router adds is which prompts go where.",
    ]
    if totals["failed_attempts"]:
        failed = ", ".join(
            f"{times} × {_STATUS.get(status, status)}"
            for status, times in totals["failed_attempts"].items()
        )
        retries = count(totals["retries"], "retry", "retries")
        fallbacks = count(totals["fallbacks"], "fallback", "fallbacks")
        lines.append(f"Failed attempts: {failed}; {retries}, {fallbacks} to another model.")
    if totals["unfamiliar"]:
        prompts = count(totals["unfamiliar"], "prompt is", "prompts are")
        lines.append(
            f"{prompts} unlike the scorer's training data (marked ?): the models' priors decided."
        )
    return "\n".join(lines)
