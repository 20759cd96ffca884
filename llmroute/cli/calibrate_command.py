"""`llmroute calibrate`: what your own recorded answers say of drafts and checks."""

from __future__ import annotations

from pathlib import Path

import click

from llmroute.cli.options import EXISTING, FILE, scorer_option


@click.command(short_help="Fit what agreement and confidence are worth, on recorded answers.")
@click.argument("data", type=EXISTING)
@click.option("--out", default="calibration.json", type=FILE, help="The file to write.")
@scorer_option("The scorer your router uses.")
@click.option("--model", "-m", "models", multiple=True, help="Only these models of the data.")
def calibrate(data: Path, out: Path, scorer: str, models: tuple[str, ...]) -> None:
    r"""Fit the belief model of escalation="auto" on the train split of recorded answers.

    DATA is a folder or file as `llmroute eval` takes them, with the answers' texts (`response`)
    and, where known, their `confidence`. Use what is written:

    \b
        RouterChain(pool=pool, escalation=Escalation("auto", calibration="calibration.json"))
    """
    from llmroute.cli.render import progress
    from llmroute.evaluation import Outcomes
    from llmroute.profiling import calibrate
    from llmroute.scoring.registry import load_scorer

    loaded = load_scorer(scorer)
    outcomes = Outcomes.read(data, "train", responses=True)
    outcomes = (outcomes.only(list(models)) if models else outcomes).complete()
    with progress() as show:
        show("reading answers", 0, len(outcomes))
        calibration = calibrate.calibrate(
            outcomes, loaded, lambda stage, done, total: show("reading answers", done, total)
        )
    calibration.save(out)
    click.echo(
        f"{out}: {calibration.prompts} prompts, {len(calibration.models)} models of "
        f'{calibration.source}.\nUse it: Escalation("auto", calibration={str(out)!r})'
    )
