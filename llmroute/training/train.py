"""From folders of outcomes to a router's folder."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from llmroute._version import __version__
from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.numerics import Floats, Ints, sigmoid
from llmroute.outcomes.outcomes import Outcomes
from llmroute.outcomes.splits import VALIDATION_SHARE
from llmroute.outcomes.table import OUTCOMES, PROMPTS
from llmroute.scoring import latent_folder
from llmroute.scoring.artifact import MODEL, TOKENIZER, DataSource, digest
from llmroute.scoring.latent import GraphOutput
from llmroute.scoring.latent_folder import Artifact, Card
from llmroute.scoring.progress import Progress, quiet
from llmroute.scoring.session import open_graph, open_tokenizer
from llmroute.scoring.surface import FEATURES
from llmroute.scoring.text import BUDGET, HEAD_SHARE
from llmroute.training import card_numbers
from llmroute.training.checkpoints import Checkpoints
from llmroute.training.contextual import MiniLMRecipe
from llmroute.training.data import LEFT_OUT, TrainingSet, gather, without
from llmroute.training.encoders import Encoder
from llmroute.training.fit import Fitted, TrainingRun, fit
from llmroute.training.measure import test_metrics, validation_metrics
from llmroute.training.minilm_torch import MiniLM, load_minilm
from llmroute.training.settings import Settings
from llmroute.training.static import StaticRecipe

#: Part of the validation prompts that may be called unfamiliar.
UNFAMILIAR_QUANTILE = 0.98
#: Largest difference in a logit that quantising the table may make on a validation prompt, at the
#: 99.9th percentile.
_LOGIT_TOLERANCE = 0.05


class _Recipe(Protocol):
    """How one kind of encoder is trained on and exported."""

    @property
    def encoder(self) -> Encoder:
        """The training prompts' vectors."""
        ...

    def graph(self, fitted: Fitted) -> bytes:
        """The content of `model.onnx`."""
        ...


_RECIPES: dict[str, Callable[[TrainingRun, MiniLM], _Recipe]] = {
    "static": StaticRecipe,
    "minilm": MiniLMRecipe,
}


def train(
    data: Sequence[str | Path],
    out: str | Path,
    *,
    encoder: str = "static",
    name: str | None = None,
    version: str = "1",
    seed: int = 0,
    settings: Settings | None = None,
    weights: Mapping[str, float] | None = None,
    left_out: Sequence[str] = LEFT_OUT,
    progress: Progress = quiet,
) -> Artifact:
    """Trains a router on recorded outcomes and writes its folder.

    Only prompts whose split is `train` are trained on. A tenth of them, by hash, is kept for early
    stopping and calibration. The test split is read once, at the end, for the card's figures.

    What is done is kept in a folder beside `out`, `.NAME-checkpoint`, until training is finished:
    after an interruption the same call goes on from it.

    Args:
        data: Folders of `prompts.parquet` and `outcomes.parquet`.
        out: The folder to write; a router that is there is replaced.
        encoder: Kind of encoder: `"static"`, microseconds a text, or `"minilm"`, milliseconds.
        name: Name for the card; the output folder's name by default.
        version: Version for the card.
        seed: Seed of everything random.
        settings: Settings of the run.
        weights: Folder name → weight of its prompts in the loss; 1 where nothing is said.
        left_out: Categories with one of these in their name are not trained on.
        progress: Told how training goes.

    Raises:
        ConfigurationError: A folder that cannot be read, too few prompts, an unknown encoder.
        MissingExtra: A package that training needs is not installed.
        ArtifactError: The exported graph differs from the network, or cannot be written.
    """
    if encoder not in _RECIPES:
        raise ConfigurationError(f"encoder is one of {', '.join(_RECIPES)}; {encoder!r} was given.")
    if not data:
        raise ConfigurationError("training needs at least one folder of outcomes.")
    settings = settings or Settings()
    folders = [Path(folder) for folder in data]
    sources = [without(Outcomes.read(folder, "train"), left_out) for folder in folders]
    minilm = load_minilm()
    tokenizer = minilm.tokenizer.read_bytes()
    by_name = weights or {}
    unknown = sorted(set(by_name) - {folder.name for folder in folders})
    if unknown or not all(0 < weight < float("inf") for weight in by_name.values()):
        raise ConfigurationError(
            f"weights are for the folders {', '.join(f.name for f in folders)} and above 0; "
            f"{by_name} was given."
        )
    each = [by_name.get(folder.name, 1.0) for folder in folders]
    training_set = gather(sources, open_tokenizer(tokenizer), each, seed)
    progress("prompts", len(training_set), len(training_set))
    fingerprint = _fingerprint(training_set, encoder, settings, seed, minilm.sha256)
    folder = Path(out).absolute()
    checkpoints = Checkpoints(folder.with_name(f".{folder.name}-checkpoint"), fingerprint)
    run = TrainingRun(training_set, settings, seed, progress, checkpoints)
    recipe = _RECIPES[encoder](run, minilm)
    fitted = fit(run, recipe.encoder)
    graph = recipe.graph(fitted)
    held = training_set.held
    output = _run_graph(graph, training_set, held)
    _verify(fitted, recipe.encoder, training_set, held, output)
    card = Card(
        format=latent_folder.FORMAT,
        name=name or Path(out).name,
        version=version,
        encoder=encoder,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        base=minilm.origin,
        data=tuple(_described(f, s) for f, s in zip(folders, sources, strict=True)),
        left_out=tuple(left_out),
        split=f"split == 'train'; of these {VALIDATION_SHARE:.0%} by hash kept for validation",
        settings={"seed": seed, "weights": dict(zip((f.name for f in folders), each, strict=True))}
        | asdict(settings)
        | {"epochs run": fitted.epochs},
        metrics=validation_metrics(
            sigmoid(_logits(fitted, output)),
            training_set.score[held].astype(np.float64),
            [sources[row].source for row in training_set.source[held]],
        ),
        features=FEATURES,
        budget=BUDGET,
        head_share=HEAD_SHARE,
        dimensions=fitted.abilities.shape[1],
        **_calibration(training_set, fitted, sources, held, output),
        sha256={},
    )
    files = {MODEL: graph, TOKENIZER: tokenizer}
    finished = latent_folder.save(out, card, files)
    checkpoints.delete()
    progress("test split", 0, 1)
    metrics = {**card.metrics, **test_metrics(finished, folders, left_out)}
    finished = latent_folder.save(out, card.model_copy(update={"metrics": metrics}), files)
    progress("test split", 1, 1)
    return finished


