"""What a router is worth on a source of which it saw neither a prompt nor a model.

For each folder a router is trained on the train parts of the others and measured on the folder's
own test part, between a strong and a weak model of it. Of the folder's models the router is told
the general ability that fits a few answers of its train part, as a user's own models are fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmroute.metrics import Resamples, apgr_replicates
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes
from llmroute.pool import Model, ModelPool
from llmroute.scoring.ability_fit import fit_ability
from llmroute.scoring.artifact import CARD
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.latent_folder import load
from llmroute.scoring.progress import quiet
from llmroute.training import Progress, Settings
from llmroute.training.train import train

#: Answers of the left-out folder's train part that tell how able its models are.
ANSWERS = 50
#: Where the weak models stand among the others, by their means on the train part.
WEAK_AT = {"lower quartile": 0.25, "median": 0.5}
REPLICATES = 1000
#: Not a router's figure: what knowing each prompt's difficulty would give.
KNOWN = "difficulty known"

#: How two qualities become one preference for the strong model: that the weak one fails, that the
#: strong one alone is right, or what it gains.
PREFERENCES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "failure": lambda weak, strong: 1.0 - weak,
    "win": lambda weak, strong: strong * (1.0 - weak),
    "gain": lambda weak, strong: strong - weak,
}


@dataclass(frozen=True)
class Pair:
    """Two models to choose between.

    Attributes:
        weak: Index of the weak one.
        strong: Index of the strong one.
        quantiles: Where the weak one stands among the others, keys of `WEAK_AT`.
    """

    weak: int
    strong: int
    quantiles: tuple[str, ...]


@dataclass(frozen=True)
class LeftOut:
    """A folder that a router was trained without.

    Attributes:
        name: The folder's name.
        train: Its train part: the models' means, and the answers their abilities are fitted on.
        test: Its test part, which is measured on.
        pairs: The pairs of models that are measured.
    """

    name: str
    train: Outcomes
    test: Outcomes
    pairs: tuple[Pair, ...]

    @classmethod
    def read(cls, folder: Path) -> LeftOut:
        """Reads a folder of outcomes.

        Args:
            folder: The folder.
        """
        known, asked = Outcomes.read(folder, "train"), Outcomes.read(folder, "test")
        return cls(folder.name, known, asked.only(known.models), pairs(known.score))


def pairs(score: Floats) -> tuple[Pair, ...]:
    """The strongest model against those at the lower quartile and the median of the means.

    Args:
        score: (P, M) scores of the train part, NaN where unknown.

    Returns:
        A single pair where there are two models.
    """
    order = np.argsort(np.nanmean(score, axis=0), kind="stable").tolist()
    *others, strong = order
    weak = {place: others[round(part * (len(others) - 1))] for place, part in WEAK_AT.items()}
    return tuple(
        Pair(one, strong, tuple(place for place in weak if weak[place] == one))
        for one in dict.fromkeys(weak.values())
    )


def routers_without(
    folders: Sequence[Path],
    work: Path,
    encoder: str = "static",
    *,
    weights: Mapping[str, float] | None = None,
    settings: Settings | None = None,
    progress: Progress = quiet,
) -> dict[str, LatentAbilityScorer]:
    """A router for each folder, trained on all others, and one trained on all of them.

    Args:
        folders: Folders of outcomes to train on.
        work: Where the routers are kept; one that lies there is not trained again.
        encoder: Kind of encoder.
        weights: Folder name → weight of its prompts in the loss.
        settings: Settings of the runs.
        progress: Told how training goes.

    Returns:
        The name of the folder left out → the router; `""` → the one trained on all.
    """
    found = {}
    for left_out in ("", *(folder.name for folder in folders)):
        used = [folder for folder in folders if folder.name != left_out]
        out = work / f"{encoder}-without-{left_out or 'none'}"
        if not (out / CARD).is_file():
            names = {folder.name for folder in used}
            train(
                used,
                out,
                encoder=encoder,
                settings=settings,
                weights={n: w for n, w in (weights or {}).items() if n in names},
                progress=progress,
            )
        found[left_out] = LatentAbilityScorer(load(out))
    return found


def unseen_models(scorer: LatentAbilityScorer, train: Outcomes, seed: int = 0) -> ModelPool:
    """A folder's models as a pool: general abilities from a few answers, nothing else known.

    Args:
        scorer: The router that shall route among them.
        train: Answers, of which `ANSWERS` prompts are drawn.
        seed: Seed of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(len(train))[:ANSWERS]
    answered = train.select(np.sort(drawn))
    latent = scorer.latent(answered.prompts)
    members = []
    for m, name in enumerate(answered.models):
        # A standard normal prior: abilities have standard deviation 1 over the training models.
        ability = fit_ability(
            latent.demand[:, :1], latent.difficulty, answered.score[:, m], np.ones(1)
        )
        members.append(Model(name, ability=float(ability[0])))
    return ModelPool(members)


def transfer(quality: Floats, folder: LeftOut, pair: Pair) -> dict[str, Floats]:
    """APGR between two models on the folder's test part.

    Beside a router's preferences stands one that knows how many of the folder's other models were
    right on the prompt, which is more than can be read off a text.

    Args:
        quality: (P, M) estimates for its test prompts and models.
        folder: The folder.
        pair: Two of its models.

    Returns:
        Preference → (R+1,) the figure on the sample, then on each bootstrap replicate.
    """
    score = folder.test.score[:, [pair.weak, pair.strong]]
    known = np.flatnonzero(~np.isnan(score).any(axis=1))
    weak, strong = score[known].T
    resamples = Resamples(folder.test.prompt_ids, REPLICATES).select(known)
    two = quality[known, pair.weak], quality[known, pair.strong]
    preferences = {name: preference(*two) for name, preference in PREFERENCES.items()}
    others = np.delete(folder.test.score, [pair.weak, pair.strong], axis=1)[known]
    if others.shape[1]:
        asked = ~np.isnan(others)
        preferences[KNOWN] = -np.where(asked, others, 0.0).sum(1) / np.maximum(asked.sum(1), 1)
    return {
        name: apgr_replicates(preferred, weak, strong, resamples)
        for name, preferred in preferences.items()
    }
