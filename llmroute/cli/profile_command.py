"""`llmroute profile`: ask a model the anchor prompts, and keep what its answers say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import (
    FILE,
    ModelArgument,
    api_base_option,
    json_option,
    models_option,
    pool_of,
    scorer_option,
)

if TYPE_CHECKING:
    from llmroute.cli.render import ShowProgress
    from llmroute.pool import Model
    from llmroute.profiling import Anchor, Profile
    from llmroute.profiling.profile_file import Graded
    from llmroute.scoring.latent import LatentAbilityScorer


@click.command(short_help="Measure what a model can do, with about 70 short questions.")
@models_option(required=True)
@api_base_option
@click.option(
    "--out",
    default="profiles.json",
    type=FILE,
    help="The profile file; models that are in it already stay.",
)
@scorer_option("The scorer the ability is meant for.")
@click.option("--workers", default=4, type=click.IntRange(1, 64), help="Calls at a time.")
@click.option("--keep-answers", is_flag=True, help="Keep the answers' texts in the file too.")
@click.option("--yes", is_flag=True, help="Ask without asking you first.")
@json_option
def profile(
    models: tuple[ModelArgument, ...],
    api_base: str | None,
    out: Path,
    scorer: str,
    yes: bool,
    as_json: bool,
    **asking: Any,
) -> None:
    """Ask models the anchor prompts, grade what they say, and write their abilities to a file.

    Says what it will cost and asks before it begins. Each answer is kept as it comes: after an
    error or Ctrl-C the same command asks only the rest. The file holds no keys, and no answers
    unless --keep-answers. Use it: pool.with_profiles("profiles.json").
    """
    from llmroute.cli.render import money, progress
    from llmroute.profiling import expected_cost, load_anchors, read_profiles
    from llmroute.profiling.ask import missing
    from llmroute.scoring.registry import load_latent

    pool = pool_of(models, api_base)
    loaded = load_latent(scorer)
    known = read_profiles(out).models if out.exists() else {}
    left = {
        model.name: missing(load_anchors(), known[model.name].graded if model.name in known else {})
        for model in pool
    }
    if any(left.values()):
        for model in pool:
            cost = expected_cost(loaded, model, left[model.name])
            price = "at an unknown price" if cost is None else f"for about {money(cost)}"
            click.echo(f"{model.name}: {len(left[model.name])} prompts {price}", err=True)
        if not yes:
            click.confirm("Ask them?", abort=True, err=True)
    with progress(shown=not as_json) as show:
        for model in pool:
            _profile(model, left[model.name], loaded, out, show, **asking)
    profiles = read_profiles(out).models
    _show({model.name: profiles[model.name] for model in pool}, out, as_json)


def _profile(
    model: Model,
    anchors: list[Anchor],
    scorer: LatentAbilityScorer,
    out: Path,
    show: ShowProgress,
    **asking: Any,
) -> None:
    """Ask what is left, and write the file after every answer."""
    from llmroute.profiling import Profiles, ask_anchors, fit_profile, read_profiles, write_profiles

    profiles = read_profiles(out) if out.exists() else Profiles()
    earlier = profiles.models.get(model.name)
    graded = dict(earlier.graded) if earlier else {}
    asked_before, lock = len(graded), Lock()

    def write() -> None:
        fitted = fit_profile(scorer, model, graded)
        write_profiles(out, Profiles(models={**profiles.models, model.name: fitted}))

    def keep(anchor: Anchor, answer: Graded) -> None:
        with lock:
            graded[anchor.id] = answer
            write()
            right = sum(answer.score for answer in graded.values())
            show(model.name, len(graded) - asked_before, len(anchors), f"{right:.0f} right")

    show(model.name, 0, len(anchors))
    ask_anchors(model, anchors, scorer=scorer, on_answer=keep, **asking)
    if not anchors:
        write()  # under the scorer that is asked for now


def _show(profiles: Mapping[str, Profile], out: Path, as_json: bool) -> None:
    from llmroute.cli.render import money, number, print_json, table, terminal

    if as_json:
        models = {n: p.model_dump(mode="json", exclude={"graded"}) for n, p in profiles.items()}
        print_json({"file": str(out), "models": models})
        return
    listing = table(
        *("model", ">ability", ">right", ">verbosity", ">first token", ">tokens/s", ">cost")
    )
    for name, profile in profiles.items():
        listing.add_row(
            name,
            f"{profile.ability[0]:+.2f} ± {profile.deviation[0]:.2f}",
            number(profile.right, ".0%"),
            number(profile.verbosity, ".2f"),
            number(profile.first_token_s, ".2f", unit=" s"),
            number(profile.tokens_per_s, ".0f"),
            money(profile.cost_usd),
        )
    console = terminal()
    console.print(listing)
    console.print(f'Use it: pool.with_profiles("{out}")', markup=False, soft_wrap=True)
