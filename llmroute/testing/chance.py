"""Luck that comes out the same on every machine and in every run.

Python's own ``hash`` is salted per process and ``random`` hides its state, so a scripted answer
would change between runs. Everything here is a pure function of its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on ``parts`` and on nothing else."""
    # A prompt may hold half a surrogate pair; it is as good a seed as any other text.
    seed = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(seed, digest_size=7).digest(), "big") / 2**56


def pick(options: Sequence[T], *parts: object) -> T:
    """One of ``options`` (at least one), chosen by :func:`draw`."""
    return options[int(draw(*parts) * len(options))]


def token_id(*parts: object) -> str:
    """Sixteen hexadecimal digits that depend on ``parts`` and on nothing else."""
    seed = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return blake2b(seed, digest_size=8).hexdigest()


def sigmoid(x: float) -> float:
    """The logistic function, safe for large arguments of either sign."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
