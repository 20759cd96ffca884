"""What is known of a model's ability, from the best source to the last resort.

stated by the user → fitted in training, found by name → tier → output price → neutral.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats
from llmroute.pool import Model
from llmroute.scoring.latent_folder import Card

#: Where an ability came from.
AbilitySource = Literal["stated", "fitted", "tier", "price", "neutral"]

Key = tuple[str, ...]

_VENDORS = ("meta", "anthropic", "mistralai", "cohere", "amazon", "openai", "google", "microsoft")
#: A dated or numbered release of a model: 2024-07-18, 20240307, 0613, 002, latest, v1:0.
_RELEASE = re.compile(
    r"(-\d{4}-\d{2}-\d{2}|-\d{2}-\d{2}-\d{2}|-\d{8}|-\d{4}|-00\d|-latest|-v\d:\d)+$"
)
_CHAT_ENDINGS = ({"instruct"}, {"inst"}, {"chat"}, {"it"})


def _bare(name: str) -> str:
    """A model's name without provider path, host and vendor: `openai/gpt-4o` → `gpt-4o`."""
    bare = name.strip().lower().rsplit("/", 1)[-1].split("@", 1)[0].replace("_", ".")
    # Bedrock writes vendor and model as one word: anthropic.claude-3-haiku-20240307-v1:0.
    vendor, dot, rest = bare.partition(".")
    return rest if dot and vendor in _VENDORS else bare


def _words(bare: str) -> Key:
    words = re.findall(r"[a-z]+|\d+", bare)
    if len(words) > 1 and words[0] in _VENDORS:
        words = words[1:]
    return tuple("instruct" if word == "inst" else word for word in words)


def exact_key(name: str) -> Key:
    """A name as words and numbers, so that spelling does not matter and parts do.

    `Meta-Llama-3_1-8B-Instruct`, `llama-3.1-8b-instruct` and `llama3.1:8b-instruct` are one model;
    `gpt-4o` and `gpt-4o-mini` are two.
    """
    return _words(_bare(name))


def family_key(name: str) -> Key:
    """Like `exact_key`, with the release's date or number left off."""
    return _words(_RELEASE.sub("", _bare(name)))


class AbilityTable:
    """Looks models up in a card's table of fitted abilities."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._names = frozenset(names)
        self._exact: dict[Key, str] = {}
        self._family: dict[Key, str] = {}
        # In order of name, the later date comes last and stands for the family.
        for name in sorted(names):
            self._exact[exact_key(name)] = name
            self._family[family_key(name)] = name
        self._chat = {key[:-1]: name for key, name in self._exact.items() if _is_chat(key)}

    def find(self, name: str) -> str | None:
        """The table's name of the same model, or None.

        A bare `mixtral-8x7b` means the chat model where the table has one: no provider serves the
        base model to chat calls. A name that stands in the table letter by letter means itself.
        """
        if name in self._names:
            return name
        exact, family = exact_key(name), family_key(name)
        if _is_chat(exact):
            return self._exact.get(exact) or self._family.get(family)
        return (
            self._chat.get(exact)
            or self._exact.get(exact)
            or self._chat.get(family)
            or self._family.get(family)
        )


def _is_chat(key: Key) -> bool:
    return any(set(key[-1:]) == ending for ending in _CHAT_ENDINGS)


@dataclass(frozen=True)
class Ability:
    """A model's ability vector and where it came from.

    Attributes:
        vector: (K,) the first entry is general ability, 0 for an average model; the others are 0
            where nothing is known.
        source: Where it came from.
        is_full: Whether the entries after the first are known too.
        measured: The training sources on which they are.
    """

    vector: Floats
    source: AbilitySource
    is_full: bool = False
    measured: frozenset[str] = frozenset()


class AbilityBook:
    """Everything a router's card says of abilities."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._table = AbilityTable(card.abilities)

    def of(self, model: Model) -> Ability:
        """A pool member's ability.

        Raises:
            ConfigurationError: A stated vector of another length than the scorer's.
        """
        if model.ability is not None:
            full = isinstance(model.ability, tuple)
            # A vector the user states is taken at its word everywhere.
            everywhere = frozenset(source.name for source in self._card.data)
            vector = self._stated(model.name, model.ability)
            return Ability(vector, "stated", full, everywhere if full else frozenset())
        known = self._table.find(model.litellm_name) or self._table.find(model.name)
        if known is not None:
            vector = np.array(self._card.abilities[known], dtype=np.float64)
            return Ability(vector, "fitted", True, frozenset(self._card.measured[known]))
        if model.tier is not None:
            return Ability(self._general(self._card.tiers[model.tier]), "tier")
        curve = self._card.price
        if model.output_price is not None and curve is not None:
            price = min(max(model.output_price, curve.low), curve.high)
            return Ability(self._general(curve.intercept + curve.slope * math.log(price)), "price")
        return Ability(self._general(self._card.neutral), "neutral")

    def _stated(self, name: str, ability: float | tuple[float, ...]) -> Floats:
        if not isinstance(ability, tuple):
            return self._general(float(ability))
        if len(ability) != self._card.dimensions:
            raise ConfigurationError(
                f"model {name!r} has an ability of {len(ability)} numbers; the scorer "
                f"{self._card.name!r} uses {self._card.dimensions}. Give one number for general "
                "ability, or a vector made with this scorer."
            )
        return np.array(ability, dtype=np.float64)

    def _general(self, ability: float) -> Floats:
        vector = np.zeros(self._card.dimensions)
        vector[0] = ability
        return vector


def merged_names(names: Iterable[str]) -> Mapping[str, str]:
    """Name → the name that stands for all spellings of the same model.

    Args:
        names: Names from one or several tables; the first spelling met is kept.
    """
    kept: dict[Key, str] = {}
    return {name: kept.setdefault(exact_key(name), name) for name in names}
