"""Evaluation of outcomes that are too many for one process to read: Ray Data, extra `ray`.

The work that grows with the texts is done where a shard is read: parsing, scoring, and the replay
through the router's own code. What comes back is numbers alone, some hundred bytes a prompt and
model, and the figures are made of them by the same code as in `evaluate`, on the same replicates.
"""

from __future__ import annotations

import os
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ConfigurationError, LLMRouteError, MissingExtra
from llmroute.evaluation.evaluator import evaluate
from llmroute.evaluation.replayer import Progress, Replayed, joined, replayed, router_run
from llmroute.evaluation.report import Report
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.table import Split
from llmroute.routing.router import Router


def evaluate_sharded(
    router: Router,
    shards: Iterable[str | Path],
    *,
    split: Split | None = "test",
    train: Outcomes | None = None,
    name: str = "llmroute",
    progress: Progress | None = None,
    **settings: Any,
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
        progress: Told the step, how much of it is done, and how much there is.
        settings: `replicates`, `seed`, `limits` and `command`, as of `evaluate`.

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
    tables, replays = zip(*(pickle.loads(row["numbers"]) for row in rows), strict=True)
    outcomes = _joined_outcomes(tables)
    run = router_run(router, outcomes, name=name, known=_joined_replays(replays))
    return evaluate(
        run,
        outcomes,
        train=None if train is None else train.only(router.pool.names),
        name=name,
        classic=False,
        progress=progress,
        **settings,
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
        """The outcomes without their texts, and what the router made of them."""
        outcomes = Outcomes.read(path, self._split).only(self._router.pool.names).complete()
        found = replayed(self._router, outcomes)
        ids, categories, models = outcomes.prompt_ids, outcomes.categories, outcomes.models
        numbers = Outcomes(ids, ids, categories, models, outcomes.score, outcomes.cost)
        estimates = replace(found.estimates, output_cost=None, output_range=None)
        return pickle.dumps((numbers, replace(found, estimates=estimates)))


def _joined_outcomes(parts: Sequence[Outcomes]) -> Outcomes:
    ids = tuple(name for part in parts for name in part.prompt_ids)
    again = [name for name, count in Counter(ids).items() if count > 1]
    if again:
        raise ConfigurationError(
            f"the prompt {again[0]!r} stands in two shards; keep all answers to a prompt in one."
        )
    costs = [part.cost for part in parts if part.cost is not None]
    if 0 < len(costs) < len(parts):
        raise ConfigurationError(
            f"{len(parts) - len(costs)} of {len(parts)} shards have no costs and the others have. "
            "Give costs in all of them, or in none."
        )
    return Outcomes(
        prompts=ids,
        prompt_ids=ids,
        categories=tuple(name for part in parts for name in part.categories),
        models=parts[0].models,
        score=np.concatenate([part.score for part in parts]),
        cost=np.concatenate(costs) if costs else None,
        source=f"{len(parts)} shards",
    )


def _joined_replays(parts: Sequence[Replayed]) -> Replayed:
    return Replayed(
        joined([part.estimates for part in parts]),
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("allowed", "calls", "score", "cost")
        ),
    )
