"""A router's estimates, corrected by a few local answers; saved as a plain folder, never a pickle.

FOLDER/
local.json    the base router and its hashes, the models, what it was fitted on, the mixing
weights.npz   the corrections' weights, and the scales of the features

With no answers it is the base router, to the bit. With more, it departs from it as far as the
answers speak for that; see `llmroute.scoring.hierarchical_fit`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats, logit, sigmoid
from llmroute.pool import ModelPool
from llmroute.records import Estimates
from llmroute.scoring.artifact import Section, read_folder, write_artifact
from llmroute.scoring.hierarchical_fit import Block, Weights, fit_weights
from llmroute.scoring.latent import Latent, LatentAbilityScorer
from llmroute.scoring.registry import LOCAL_CARD, load_latent
from llmroute.scoring.surface import surface_features
from llmroute.scoring.text import RoutingText, read_all

if TYPE_CHECKING:
    from llmroute.outcomes.outcomes import Outcomes


#: Version of the folder's layout; another version's folders are refused.
FORMAT = 1
WEIGHTS = "weights.npz"
_ARRAYS = ("shared", "own", "mean", "scale", "standing")

#: Standardised features are cut here, so that a prompt unlike all others moves no logit far.
_LONGEST = 3.0
#: A feature that varies less than this among the answered prompts is not stretched.
_LEAST_SCALE = 1e-3
#: Prior variance of a model's own level: small where the base was trained on all the models; else
#: about as large as abilities vary, and more where nothing was known of the model.
_LEVEL = {"fitted": 1.0, "stated": 1.0, "tier": 1.0, "price": 1.0, "neutral": 1.5}
_LEVEL_ALL_KNOWN = 0.2
#: Prior variances, shared and own, of the weights of what the graph says and of how a prompt looks:
#: small where the base was trained on all the models, larger where it only knows how able they are.
_LATENT_KNOWN, _SURFACE_KNOWN = (0.002, 0.001), (0.0005, 0.0003)
_LATENT_NEW, _SURFACE_NEW = (0.03, 0.015), (0.006, 0.004)
#: The same of the weight of the base's own logit.
_SCALE_KNOWN, _SCALE_NEW = (0.02, 0.005), (0.1, 0.05)
#: Categories are left out in at most this many groups when the mixing is learned, and a category
#: of fewer prompts than this is no group of its own.
_GROUPS, _FEW = 5, 20
#: From fewer groups little can be learned of other categories, and nothing is drawn in.
_LEAST_GROUPS = 4


class LocalCard(Section):
    """What `local.json` holds."""

    format: int
    base: str
    base_sha256: dict[str, str]
    models: tuple[str, ...]
    answers: int = Field(ge=0)
    prompts: int = Field(ge=0)
    source: str
    mixing: float = Field(ge=0, le=1)
    weights_sha256: str


@dataclass(frozen=True)
class _Scales:
    """Mean and scale of the D − 1 features among the answered prompts."""

    mean: Floats
    scale: Floats

    def of(self, raw: Floats) -> Floats:
        """(P, D − 1) standardised features, the first of them 1."""
        result: Floats = np.clip((raw - self.mean) / self.scale, -_LONGEST, _LONGEST)
        result[:, 0] = 1.0
        return result


class LocalScorer:
    """A base router and what local answers changed. Thread-safe. Made by `fit` or `load`.

    A model of the pool without local answers gets the correction that all models share.
    """

    name = "local"

    def __init__(
        self, base: LatentAbilityScorer, card: LocalCard, arrays: Mapping[str, Floats]
    ) -> None:
        self.base, self.card, self.models = base, card, card.models
        self.mixing, self.answers = card.mixing, card.answers
        self._arrays = {name: arrays[name] for name in _ARRAYS}
        shared, own, mean, scale, self._prior = self._arrays.values()
        self._weights, self._scales = Weights(shared, own), _Scales(mean, scale)
        self._column = {model: m for m, model in enumerate(self.models)}
        digest = hashlib.sha256(f"{base.card.sha256} {self.mixing} {self.models}".encode())
        for array in self._arrays.values():
            digest.update(np.ascontiguousarray(array).tobytes())
        self.version = digest.hexdigest()[:12]

    @classmethod
    def fit(
        cls,
        outcomes: Outcomes,
        base: str | Path = "static",
        *,
        pool: ModelPool | None = None,
        cautious: bool = False,
    ) -> LocalScorer:
        """Corrects a router by local answers.

        Args:
            outcomes: The answers, missing cells allowed; without any, the base router comes back.
            base: Name or folder of the base router.
            pool: The models as the router will have them, with what is known of their abilities;
                by default known by their names alone.
            cautious: Whether differences between models are drawn to the models' means as far as
                is best on categories that took no part in the fit ("never below the floor"). It
                costs a part of what is gained on categories that did.

        Raises:
            ArtifactError: No such router.
            ConfigurationError: A model of the outcomes is not in the pool.
        """
        scorer = load_latent(base)
        members = ModelPool(list(outcomes.models)) if pool is None else pool
        members = ModelPool([members[name] for name in outcomes.models])
        answered = outcomes.select(~np.isnan(outcomes.score).all(axis=1))
        read = read_all(answered.prompts)
        latent = scorer.latent(read)
        raw = _raw_features(latent, read)
        logits = logit(scorer.estimate_latent(latent, members).quality)
        scales = _scales(raw)
        blocks = _blocks(scorer, members)
        features = scales.of(raw)
        weights = fit_weights(logits, features, answered.score, blocks)
        fitted = sigmoid(weights.add_to(logits, features))
        mixing = 1.0
        if cautious:
            mixing = _mixing(logits, features, answered.score, answered.categories, blocks)
        card = LocalCard(
            format=FORMAT,
            base=str(base),
            base_sha256=scorer.card.sha256,
            models=outcomes.models,
            answers=int((~np.isnan(answered.score)).sum()),
            prompts=len(answered),
            source=outcomes.source,
            mixing=mixing,
            weights_sha256="",
        )
        prior = fitted.mean(axis=0) if len(answered) else np.zeros(len(outcomes.models))
        arrays = weights.shared, weights.own, scales.mean, scales.scale, prior
        return cls(scorer, card, dict(zip(_ARRAYS, arrays, strict=True)))

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models."""
        read = read_all(prompts)
        latent = self.base.latent(read)
        before = self.base.estimate_latent(latent, pool)
        if not self.answers or not len(prompts):
            return before
        columns = [self._column.get(name) for name in pool.names]
        shared, none = self._weights.shared, np.zeros_like(self._weights.shared)
        own = np.stack([none if m is None else self._weights.own[m] for m in columns])
        features = self._scales.of(_raw_features(latent, read))
        quality = sigmoid(Weights(shared, own).add_to(logit(before.quality), features))
        prior = np.array(
            [
                before.prior_quality[k] if m is None else self._prior[m]
                for k, m in enumerate(columns)
            ]
        )
        return replace(
            before,
            quality=mixed(quality, prior, self.mixing),
            prior_quality=prior,
            scorer=f"{self.name} {self.version}",
        )

    def save(self, folder: str | Path) -> Path:
        """Writes the folder atomically.

        Returns:
            The folder's full path.

        Raises:
            ArtifactError: It cannot be written, or holds something else.
        """
        stream = io.BytesIO()
        np.savez(stream, **self._arrays)  # type: ignore[arg-type]

        def card(hashes: dict[str, str]) -> LocalCard:
            return self.card.model_copy(update={"weights_sha256": hashes[WEIGHTS]})

        return write_artifact(folder, {WEIGHTS: stream.getvalue()}, card, LOCAL_CARD)

    @classmethod
    def load(cls, folder: str | Path, base: str | Path | None = None) -> LocalScorer:
        """Reads a folder that `save` wrote, and the base router it names.

        Args:
            folder: The folder.
            base: Where the base router lies now, when not where it lay.

        Raises:
            ArtifactError: It is missing, damaged, of another format, or its base router is another
                than it was fitted on.
        """
        artifact = read_folder(
            folder,
            LocalCard,
            FORMAT,
            (WEIGHTS,),
            card_name=LOCAL_CARD,
            hashes=lambda card: {WEIGHTS: card.weights_sha256},
            missing="no local router at {path}: {fault}. LocalScorer.fit(…).save(folder) writes "
            "one.",
            anew="Fit it again with this version.",
        )
        card = artifact.card
        name = card.base if base is None else str(base)
        scorer = load_latent(name)
        if scorer.card.sha256 != card.base_sha256:
            raise ArtifactError(
                f"{artifact.folder} was fitted on another router than {name!r} is now (sha256 "
                "differs). Fit it again with LocalScorer.fit, or give the old router's folder as "
                "base."
            )
        width = 2 + scorer.card.dimensions + len(scorer.card.data) + len(scorer.card.features)
        models = len(card.models)
        shapes = [(width + 1,), (models, width + 1), (width,), (width,), (models,)]
        if [artifact.arrays.get(name, np.empty(0)).shape for name in _ARRAYS] != shapes:
            raise ArtifactError(
                f"{artifact.folder / WEIGHTS} is damaged: arrays of unexpected shape."
            )
        return cls(scorer, card.model_copy(update={"base": name}), artifact.arrays)


