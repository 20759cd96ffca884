"""`llmroute profile`: ask a model the anchor prompts, and keep what its answers say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import Member, json_option, pool_of, read_member

if TYPE_CHECKING:
    from llmroute.pool import Model
    from llmroute.profiling import Anchor, Profile
    from llmroute.profiling.profile_file import Graded
    from llmroute.scoring.latent import LatentAbilityScorer


@click.command(short_help="Measure what a model can do, with about 70 short questions.")
@click.option(
    "--model",
    "-m",
    "models",
    type=read_member,
    metavar="NAME[=IN/OUT]",
    multiple=True,
    required=True,
    help="A model, by its LiteLLM name; repeat it for each. Prices in USD per million tokens may "
    "be stated: ollama/llama3.2=0/0.",
)
@click.option("--api-base", metavar="URL", help="Where all the models are served.")
@click.option(
    "--out",
    default="profiles.json",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The profile file; models that are in it already stay.",
)
@click.option(
    "--scorer",
    default="static",
    show_default=True,
    metavar="NAME|FOLDER",
    help="The scorer the ability is meant for.",
)
@click.option(
    "--workers", default=4, show_default=True, type=click.IntRange(1, 64), help="Calls at a time."
)
@click.option("--keep-answers", is_flag=True, help="Keep the answers' texts in the file too.")
@click.option("--yes", is_flag=True, help="Ask without asking you first.")
@json_option
def profile(
    models: tuple[Member, ...],
    api_base: str | None,
    out: Path,
    scorer: str,
    workers: int,
    keep_answers: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Ask models the anchor prompts, grade what they say, and write their abilities to a file.

    Says what it will cost and asks before it begins. Each answer is kept as it comes: after an
    error or Ctrl-C the same command asks only the rest. The file holds no keys, and no answers
    unless --keep-answers. Use it: pool.with_profiles("profiles.json").
    """
    from llmroute.profiling import load_anchors, read_profiles
    from llmroute.profiling.ask import missing
    from llmroute.scoring.registry import load_latent

    pool = pool_of(models, api_base)
    loaded = load_latent(scorer)
    known = read_profiles(out).models if out.exists() else {}
    left = {
        model.name: missing(load_anchors(), known[model.name].graded if model.name in known else {})
        for model in pool
    }
    total = sum(len(anchors) for anchors in left.values())
    if total:
        click.echo(_announcement(loaded, list(pool), left), err=True)
        if not yes:
            click.confirm("Ask them?", abort=True, err=True)
    for model in pool:
        _profile(model, left[model.name], loaded, out, workers, keep_answers, shown=not as_json)
    found = read_profiles(out).models
    _show({model.name: found[model.name] for model in pool}, out, as_json)


def _announcement(
    scorer: LatentAbilityScorer, models: list[Model], left: Mapping[str, list[Anchor]]
) -> str:
    from llmroute.cli.render import money
    from llmroute.profiling import expected_cost

    lines = []
    for model in models:
        cost = expected_cost(scorer, model, left[model.name])
        price = "at an unknown price" if cost is None else f"for about {money(cost)}"
        lines.append(f"{model.name}: {len(left[model.name])} prompts {price}")
    return "\n".join(lines)


def _profile(
    model: Model,
    anchors: list[Anchor],
    scorer: LatentAbilityScorer,
    out: Path,
    workers: int,
    keep_answers: bool,
    shown: bool,
) -> None:
    """Asks what is left, and writes the file after every answer."""
    from llmroute.cli.render import progress
    from llmroute.profiling import (
        Profiles,
        ask_anchors,
        fit_profile,
        read_profiles,
        write_profiles,
    )

    profiles = read_profiles(out) if out.exists() else Profiles()
    graded: dict[str, Graded] = {}
    if model.name in profiles.models:
        graded.update(profiles.models[model.name].graded)
    lock = Lock()

    def write() -> None:
        one = fit_profile(scorer, model, graded)
        write_profiles(out, Profiles(models={**profiles.models, model.name: one}))

    with progress(shown=shown) as display:
        task = display.add_task(model.name, total=len(anchors), note="")

        def keep(anchor: Anchor, answer: Graded) -> None:
            with lock:
                graded[anchor.id] = answer
                write()
                right = sum(one.score for one in graded.values())
                display.update(task, advance=1, note=f"{right:.0f} right")

        ask_anchors(
            model,
            anchors,
            scorer=scorer,
            on_answer=keep,
            keep_answers=keep_answers,
            workers=workers,
        )
    if not anchors:
        write()  # under the scorer that is asked for now


def _show(profiles: Mapping[str, Profile], out: Path, as_json: bool) -> None:
    from llmroute.cli.render import money, percent, print_json, table, terminal

    if as_json:
        shown: dict[str, Any] = {
            name: one.model_dump(mode="json", exclude={"graded"}) for name, one in profiles.items()
        }
        print_json({"file": str(out), "models": shown})
        return
    listing = table()
    for heading in ("model", "ability", "right", "verbosity", "first token", "tokens/s", "cost"):
        listing.add_column(heading, justify="left" if heading == "model" else "right")
    for name, one in profiles.items():
        listing.add_row(
            name,
            f"{one.ability[0]:+.2f} ± {one.deviation[0]:.2f}",
            "" if one.right is None else percent(one.right),
            "" if one.verbosity is None else f"{one.verbosity:.2f}",
            "" if one.first_token_s is None else f"{one.first_token_s:.2f} s",
            "" if one.tokens_per_s is None else f"{one.tokens_per_s:.0f}",
            money(one.cost_usd),
        )
    console = terminal()
    console.print(listing)
    console.print(f'Use it: pool.with_profiles("{out}")', markup=False, soft_wrap=True)
