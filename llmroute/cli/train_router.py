"""What `llmroute train --router` does: read, train, measure on the test split, show."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmroute.errors import ConfigurationError
from llmroute.scoring.artifact import DataSource, Metric, digest

if TYPE_CHECKING:
    from llmroute.evaluation import Outcomes, Report
    from llmroute.outcomes.table import Split
    from llmroute.routers.base import Progress
    from llmroute.routers.preferences import Preferences
    from llmroute.scoring.router_folder import RouterCard

_SAMPLES = "samples.parquet"


@dataclass
class Trained:
    """A router's folder, and what was measured of it.

    Attributes:
        folder: Where it lies.
        card: Its card, figures included.
        reports: The evaluations beside the baselines, one for each of the outcomes.
        left_out: Data that could not be measured on → why.
    """

    folder: Path
    card: RouterCard
    reports: list[Report] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "folder": str(self.folder),
            "card": self.card.model_dump(mode="json"),
            "reports": [report.to_dict() for report in self.reports],
            "not_measured": self.left_out,
        }


def trained(
    router: str,
    data: Sequence[Path],
    out: Path,
    *,
    name: str | None,
    seed: int,
    told: Progress,
    labels: str,
    features: str,
    **options: Any,
) -> Trained:
    """Train a router on the train split and measure it on the test split, which is read once.

    Args:
        router: Which.
        data: Files and folders of outcomes or of comparisons.
        out: The folder to write.
        name: Name for the card.
        seed: Seed of everything random.
        told: Told how training goes.
        labels: The label mode.
        features: What the router sees of a prompt.
        options: What this router takes besides.

    Raises:
        ConfigurationError: Data that cannot be read or learned from.
        MissingExtra: A package that is needed is not installed.
        ArtifactError: The folder cannot be written.
    """
    from llmroute.routers import train
    from llmroute.scoring.router_folder import read, with_metrics

    told("reading", 0, len(data), "")
    several = labels in ("soft", "shifted")
    lessons = [_read(path, "train", samples=several) for path in data]
    told("reading", len(data), len(data), "")
    sources = [_source(path, one) for path, one in zip(data, lessons, strict=True)]
    train(
        router,
        lessons,  # type: ignore[arg-type]  # a list of both kinds is refused there
        out,
        name=name,
        labels=labels,  # type: ignore[arg-type]
        features=features,
        seed=seed,
        sources=sources,
        progress=told,
        **options,
    )
    found = Trained(Path(out).resolve(), read(out).card)
    figures: dict[str, Metric] = {}
    for done, (path, lesson) in enumerate(zip(data, lessons, strict=True)):
        told("test split", done, len(data), path.name)
        figures.update(_measured(path, lesson, found))
    told("test split", len(data), len(data), "")
    found.card = with_metrics(out, figures).card
    return found


def report(found: Trained) -> None:
    """Shows the card's figures, the evaluations, and how to use the router.

    Args:
        found: The trained router.
    """
    from llmroute.cli.eval_command import listing
    from llmroute.cli.render import figures, terminal

    console = terminal()
    card = found.card
    prompts = sum(source.prompts for source in card.data)
    title = (
        f"{card.name} {card.version} ({card.router}): {len(card.models)} models, {prompts:,} "
        f"prompts from {', '.join(source.name for source in card.data)}"
    )
    console.print(figures(card.metrics, title))
    for one in found.reports:
        console.print(listing(one, console.width))
    for name, why in found.left_out.items():
        console.print(f"Not measured on {name}: {why}", style="yellow", markup=False)
    # One line whatever the width, so that it can be pasted.
    members = " ".join(f"-m {shlex.quote(model)}" for model in card.models)
    folder = shlex.quote(str(found.folder))
    console.print(
        f'Use it: llmroute decide --scorer {folder} {members} "…"', markup=False, soft_wrap=True
    )


def _read(path: Path, split: Split, *, samples: bool = False) -> Outcomes | Preferences:
    from llmroute.evaluation import Outcomes
    from llmroute.routers.preferences import is_preferences, read_preferences

    if is_preferences(path):
        return read_preferences(path, split)
    return Outcomes.read(path, split, samples=samples and (path / _SAMPLES).is_file())


def _source(path: Path, lessons: Outcomes | Preferences) -> DataSource:
    from llmroute.evaluation import Outcomes

    return DataSource(
        name=path.stem if path.is_file() else path.name,
        prompts=len(lessons.prompts),
        cells=int((lessons.score == lessons.score).sum())
        if isinstance(lessons, Outcomes)
        else len(lessons),
        sha256={file.name: digest(file) for file in _files(path)},
    )


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob("*.parquet"))


def _measured(path: Path, train: Outcomes | Preferences, found: Trained) -> dict[str, Metric]:
    """Figures on the test split; what cannot be measured is noted."""
    from llmroute.evaluation import Outcomes
    from llmroute.evaluation.card_metrics import card_figures, comparison_figures, report_on
    from llmroute.routers import load
    from llmroute.routers.preferences import Preferences

    scorer = load(found.folder)
    try:
        test = _read(path, "test")
        if isinstance(test, Preferences):
            assert isinstance(train, Preferences)  # one file is of one kind
            return comparison_figures(scorer, test, train)
        assert isinstance(train, Outcomes)
        shared = [name for name in test.models if name in train.models]
        made = report_on(scorer, test.only(shared), train.only(shared))
    except ConfigurationError as fault:  # no test prompts, or too few models on them
        found.left_out[path.name] = str(fault)
        return {}
    found.reports.append(made)
    return card_figures(made)