def mixed(quality: Floats, prior: Floats, mixing: float) -> Floats:
    """Draws the differences between models to those of their means; what all share stays.

    A choice by quality less cost depends on the differences alone: at 0 every prompt is treated
    alike, as the zero router does.

    Args:
        quality: (P, M) estimates.
        prior: (M,) the models' means.
        mixing: Part of the difference that is kept, 0..1.
    """
    if mixing == 1.0:
        return quality
    departure = quality - prior
    common = departure.mean(axis=1, keepdims=True)
    result: Floats = np.clip(prior + common + mixing * (departure - common), 0.0, 1.0)
    return result


def _mixing(
    logits: Floats,
    features: Floats,
    score: Floats,
    categories: Sequence[str],
    blocks: Sequence[Block],
) -> float:
    """Part of the estimated differences that categories left out of the fit bear out.

    The least-squares slope of recorded on estimated differences, in 0..1; 1 where there are too few
    categories to learn it from.
    """
    label = np.array(categories)
    names, sizes = np.unique(label, return_counts=True)
    names = names[np.argsort(-sizes, kind="stable")]
    groups = min(_GROUPS, int((sizes >= _FEW).sum()))
    if groups < _LEAST_GROUPS:
        return 1.0
    products = []
    for group in range(groups):
        held = np.isin(label, names[group::groups])
        weights = fit_weights(logits[~held], features[~held], score[~held], blocks)
        quality = sigmoid(weights.add_to(logits[held], features[held]))
        estimated = quality - sigmoid(weights.add_to(logits[~held], features[~held])).mean(axis=0)
        with np.errstate(invalid="ignore"):
            found = score[held] - np.nanmean(score[~held], axis=0)
        both = ~np.isnan(found).any(axis=1)
        estimated, found = (
            x[both] - x[both].mean(axis=1, keepdims=True) for x in (estimated, found)
        )
        products.append((float((estimated * found).sum()), float((estimated**2).sum())))
    along, square = np.array(products).T
    if square.sum() <= 0:
        return 0.0
    return float(np.clip(along.sum() / square.sum(), 0.0, 1.0))


