"""Estimates for prompts that took no part in the training of what estimates them.

The train prompts of one folder of two models are dealt to groups; a router trained on the other
groups, and on the train parts of the other folders, estimates each. `examples.reproduce.crossfit`
measures them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.outcomes import Outcomes
from llmroute.scoring.progress import Progress
from llmroute.training.checkpoints import Checkpoints
from llmroute.training.contextual import read_through
from llmroute.training.data import LEFT_OUT, TrainingSet, gather, without
from llmroute.training.encoders import Encoder, Pooled, TokenMeans
from llmroute.training.fit import Fitted, TrainingRun, fit
from llmroute.training.minilm_torch import MiniLM
from llmroute.training.settings import Settings
from llmroute.training.static import starting_vectors
from llmroute.training.transformer import encoder_graph

#: Vectors of some prompts, standardised as the prompts given second are.
Reader = Callable[[Ints, Ints], Encoder]

GROUPS = 5
_ROW_ARRAYS = ("surface", "score", "log_tokens", "tokens", "weight", "source", "validation")


@dataclass(frozen=True)
class Ground:
    """All prompts, and which of them are measured.

    Attributes:
        data: The train parts of all folders, and last the test part of the measured one.
        trained: (P,) True for the train parts.
        asked: (P,) True for the measured folder's train and test parts.
        ids: The P prompts' ids.
        pair: Columns of the weak and the strong model.
    """

    data: TrainingSet
    trained: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.bool_]
    ids: tuple[str, ...]
    pair: tuple[int, int]

    @classmethod
    def read(
        cls, folders: Sequence[Path], on: str, tokenizer: Tokenizer, weights: Mapping[str, float]
    ) -> Ground:
        """Reads the folders.

        Args:
            folders: Folders of outcomes.
            on: Name of the one to measure on.
            tokenizer: The routers' tokenizer.
            weights: Folder name → weight of its prompts in the loss.

        Raises:
            ConfigurationError: No folder of that name, or one of more or fewer than two models.
        """
        names = [folder.name for folder in folders]
        if on not in names:
            raise ConfigurationError(f"--on is one of {', '.join(names)}; {on!r} was given.")
        place = names.index(on)
        sources = [without(Outcomes.read(folder, "train"), LEFT_OUT) for folder in folders]
        if len(sources[place].models) != 2:
            raise ConfigurationError(
                f"{on} has {len(sources[place].models)} models; APGR compares two. Give a folder "
                "of two models."
            )
        test = without(Outcomes.read(folders[place], "test"), LEFT_OUT)
        everything = [*sources, test.only(sources[place].models)]
        each = [weights.get(name, 1.0) for name in (*names, on)]
        data = gather(everything, tokenizer, each, seed=0)
        asked = (data.source == place) | (data.source == len(folders))
        known = np.isfinite(data.score[asked])
        two = np.flatnonzero(known.any(axis=0))
        means = np.nanmean(data.score[data.source == place][:, two], axis=0)
        weak, strong = (int(m) for m in two[np.argsort(means)])
        ids = tuple(one for source in everything for one in source.prompt_ids)
        return cls(data, data.source < len(folders), asked, ids, (weak, strong))

    def groups_at_random(self) -> Ints:
        """(P,) group of the measured folder's train prompts, -1 for every other prompt."""
        group = np.full(len(self.data), -1)
        rows = np.flatnonzero(self.asked & self.trained)
        group[rows] = np.random.default_rng(0).permutation(len(rows)) % GROUPS
        return group

    def groups_by_category(self) -> Ints:
        """(P,) group of the measured folder's prompts, its test part among them; else -1.

        Categories are dealt in turn, the largest first.
        """
        category = np.array(self.data.category)
        names, sizes = np.unique(category[self.asked & self.trained], return_counts=True)
        dealt = names[np.argsort(-sizes, kind="stable")]
        group = np.full(len(self.data), -1)
        for number in range(GROUPS):
            group[self.asked & np.isin(category, dealt[number::GROUPS])] = number
        return group


def reader(
    encoder: str, ground: Ground, minilm: MiniLM, settings: Settings, progress: Progress
) -> Reader:
    """What reads the prompts, its vectors worked out once for all trainings.

    Args:
        encoder: `"static"` or `"minilm"`.
        ground: The prompts.
        minilm: The weights to start from.
        settings: Settings of the runs.
        progress: Told how far it has read.
    """
    ids = ground.data.ids
    if encoder == "static":
        table = starting_vectors(minilm, settings)
        return lambda rows, _: TokenMeans([ids[r] for r in rows], table, settings.token_dropout)
    vectors = read_through(encoder_graph(minilm.weights, settings.layers), ids, progress)

    def read(rows: Ints, like: Ints) -> Encoder:
        mean, scale = vectors[like].mean(axis=0), vectors[like].std(axis=0) + np.float32(1e-3)
        return Pooled(vectors[rows], mean, scale, settings.token_dropout)

    return read


def cross_fitted(
    ground: Ground, read: Reader, group: Ints, settings: Settings, progress: Progress
) -> Floats:
    """(P, 2) estimated quality of the weak and the strong model, NaN for prompts in no group.

    Args:
        ground: The prompts.
        read: What reads them.
        group: (P,) which group a prompt is in; what estimates it was trained on no prompt of it.
        settings: Settings of the runs.
        progress: Told how training goes.
    """
    quality = np.full((len(group), 2), np.nan)
    for number in range(GROUPS):
        kept = np.flatnonzero((group != number) & ground.trained)
        held = np.flatnonzero(group == number)
        part = select(ground.data, kept)
        training = kept[~part.validation]
        with tempfile.TemporaryDirectory() as folder:  # nothing is gone on from
            encoder, nowhere = read(kept, training), Checkpoints(Path(folder), "crossfit")
            fitted = fit(TrainingRun(part, settings, number, progress, nowhere), encoder)
        asked = select(ground.data, held)
        quality[held] = _quality(fitted, read(held, training), asked, part, ground.pair)
        progress("groups", number + 1, GROUPS)
    return quality


def select(data: TrainingSet, rows: Ints) -> TrainingSet:
    """Some prompts of a training set.

    Args:
        data: The set.
        rows: Which of them.
    """
    return replace(
        data,
        ids=[data.ids[row] for row in rows],
        category=[data.category[row] for row in rows],
        **{name: getattr(data, name)[rows] for name in _ROW_ARRAYS},
    )


def _quality(
    fitted: Fitted, encoder: Encoder, asked: TrainingSet, part: TrainingSet, pair: tuple[int, int]
) -> Floats:
    """(H, 2) probabilities of success as the scorer has them; see `llmroute.scoring.latent`."""
    with torch.inference_mode():
        vectors = encoder(np.arange(len(asked)))
        out = fitted.network(vectors, torch.from_numpy(asked.surface))
        source = torch.softmax(out.source, dim=1).numpy()
    measured = [
        np.isfinite(part.score[part.source == s][:, pair]).any(axis=0).all()
        for s in range(source.shape[1])
    ]
    demand = out.demand.numpy().astype(np.float64)
    demand[:, 0] = fitted.general_demand
    demand[:, 1:] *= source[:, measured].sum(axis=1, keepdims=True)
    difficulty = out.difficulty.numpy() + fitted.difficulty_shift
    logits = demand @ fitted.abilities[list(pair)].T - difficulty[:, None]
    quality: Floats = 0.5 * (1 + np.tanh(0.5 * logits))
    return quality
