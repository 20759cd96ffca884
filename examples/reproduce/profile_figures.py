"""What a profile and a few answers are worth: the figures of docs/profile.md.

    python -m examples.reproduce.profile_figures DATA/routerbench … --write docs/profile.md

Everything is measured on the test split; answers are drawn from the train split.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from examples.reproduce.profile_data import Field, pooled, shown
from examples.reproduce.profile_local_scorer import (
    BASE,
    LOCAL_HEADS,
    UNSEEN_HEADS,
    local_rows,
    unseen_rows,
)
from llmroute.evaluation import Outcomes
from llmroute.evaluation.markdown import markdown_table as table
from llmroute.numerics import Floats
from llmroute.pool import Model, ModelPool
from llmroute.profiling.ability_profile import fit_abilities
from llmroute.profiling.anchors import load_anchors
from llmroute.scoring import load_latent
from llmroute.scoring.ability_fit import fisher_information

#: What each table stands between.
BEGIN, END = "<!-- {}: made by examples.reproduce.profile_figures -->", "<!-- end of {} -->"

UNSEEN_MODEL_HEADS = ["data", "models", "AIQ, all on all train", "zero router", "oracle"]
UNSEEN_MODEL_HEADS += ["lost with 50 answers", "worst model"]
_FEW, _UNSEEN_MODEL_DRAWS = 50, 5
_ABILITIES = range(-3, 4)


def anchor_table() -> str:
    """How much the answers to all anchors tell of a model, by how able it is."""
    latent = load_latent(BASE).latent([anchor.prompt for anchor in load_anchors()])
    totals = [
        float(fisher_information(latent.demand, latent.difficulty, ability).sum())
        for ability in _ABILITIES
    ]
    return table(
        ["true general ability", *(f"{ability:d}".replace("-", "−") for ability in _ABILITIES)],
        [
            ["Fisher information of all anchors", *(f"{total:.1f}" for total in totals)],
            [
                "standard deviation left, with a standard normal prior",
                *(f"{(total + 1) ** -0.5:.2f}" for total in totals),
            ],
        ],
    )


def anchor_difficulties() -> str:
    """A sentence of how hard the anchors are, beside the training prompts."""
    scorer = load_latent(BASE)
    anchors = scorer.latent([anchor.prompt for anchor in load_anchors()]).difficulty
    training = np.array(scorer.card.typical)[:, -1]
    ours, theirs = (
        ", ".join(f"{value:.2f}".replace("-", "−") for value in np.quantile(each, np.arange(5) / 4))
        for each in (anchors, training)
    )
    return (
        f"Difficulties under `{scorer.name}` {scorer.version}, least, quartiles and greatest: "
        f"of the {len(anchors)} anchors {ours}; of training prompts {theirs}."
    )


def unseen_model_row(field: Field) -> list[str]:
    """A model nobody knows, fitted from few answers: what is lost against all train answers.

    Each model of the data takes its turn: it is known by its price alone and fitted from prompts
    drawn at random, all others from all train prompts.

    Args:
        field: Data with costs.
    """
    scorer = load_latent(BASE)
    names = tuple(f"unseen-{m}" for m in range(len(field.train.models)))
    answers = replace(field.train, models=names)
    pool = ModelPool(
        [model.model_copy(update={"name": n}) for n, model in zip(names, field.pool(), strict=True)]
    )
    latent = scorer.latent(field.test.prompts)

    def aiq(members: Sequence[Model]) -> Floats:
        estimates = scorer.estimate_latent(latent, ModelPool(list(members)))
        return field.aiq(estimates.quality, estimates.cost)

    known = list(fit_abilities(pool, answers, scorer))
    best = aiq(known)
    lost = []
    for m, stranger in enumerate(pool):
        of_it = [
            best - aiq([*known[:m], _few(stranger, answers, 1000 * m + draw), *known[m + 1 :]])
            for draw in range(_UNSEEN_MODEL_DRAWS)
        ]
        lost.append(np.mean(of_it, axis=0))
    worst = int(np.argmax([one[0] for one in lost]))
    figures = [shown(each) for each in (best, field.zero, field.oracle)]
    losses = [shown(each, "+.4f") for each in (pooled(np.stack(lost)), lost[worst])]
    return [field.name, str(len(names)), *figures, *losses]


def _few(model: Model, answers: Outcomes, seed: int) -> Model:
    rows = np.random.default_rng(seed).choice(len(answers), _FEW, replace=False)
    (fitted,) = fit_abilities(ModelPool([model]), answers.select(rows), BASE)
    return fitted


@click.command()
@click.argument("data", nargs=-1, required=True, metavar="FOLDER[=PART]…")
@click.option("--draws", type=click.IntRange(2), default=10, show_default=True,
              help="How often answers are drawn.")  # fmt: skip
@click.option("--answers", "sizes", multiple=True, type=click.IntRange(1), default=(50, 100, 300),
              show_default=True, help="How many.")  # fmt: skip
@click.option("--unseen", multiple=True, help="Folders to leave categories out on.")
@click.option("--write", "page", type=click.Path(dir_okay=False, path_type=Path))
def main(
    data: tuple[str, ...],
    draws: int,
    sizes: tuple[int, ...],
    unseen: tuple[str, ...],
    page: Path | None,
) -> None:
    """Measure on FOLDERs of outcomes, or on the PART of one that categories name."""
    start = time.perf_counter()
    unseen_models, local = [], []
    categories: list[list[str]] = []
    for one in data:
        field = Field.read(one)
        if field.test.cost is not None:
            unseen_models.append(unseen_model_row(field))
            click.echo(f"{unseen_models[-1]} {time.perf_counter() - start:.0f} s")
        if Path(one).name in unseen:
            categories += unseen_rows(field)
            click.echo(f"{categories[-2:]} {time.perf_counter() - start:.0f} s")
        for row in local_rows(field, draws, sizes):
            local.append(row)
            click.echo(f"{row} {time.perf_counter() - start:.0f} s")
    found = {
        "anchors": f"{anchor_difficulties()}\n\n{anchor_table()}",
        "unseen model": table(UNSEEN_MODEL_HEADS, unseen_models),
        "few answers": f"{draws} draws.\n\n{table(LOCAL_HEADS, local)}",
        "unseen categories": table(UNSEEN_HEADS, categories),
    }
    if page is None:
        click.echo("\n\n".join(found.values()))
        return
    from examples.reproduce.router_comparison import put_between

    for name, text in found.items():
        put_between(page, BEGIN.format(name), END.format(name), text)


if __name__ == "__main__":
    main()