def _raw_features(latent: Latent, read: Sequence[RoutingText]) -> Floats:
    """(P, D − 1): 1, what the router's graph says of the prompts, and how they look."""
    return np.column_stack(
        [
            np.ones(len(read)),
            latent.demand[:, 1:],
            latent.difficulty,
            np.log(latent.tokens),
            latent.source,
            surface_features([text.text for text in read]),
        ]
    )


def _scales(raw: Floats) -> _Scales:
    if not len(raw):
        return _Scales(np.zeros(raw.shape[1]), np.ones(raw.shape[1]))
    spread = raw.std(axis=0)
    return _Scales(raw.mean(axis=0), np.where(spread > _LEAST_SCALE, spread, 1.0))


def _blocks(scorer: LatentAbilityScorer, pool: ModelPool) -> tuple[Block, ...]:
    """The priors, chosen on training splits of recorded outcomes; docs/profile.md has the figures.

    Variances are of logits: features have a variance of 1.
    """
    sources = scorer.ability_source(pool)
    known = all(source == "fitted" for source in sources)
    levels = np.array([_LEVEL_ALL_KNOWN if known else _LEVEL[source] for source in sources])
    seen = 1 + scorer.card.dimensions + 1 + len(scorer.card.data)
    width = seen + len(scorer.card.features)
    latent = _LATENT_KNOWN if known else _LATENT_NEW
    surface = _SURFACE_KNOWN if known else _SURFACE_NEW
    scale = _SCALE_KNOWN if known else _SCALE_NEW
    return (
        Block("level", slice(0, 1), 0.25, levels, None),
        Block("latent", slice(1, seen), *latent, 10.0),
        Block("surface", slice(seen, width), *surface, 10.0),
        Block("scale", slice(width, width + 1), *scale, 4.0),
    )
