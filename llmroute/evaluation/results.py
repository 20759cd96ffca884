"""What an evaluation found: figures with intervals, curves, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmroute.evaluation.run import Unit
from llmroute.files import plain
from llmroute.metrics import Interval, ReliabilityBins
from llmroute.numerics import Floats


@dataclass(frozen=True)
class Evaluated:
    """One way to choose, measured.

    Attributes:
        name: What it is.
        metrics: Figure by name; see `llmroute.metrics` for what each means.
        curve: (N, 2) mean spend and mean quality at each setting of the parameter.
        band: (N, 2) 95 % interval of quality at each setting.
        parameter: (N,) the settings.
        setting: Row of the curve that is the router as configured, or None.
        categories: Category → mean quality at the setting that is reported.
    """

    name: str
    metrics: Mapping[str, Interval]
    curve: Floats
    band: Floats
    parameter: Floats
    setting: int | None = None
    categories: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """What it takes to get the same figures again.

    Attributes:
        command: The command line, or the call, that made the report.
        data: File → SHA-256.
        versions: Package → version.
        split: What was measured on, and what was fitted on what.
        replicates: Bootstrap replicates.
        seed: Their seed.
        made: When, ISO 8601, UTC.
    """

    command: str
    data: Mapping[str, str]
    versions: Mapping[str, str]
    split: str
    replicates: int
    seed: int
    made: str


@dataclass(frozen=True)
class Results:
    """A router measured on recorded outcomes, beside the baselines: what a report tells.

    Attributes:
        router: The router that was asked about.
        baselines: Name → the same for others: every single model, `random`, `zero`, `oracle`,
            `cheapest`, `knn`, `category`, and those that were asked for.
        unit: What spend is counted in.
        source: Name of the data.
        prompts: Prompts measured on.
        models: The models, in the outcomes' order.
        singles: Model → mean spend and mean quality.
        strongest: The best single model, the cheapest of equals: savings are of its bill.
        hull: (H, 2) the zero router: convex hull of the single models.
        categories: Category → prompts.
        reliability: Model → estimated against observed quality.
        limits: What these outcomes cannot tell.
        provenance: What it takes to get the same figures again.
    """

    router: Evaluated
    baselines: Mapping[str, Evaluated]
    unit: Unit
    source: str
    prompts: int
    models: tuple[str, ...]
    singles: Mapping[str, tuple[float, float]]
    strongest: str
    hull: Floats
    categories: Mapping[str, int]
    reliability: Mapping[str, ReliabilityBins]
    limits: str
    provenance: Provenance

    @property
    def metrics(self) -> Mapping[str, Interval]:
        """The router's figures."""
        return self.router.metrics

    @property
    def curve(self) -> Floats:
        """(N, 2) the router's mean spend and mean quality at each setting."""
        return self.router.curve

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON types; NaN, which JSON has not, becomes None."""
        content: dict[str, Any] = plain(self)
        return content
