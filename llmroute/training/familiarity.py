"""How unlike the training prompts a text is: a Mahalanobis distance that knows about short texts.

A mean over little text varies more than one over much, so each direction j is compared with
B_j + W_j / n: its variance between training prompts plus that of single tokens within them, n
tokens being read. Without the second term every greeting would look strange. A text counts for at
least one token in five characters, because the tokeniser makes one of any word beyond 100
characters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.numerics import Floats, Floats32, Ints
from llmroute.scoring.surface import FEATURES
from llmroute.training.network import SURFACE_LIMIT, LatentNetwork

#: Surface features that say what kind of characters a text is made of, whatever its length.
_COMPOSITION = (
    "word_length",
    "not_ascii",
    "digits",
    "upper",
    "maths",
    "latex",
    "brackets",
    "quotes",
    "sentences",
    "commas",
)
#: Characters that count as one token at least. The table counts in it, and so it is whole.
CHARACTERS_PER_TOKEN = 5
#: Where the standardised share of foreign characters is cut for the distance: far enough out that
#: a text in a script that training never saw is told by that alone.
_FOREIGN_LIMIT = 10.0
#: Directions of the hidden layer's token mean that are kept: those of largest variance.
_HIDDEN_DIRECTIONS = 16
#: How much of a token's probability comes from its rank in the vocabulary, which WordPiece orders
#: by frequency in a large corpus; the rest comes from its count in the training prompts.
_RANK_PART = 0.5
#: Ids below this are special tokens and single characters, which are in no order of frequency.
_FIRST_WORD = 1996


@dataclass(frozen=True)
class Familiarity:
    """The distance, ready for the graph.

    Attributes:
        directions: (H + A + F, R) what is compared, out of hidden mean, token columns and
            standardised surface features.
        centre: (R,) mean over the training prompts.
        between: (R,) variance between prompts.
        within: (R,) variance of a single token.
    """

    directions: Floats32
    centre: Floats32
    between: Floats32
    within: Floats32


def surface_limits() -> Floats32:
    """(F,) where the distance cuts each standardised surface feature, on both sides."""
    limits = np.full(len(FEATURES), SURFACE_LIMIT, dtype=np.float32)
    limits[FEATURES.index("not_ascii")] = _FOREIGN_LIMIT
    return limits


def token_columns(tokenizer_json: str, ids: Sequence[Ints], vocabulary: int) -> Floats32:
    """Surprisal of each token, and whether it continues a word.

    Returns:
        (V, 2) columns.
    """
    counts = np.bincount(np.concatenate(ids), minlength=vocabulary).astype(np.float64)
    place = np.arange(vocabulary, dtype=np.float64)
    by_rank = 1.0 / np.where(place < _FIRST_WORD, vocabulary, place - _FIRST_WORD + 1)
    probability = (1 - _RANK_PART) * counts / counts.sum() + _RANK_PART * by_rank / by_rank.sum()
    continues = np.zeros(vocabulary)
    for word, token in json.loads(tokenizer_json)["model"]["vocab"].items():
        continues[token] = word.startswith("##")
    return np.stack([-np.log(probability), continues], axis=1).astype(np.float32)


def fit_familiarity(
    hidden_means: Floats32,
    column_means: Floats32,
    ids: Sequence[Ints],
    surface: Floats32,
    network: LatentNetwork,
) -> Familiarity:
    """Fits the distance on P training prompts.

    Args:
        hidden_means: (P, H) the encoder's part of the hidden layer.
        column_means: (P, A) means of the token columns.
        ids: Token ids of each.
        surface: (P, F) raw surface features.
        network: The trained network.
    """
    hidden, beside = hidden_means.shape[1], column_means.shape[1]
    directions = _directions(hidden_means, hidden, beside, surface.shape[1])
    standardised = standardised_surface(surface, network)
    features = np.concatenate([hidden_means, column_means, standardised], axis=1)
    projected = features @ directions
    centre = projected.mean(axis=0)
    tokens_read = np.array([len(each) for each in ids], dtype=np.float64)
    characters = np.exp(surface[:, FEATURES.index("log_characters")])
    inverse = 1.0 / np.maximum(tokens_read, characters / CHARACTERS_PER_TOKEN)
    between, within = _variances((projected - centre) ** 2, inverse)
    return Familiarity(directions, centre, between, within)


def standardised_surface(surface: Floats32, network: LatentNetwork) -> Floats32:
    """(P, F) surface features in a network's units, cut at `surface_limits`."""
    mean, scale = network.surface_mean.numpy(), network.surface_scale.numpy()
    limits = surface_limits()
    cut: Floats32 = np.clip((surface - mean) / scale, -limits, limits)
    return cut


def mean_tokens(tokens: Floats32, ids: Sequence[Ints]) -> Floats32:
    """(P, C) mean of the tokens' (V, C) rows in each prompt; zero for a prompt without tokens."""
    empty = np.zeros(tokens.shape[1], dtype=np.float32)
    return np.stack([tokens[text].mean(axis=0) if len(text) else empty for text in ids])


def _directions(hidden_means: Floats32, hidden: int, beside: int, surface: int) -> Floats32:
    kept = min(_HIDDEN_DIRECTIONS, hidden)
    centred = hidden_means - hidden_means.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    composition = [FEATURES.index(name) for name in _COMPOSITION]
    directions = np.zeros((hidden + beside + surface, kept + beside + len(composition)), np.float32)
    directions[:hidden, :kept] = axes[:kept].T
    for place in range(beside):
        directions[hidden + place, kept + place] = 1.0
    for place, column in enumerate(composition):
        directions[hidden + beside + column, kept + beside + place] = 1.0
    return directions


def _variances(squares: Floats32, inverse: Floats) -> tuple[Floats32, Floats32]:
    """Least-squares B and W of squares ≈ B + W · inverse, neither negative."""
    design = np.stack([np.ones_like(inverse), inverse], axis=1)
    solution = np.linalg.lstsq(design, squares, rcond=None)[0]
    mean = squares.mean(axis=0)
    # Where one would be negative, the other alone has to explain the mean.
    within = np.clip(solution[1], 0.0, mean / inverse.mean())
    between = np.clip(mean - within * inverse.mean(), 0.05 * mean + 1e-6, None)
    return between.astype(np.float32), within.astype(np.float32)