def _fingerprint(
    data: TrainingSet, encoder: str, settings: Settings, seed: int, minilm: str
) -> str:
    """What a run is: another one's checkpoints are of no use."""
    about = [__version__, torch.__version__, encoder, repr(settings), seed, minilm, data.models]
    digest = hashlib.sha256(json.dumps(about).encode())
    columns = (data.surface, data.score, data.log_tokens, data.weight, data.source, data.validation)
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    for ids in data.ids:
        digest.update(len(ids).to_bytes(8, "big") + ids.tobytes())
    return digest.hexdigest()


def _run_graph(graph: bytes, data: TrainingSet, rows: Ints) -> GraphOutput:
    session = open_graph(graph, GraphOutput._fields)
    parts = []
    for row in rows:
        ids = data.ids[row] if len(data.ids[row]) else np.zeros(1, np.int64)
        parts.append(
            session.run(
                GraphOutput._fields, {"token_ids": ids[None], "surface": data.surface[row][None]}
            )
        )
    return GraphOutput(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _verify(
    fitted: Fitted, encoder: Encoder, data: TrainingSet, rows: Ints, output: GraphOutput
) -> None:
    """Compares the graph with the network on validation prompts, before anything is saved."""
    with torch.inference_mode():
        out = fitted.network(encoder(rows), torch.from_numpy(data.surface[rows]))
    demand = out.demand.numpy().copy()
    demand[:, 0] = fitted.general_demand
    difficulty = out.difficulty.numpy() + fitted.difficulty_shift
    expected = demand @ fitted.abilities.T - difficulty[:, None]
    missed = np.abs(expected - _logits(fitted, output))
    worst = float(np.quantile(missed, 0.999))
    if worst > _LOGIT_TOLERANCE:
        raise ArtifactError(
            f"the exported graph differs from the network by {worst:.3f} in a logit, more than "
            f"{_LOGIT_TOLERANCE}. This is a fault of llmroute's export; please report it."
        )


def _calibration(
    data: TrainingSet, fitted: Fitted, sources: Sequence[Outcomes], held: Ints, output: GraphOutput
) -> dict[str, Any]:
    vectors = fitted.abilities
    abilities = {
        name: tuple(round(float(v), 5) for v in vector)
        for name, vector in zip(data.models, vectors, strict=True)
    }
    return {
        "abilities": abilities,
        "measured": _measured(data, [source.source for source in sources]),
        "tiers": card_numbers.tier_priors(vectors[:, 0]),
        "price": card_numbers.price_curve(sources, abilities),
        "neutral": 0.0,
        "typical": card_numbers.typical_rows(output),
        "tokens": card_numbers.token_calibration(data, held, output.log_tokens),
        "unfamiliar_above": float(np.quantile(output.distance, UNFAMILIAR_QUANTILE)),
        "unfamiliar_quantile": UNFAMILIAR_QUANTILE,
    }


def _measured(data: TrainingSet, sources: Sequence[str]) -> dict[str, tuple[str, ...]]:
    known = [np.isfinite(data.score[data.source == s]).any(axis=0) for s in range(len(sources))]
    return {
        model: tuple(name for name, asked in zip(sources, known, strict=True) if asked[m])
        for m, model in enumerate(data.models)
    }


def _logits(fitted: Fitted, output: GraphOutput) -> Floats:
    """(P, M) log odds of success of the training models."""
    logits: Floats = output.demand @ fitted.abilities.T - output.difficulty[:, None]
    return logits


def _described(folder: Path, outcomes: Outcomes) -> DataSource:
    return DataSource(
        name=folder.name,
        prompts=len(outcomes),
        cells=int((~np.isnan(outcomes.score)).sum()),
        sha256={name: digest(folder / name) for name in (PROMPTS, OUTCOMES)},
    )
