"""`evaluate`: a router and the baselines on the same recorded outcomes, as one report."""

from __future__ import annotations

import hashlib
import platform
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.evaluation import baselines
from llmroute.evaluation.figures import Ground, Measured, evaluated, measured
from llmroute.evaluation.predictive_baselines import classic_runs
from llmroute.evaluation.replayer import Progress, router_run
from llmroute.evaluation.report import Report
from llmroute.evaluation.results import Provenance
from llmroute.evaluation.run import Run, run_of_choices, unit_of
from llmroute.evaluation.simulated_cascade import cascades
from llmroute.metrics import Resamples, convex_hull, reliability_bins
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import names_to_indices
from llmroute.routing.router import Router

#: A peer's router: prompts in, the names of the models it would ask out.
Chooser = Callable[[Sequence[str]], Sequence[str]]
#: Whatever says which model is asked.
Routes = Router | Chooser | Sequence[str] | Run

#: Packages whose version can change a figure.
_PACKAGES = ("llmroute", "numpy", "onnxruntime", "tokenizers", "scikit-learn", "langchain-core")
#: Fewer prompts than this give intervals that say little.
_FEW = 100


def evaluate(
    router: Routes,
    outcomes: Outcomes,
    *,
    train: Outcomes | None = None,
    name: str = "llmroute",
    replicates: int = 1000,
    seed: int = 0,
    classic: bool = True,
    others: Mapping[str, Routes] | None = None,
    split: str = "",
    limits: str = "",
    command: str = "",
    files: Iterable[str | Path] = (),
    progress: Progress | None = None,
) -> Report:
    """Measure a router on recorded outcomes, beside the baselines. No model is called.

    A `RouterChain` is replayed through its own code as it is configured, and swept over its
    policy's parameter for the curve. Prompts that some model did not answer are left out, with a
    warning. All intervals are 95 % bootstrap intervals over prompts.

    Args:
        router: A `RouterChain`; or, for a router of another make, the names of the models it chose,
            one a prompt, or a function that gives them; or a finished `Run`.
        outcomes: What to measure on: a split that neither the router nor its settings were fitted
            on.
        train: What the baselines that learn are fitted on; without it they are cross-fitted on the
            outcomes themselves.
        name: What the router is called in the report.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap and of the baselines that draw.
        classic: Whether RouterBench's kNN, MLP and SVM routers and its cascades are measured too.
        others: Further routers to compare, by name.
        split: Which part of the data this is, and what the router was fitted on, for the report:
            that is not seen here.
        limits: What these outcomes cannot tell, for the report.
        command: How this evaluation is run again, for the report.
        files: Files the outcomes were read from; their hashes go into the report.
        progress: Told the step, how much of it is done, and how much there is.

    Returns:
        The figures, curves and their origin.

    Raises:
        ConfigurationError: A model without outcomes, fewer than two models, or no prompt that all
            models answered.
        MissingExtra: scikit-learn, which the classic routers need, is not installed.
    """
    tell = progress or (lambda step, done, total: None)
    whole = _complete(router, outcomes)
    learned_from = None if train is None else train.only(whole.models)
    tell("resampling", 0, 1)
    ground = Ground(whole, Resamples(whole.prompt_ids, replicates, seed))
    own = _run(name, router, whole, tell)
    everyone: dict[str, Measured] = {name: measured(ground, own)}
    for run in _runs(whole, learned_from, seed, classic, others or {}, tell):
        tell(f"measuring {run.name}", len(everyone), len(everyone) + 1)
        if run.name in everyone:
            raise ConfigurationError(
                f"two ways to choose are called {run.name!r}: models, baselines and routers stand "
                "in one table. Give the router, or the model in the outcomes, another name."
            )
        everyone[run.name] = measured(ground, run)
    figures = evaluated(ground, everyone, everyone[name].typical_spend)
    singles = ground.singles[0]
    return Report(
        router=figures.pop(name),
        baselines=figures,
        unit=unit_of(whole),
        source=whole.source,
        prompts=len(whole),
        models=whole.models,
        singles={m: (cost, q) for m, (cost, q) in zip(whole.models, singles.tolist(), strict=True)},
        strongest=whole.models[ground.strong],
        hull=convex_hull(singles),
        categories=dict(sorted(Counter(whole.categories).items())),
        reliability={}
        if own.quality is None
        else dict(
            zip(whole.models, map(reliability_bins, own.quality.T, whole.score.T), strict=True)
        ),
        limits=limits,
        provenance=Provenance(
            command=command,
            data=dict(_hashes(files, whole)),
            versions=dict(_versions()),
            split=_split(split, whole, learned_from),
            replicates=replicates,
            seed=seed,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
    )


def _complete(router: Routes, outcomes: Outcomes) -> Outcomes:
    """Prompts that all models answered; models that the router cannot ask are not compared."""
    if isinstance(router, Router):
        outcomes = outcomes.only(router.pool.names)
    whole = outcomes.complete()
    if len(outcomes.models) < 2 or not len(whole):
        raise ConfigurationError(
            f"{outcomes.source} has {len(outcomes.models)} models and {len(whole)} prompts that "
            "all of them answered; an evaluation needs at least 2 models and 1 such prompt."
        )
    if len(whole) < len(outcomes):
        warnings.warn(
            f"{len(outcomes) - len(whole):,} of {len(outcomes):,} prompts of {outcomes.source} are "
            "left out: some model has no score or cost there.",
            stacklevel=3,
        )
    if len(whole) < _FEW:
        warnings.warn(f"{len(whole)} prompts are few: the intervals will be wide.", stacklevel=3)
    return whole


def _run(name: str, router: Routes, outcomes: Outcomes, progress: Progress) -> Run:
    if isinstance(router, Run):
        return router
    if isinstance(router, Router):
        return router_run(router, outcomes, name=name, progress=progress)
    names = router(outcomes.prompts) if callable(router) else router
    choices = names_to_indices(outcomes, names)
    return run_of_choices(name, outcomes, choices[None], np.zeros(1), setting=0)


def _runs(
    outcomes: Outcomes,
    train: Outcomes | None,
    seed: int,
    classic: bool,
    others: Mapping[str, Routes],
    progress: Progress,
) -> Iterator[Run]:
    """The baselines, one at a time, since each holds a number for every prompt and setting."""
    for name, other in others.items():
        yield _run(name, other, outcomes, progress)
    yield from baselines.singles(outcomes)
    yield baselines.random_choice(outcomes)
    yield baselines.cheapest(outcomes)
    yield baselines.zero_router(outcomes)
    yield _best_setting(baselines.oracle_sweep(outcomes))
    yield baselines.category_prior(outcomes, train)
    if classic:
        progress("fitting kNN, MLP and SVM", 0, 1)
        yield from classic_runs(outcomes, train, kinds=("knn", "mlp", "svm"), seed=seed)
        yield from cascades(outcomes)


def _best_setting(run: Run) -> Run:
    """The oracle's run with the cheapest of its best settings as its own."""
    score, cost = run.score.mean(axis=1), run.cost.mean(axis=1)
    best = np.lexsort((cost, -score.round(12)))[0]
    return replace(run, setting=int(best), simulated=True)


def _split(stated: str, outcomes: Outcomes, train: Outcomes | None) -> str:
    """What was measured on and fitted on what, as far as it is known."""
    if train is None:
        learned = "baselines that learn are cross-fitted in 5 folds on the same prompts"
    else:
        both = len(set(train.prompts) & set(outcomes.prompts))
        learned = f"baselines that learn are fitted on {len(train):,} prompts, " + (
            f"of which {both:,} are measured on too" if both else "none of which is measured on"
        )
        if both:
            warnings.warn(
                f"{both:,} prompts stand in train and in what is measured: figures of what learned "
                "from them are too good. Give other prompts as train.",
                stacklevel=3,
            )
    return f"{stated}; {learned}" if stated else learned


def _hashes(files: Iterable[str | Path], outcomes: Outcomes) -> Iterator[tuple[str, str]]:
    for file in files:
        with Path(file).open("rb") as opened:
            yield Path(file).name, hashlib.file_digest(opened, "sha256").hexdigest()
    # What was measured on, whatever it was read from.
    names = "\0".join((*outcomes.models, *outcomes.prompt_ids))
    digest = hashlib.sha256(names.encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(outcomes.score).tobytes())
    if outcomes.cost is not None:
        digest.update(np.ascontiguousarray(outcomes.cost).tobytes())
    yield "ids, models, scores and costs", digest.hexdigest()


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            yield package, version(package)
