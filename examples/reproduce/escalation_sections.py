"""The sections of the page on escalation, as lines of Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from examples.reproduce import escalation_votes as votes
from examples.reproduce.escalation_default import figures as figures_as_configured
from examples.reproduce.escalation_figures import NEVER, area, figures, plain_cascade
from examples.reproduce.escalation_picture import picture
from examples.reproduce.escalation_study import Study
from llmroute.evaluation.baselines import estimates_run, oracle_sweep, random_choice, zero_router
from llmroute.evaluation.markdown import markdown_table
from llmroute.evaluation.run import Run, strongest
from llmroute.files import write_atomically
from llmroute.metrics.bootstrap import Interval, Resamples
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

#: USD that a good answer is worth in a sweep over all models; and steps of a sweep of a pair's.
VALUES_PER_ANSWER: Floats = np.geomspace(3e-4, 0.3, 17)
_PAIR_STEPS = 12
#: File name of the picture.
PICTURE = "escalation.png"
#: The plain cascade's chain, cheapest first.
PLAIN_CHAIN = ("gpt-4o-mini", "llama3.1-70b", "llama3.1-405b")
PAIR = ("gpt-4o-mini", "gpt-4o")
#: Styles of the weak model's samples, in the order of their turns: the better ones on train first.
MIXED = ("pot2", "cot2", "pot1", "cot1")
POLLS = (
    ("date", "gpt-3.5-turbo"),
    ("date", "llama-2-13b"),
    ("gsm", "llama-2-13b"),
    ("crepe", "llama-2-13b"),
)


def all_models(study: Study, pictures: Path | None = None) -> Iterator[str]:
    """The section on all nine models.

    Args:
        study: The data, and what was fitted.
        pictures: The folder for a picture; None for none.
    """
    outcomes = study.test
    resamples = Resamples(outcomes.prompt_ids)
    best = outcomes.models.index("llama3.1-405b")
    values = VALUES_PER_ANSWER
    ours = study.sweep("**llmroute, calibrated**", outcomes, values, study.calibration)
    rows = [
        ours,
        study.sweep("llmroute, not calibrated", outcomes, values, None),
        _prompt_only(study, outcomes),
        plain_cascade(outcomes, PLAIN_CHAIN),
        zero_router(outcomes),
        random_choice(outcomes),
        oracle_sweep(outcomes),
    ]
    assert outcomes.cost is not None
    yield "## All nine models of `cascades`"
    yield ""
    yield (
        f"{len(outcomes):,} test prompts. The best single model is {outcomes.models[best]}: "
        f"accuracy {outcomes.score[:, best].mean():.4f} at {outcomes.cost[:, best].mean():.3g} "
        "USD per prompt. Costs are shares of its cost."
    )
    yield ""
    yield (
        "The three rows of llmroute use one router, an `ensemble` trained on the train split. "
        "*Calibrated* and *not calibrated* plan drafts and checks; *prompt only* decides from the "
        "prompt's text and makes one call. The *plain confidence cascade* asks "
        f"{', '.join(PLAIN_CHAIN[:-1])} and {PLAIN_CHAIN[-1]} in turn and stops at the first whose "
        "confidence reaches a threshold."
    )
    yield ""
    yield markdown_table(
        (
            "router",
            "cost at its accuracy",
            "cost at 98 % of it",
            "accuracy within 85 % of its cost",
        ),
        (
            (f.name, _percent(f.same), _percent(f.nearly), _number(f.within))
            for f in (figures(run, outcomes, resamples, best, 0.98) for run in rows)
        ),
    )
    if pictures is not None:
        write_atomically(pictures / PICTURE, picture(rows[:5], outcomes))
        yield ""
        yield f"![Accuracy against cost]({pictures.name}/{PICTURE})"
    yield ""
    yield from _chosen(study, ours, best)


def _chosen(study: Study, run: Run, best: int) -> Iterator[str]:
    """The settings that train chooses, as they do on test."""
    trained = study.cross_fitted(VALUES_PER_ANSWER)
    before, outcomes = study.train, study.test
    assert before.cost is not None
    assert outcomes.cost is not None
    yield (
        "The figures above come from a sweep over all settings. A user has to choose one setting "
        "beforehand. Here the value of a good answer (λ, USD) is the least that reaches the goal "
        "on the train split, cross-fitted:"
    )
    yield ""
    rows = []
    for goal in (1.0, 0.98):
        enough = np.flatnonzero(trained.score.mean(axis=1) >= goal * before.score[:, best].mean())
        number = int(enough[0]) if len(enough) else len(VALUES_PER_ANSWER) - 1
        rows.append(
            (
                f"{goal:.0%} of the best single model",
                f"{VALUES_PER_ANSWER[number]:.2g}",
                f"{run.score[number].mean() / outcomes.score[:, best].mean():.1%}",
                f"{run.cost[number].mean() / outcomes.cost[:, best].mean():.1%}",
            )
        )
    yield markdown_table(("goal on train", "λ, USD", "accuracy on test", "cost on test"), rows)


def one_pair(study: Study) -> Iterator[str]:
    """The section on GPT-4o-mini and GPT-4o."""
    outcomes = study.test.only(list(PAIR))
    resamples, best = Resamples(outcomes.prompt_ids), strongest(outcomes)
    rows = _pair_runs(study, outcomes)
    yield f"## {PAIR[0]} and {PAIR[1]}"
    yield ""
    yield markdown_table(
        ("router", f"cost at {PAIR[1]}'s accuracy", "cost at 99 % of it"),
        (
            (f.name, _percent(f.same), _percent(f.nearly))
            for f in (figures(run, outcomes, resamples, best, 0.99) for run in rows)
        ),
    )


def _pair_runs(study: Study, outcomes: Outcomes) -> list[Run]:
    """Ours, prompt only, plain confidence and random, on a pair of which the first is the weak."""
    assert outcomes.cost is not None
    spend = outcomes.cost.mean(axis=0)
    low, high = float(spend.min()), float(spend.max())
    values = np.append(low * 1e-3, np.geomspace(low * 0.3, high * 60, _PAIR_STEPS))
    return [
        study.sweep("**llmroute, calibrated**", outcomes, values, study.calibration),
        _prompt_only(study, outcomes),
        plain_cascade(outcomes, outcomes.models),
        zero_router(outcomes),
    ]


def _prompt_only(study: Study, outcomes: Outcomes) -> Run:
    estimates = study.estimates(outcomes)
    return estimates_run("llmroute, prompt only", outcomes, estimates.quality, estimates.cost)


def all_pairs(study: Study) -> Iterator[str]:
    """The section on every pair of a weaker and a stronger model."""
    order = np.argsort(study.train.score.mean(axis=0), kind="stable").tolist()
    rows, won = [], 0
    for weak, strong in itertools.combinations(order, 2):
        names = [study.test.models[m] for m in (weak, strong)]
        outcomes = study.test.only(names)
        areas = [area(run, outcomes) for run in _pair_runs(study, outcomes)]
        is_best = areas[0] > max(areas[1:])
        won += is_best
        cells = (f"{value:.4f}" for value in areas)
        rows.append((f"{names[0]} → {names[1]}", *cells, "yes" if is_best else "no"))
    yield "## Every pair of a weaker and a stronger model"
    yield ""
    yield (
        "Area under the cost–quality curve (AIQ) from the cheaper to the dearer model's cost, "
        "without intervals. Which model is the weaker one is decided on the train split. Every "
        "router may also send all prompts to either model. Calibrated llmroute has the largest of "
        f"the four areas in {won} of {len(rows)} pairs."
    )
    yield ""
    yield markdown_table(
        (
            "pair",
            "llmroute, calibrated",
            "prompt only",
            "confidence cascade",
            "zero router",
            "best",
        ),
        rows,
    )


def as_configured(study: Study) -> Iterator[str]:
    """The section on the router as users have it."""
    yield "## The router as it is configured"
    yield ""
    yield (
        "`RouterChain(pool=pool, policy=CheapestAbove(quality=…))`, replayed through its own code: "
        "the bundled scorer `static`, abilities fitted on the train split. Quality and cost are "
        "shares of the best single model's. `auto` is the default; `auto, calibrated` has a "
        "calibration fitted on the train split. The column beside the cost says what the zero "
        "router pays for the same quality: the difference is what routing saves."
    )
    yield ""
    rows = []
    for label, models in (
        ("all nine", study.test.models),
        (" and ".join(PAIR), PAIR),
    ):
        for name, share, quality, cost, calls, zero in figures_as_configured(
            study.train, study.test, models
        ):
            written = (_percent(quality), _percent(cost), _percent(zero), f"{calls:.2f}")
            rows.append((label, name, f"{share:.0%}", *written))
    headings = ("pool", "escalation", "promised", "quality", "cost")
    yield markdown_table((*headings, "zero router's cost at that quality", "calls"), rows)


def sampling(data: Path) -> Iterator[str]:
    """The section on votes of a weak model's samples."""
    before = Outcomes.read(data, "train", samples=True)
    outcomes = Outcomes.read(data, "test", samples=True)
    yield "## Votes of a weak model, and GPT-4 where they are divided"
    yield ""
    yield (
        "What the rule `Disagreement` does: a weak model answers several times, the most frequent "
        "answer is returned, and GPT-4 is asked where the votes are divided. "
        f"Up to {votes.MOST} samples are taken, until the vote is decided (Beta rule, "
        f"{votes.SURE:.0%}). "
        "Styles: `cot` is chain of thought, `pot` is program of thought, with two prompts each; "
        "*mixed* takes them in turn and weights a vote by the accuracy of its style on the train "
        "split. Figures are means over 20 orders of the recorded samples. The area is the mean "
        "accuracy over all shares of GPT-4 calls."
    )
    yield ""
    rows = []
    for category, weak in POLLS:
        recorded = votes.polls(outcomes, category, weak)
        weights = votes.style_weights(votes.polls(before, category, weak))
        mixed = tuple(style for style in MIXED if style in recorded.styles)
        for styles in (mixed, *((style,) for style in mixed)):
            cast = votes.vote(recorded, styles, weights)
            run = votes.escalated("votes", recorded, cast)
            found = votes.vote_figures(run, recorded, cast)
            rows.append(
                (
                    f"{category}, {weak}",
                    "**mixed**" if len(styles) > 1 else styles[0],
                    _number(found.weak),
                    _number(found.strong),
                    _percent(found.share),
                    _number(found.quarter),
                    _number(found.area),
                    f"{found.samples:.1f}",
                )
            )
    yield markdown_table(
        (
            "data",
            "styles",
            "vote alone",
            "GPT-4 alone",
            "GPT-4 calls at its accuracy",
            "accuracy at 25 % GPT-4 calls",
            "area",
            "samples",
        ),
        rows,
    )


def _percent(figure: Interval) -> str:
    if figure.value > NEVER / 2:
        return "not reached"
    if figure.high > NEVER / 2:
        return f"{figure.value:.1%} [{figure.low:.1%}, not reached]"
    return f"{figure:.1%}"


def _number(figure: Interval) -> str:
    return "–" if np.isnan(figure.value) else f"{figure:.4f}"
