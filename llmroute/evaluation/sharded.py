"""Evaluation of outcomes that are too many for one process to read: Ray Data, extra `ray`.

The work that grows with the texts is done where a shard is read: parsing, scoring, and the replay
through the router's own code. What comes back is numbers alone, some hundred bytes a prompt and
model, and the figures are made of them by the same code as in `evaluate`, on the same replicates.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ConfigurationError, LLMRouteError, MissingExtra
from llmroute.evaluation.evaluator import evaluate
from llmroute.evaluation.replayer import Progress, Replayed, joined, replayed, router_run
from llmroute.evaluation.report import Report
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.table import Split
from llmroute.records import Estimates
from llmroute.routing.router import Router

_ESTIMATES: tuple[str, ...] = ("quality", "cost", "tokens", "latency")
_ESTIMATES += ("prompt_tokens", "unfamiliar", "prior_quality")
_REPLAYED = ("allowed", "calls", "score", "cost")


def evaluate_sharded(
    router: Router,
    shards: Iterable[str | Path],
    *,
    split: Split | None = "test",
    train: Outcomes | None = None,
    name: str = "llmroute",
    replicates: int = 1000,
    seed: int = 0,
    limits: str = "",
    command: str = "",
    progress: Progress | None = None,
) -> Report:
    """`evaluate` over shards that are read and replayed by Ray's workers.

    The figures are those of `evaluate` on all shards together. Ray's cluster is the one that is
    connected, or one on this machine. Every number of every prompt comes to this process: count on
    3 kB a prompt for ten models and a hundred settings.

    Args:
        router: The router. Its scorer must be a name or a folder, or one that can be pickled.
        shards: Folders of parquet files, or log files, each as `Outcomes.read` takes it. All
            answers to a prompt stand in one shard.
        split: The split to measure on.
        train: What the category prior is fitted on; without it, it is cross-fitted by the prompts'
            ids, since texts do not come back.
        name: What the router is called in the report.
        replicates: Bootstrap replicates.
        seed: Seed of the bootstrap.
        limits: What these outcomes cannot tell, for the report.
        command: How this evaluation is run again, for the report.
        progress: Told the step, how much of it is done, and how much there is.

    Returns:
        The figures, curves and their origin.

    Raises:
        ConfigurationError: No shard, a shard that cannot be read, or a prompt in two shards.
        MissingExtra: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use unless told not to
    try:
        import ray.data
    except ImportError:
        raise MissingExtra("Evaluating shards", "ray") from None
    paths = [str(path) for path in shards]
    if not paths:
        raise ConfigurationError("no shard was given; give folders or files of outcomes.")
    work = ray.data.from_items(
        [{"place": place, "path": path} for place, path in enumerate(paths)],
        override_num_blocks=len(paths),
    ).map(_Shard(router, split))
    rows = []
    for row in work.iter_rows():
        rows.append(row)
        if progress is not None:
            progress("replaying shards", len(rows), len(paths))
    rows.sort(key=lambda row: row["place"])
    faults = [row["fault"] for row in rows if row["fault"]]
    if faults:
        raise ConfigurationError(" ".join(faults[:3]))
    parts = [_read(row["numbers"]) for row in rows]
    outcomes = _outcomes(parts, router.pool.names)
    run = router_run(router, outcomes, name=name, known=_replayed(parts, router))
    return evaluate(
        run,
        outcomes,
        train=None if train is None else train.only(router.pool.names),
        name=name,
        replicates=replicates,
        seed=seed,
        classic=False,
        limits=limits,
        command=command,
        progress=progress,
    )


class _Shard:
    """One shard's work, as Ray sends it to its workers."""

    def __init__(self, router: Router, split: Split | None) -> None:
        self._router, self._split = router, split

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """From a shard's path to its numbers, or to what is wrong with it."""
        try:
            return {"place": row["place"], "numbers": self._numbers(row["path"]), "fault": ""}
        except LLMRouteError as fault:  # Ray would wrap it in an error of its own
            return {"place": row["place"], "numbers": b"", "fault": f"{row['path']}: {fault}"}

    def _numbers(self, path: str) -> bytes:
        outcomes = Outcomes.read(path, self._split).only(self._router.pool.names).complete()
        found = replayed(self._router, outcomes)
        arrays = {
            "prompt_ids": np.array(outcomes.prompt_ids, dtype=np.str_),
            "categories": np.array(outcomes.categories, dtype=np.str_),
            "own_score": outcomes.score,
            **({} if outcomes.cost is None else {"own_cost": outcomes.cost}),
            **{f"estimated_{name}": getattr(found.estimates, name) for name in _ESTIMATES},
            **{name: getattr(found, name) for name in _REPLAYED},
            "scorer": np.array(found.estimates.scorer),
        }
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        return packed.getvalue()


def _read(packed: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return dict(arrays)


def _together(parts: Sequence[Mapping[str, Any]], name: str) -> Any:
    return np.concatenate([part[name] for part in parts])


def _outcomes(parts: Sequence[Mapping[str, Any]], models: tuple[str, ...]) -> Outcomes:
    ids = _together(parts, "prompt_ids").tolist()
    if len(set(ids)) < len(ids):
        again = next(name for name in ids if ids.count(name) > 1)
        raise ConfigurationError(
            f"the prompt {again!r} stands in two shards; keep all answers to a prompt in one."
        )
    priced = ["own_cost" in part for part in parts]
    if any(priced) and not all(priced):
        raise ConfigurationError(
            f"{priced.count(False)} of {len(parts)} shards have no costs and the others have. Give "
            "costs in all of them, or in none."
        )
    return Outcomes(
        prompts=tuple(ids),
        prompt_ids=tuple(ids),
        categories=tuple(_together(parts, "categories").tolist()),
        models=models,
        score=_together(parts, "own_score"),
        cost=_together(parts, "own_cost") if all(priced) else None,
        source=f"{len(parts)} shards",
    )


def _replayed(parts: Sequence[Mapping[str, Any]], router: Router) -> Replayed:
    estimates = [
        Estimates(
            models=router.pool.names,
            scorer=str(part["scorer"]),
            **{name: part[f"estimated_{name}"] for name in _ESTIMATES},
        )
        for part in parts
    ]
    return Replayed(joined(estimates), **{name: _together(parts, name) for name in _REPLAYED})
