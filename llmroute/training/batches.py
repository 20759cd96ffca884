"""Texts as the encoder `minilm` reads them, in batches without padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from llmroute.numerics import Ints
from llmroute.training.minilm_torch import CLS, SEP
from llmroute.training.transformer import HEAD_TOKENS, TAIL_TOKENS


def as_read(ids: Ints) -> Ints:
    """A text's ids as the graph reads them: first and last ones, between [CLS] and [SEP]."""
    given = ids if len(ids) else np.zeros(1, np.int64)
    read: Ints = np.r_[CLS, given[:HEAD_TOKENS], given[HEAD_TOKENS:][-TAIL_TOKENS:], SEP]
    return read


def groups_by_length(
    ids: Sequence[Ints], rows: Ints, size: int, random: np.random.Generator | None
) -> Iterator[Ints]:
    """Rows of texts of like length together; `random` breaks ties and orders the groups."""
    lengths = np.array([len(ids[row]) for row in rows])
    noise = np.zeros(len(rows)) if random is None else random.random(len(rows))
    order = rows[np.lexsort((noise, lengths))]
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    if random is not None:
        random.shuffle(groups)
    yield from groups


def stacked(ids: Sequence[Ints], rows: Ints) -> Ints:
    """Texts as one block, cut to the shortest of them, so that nothing is padded.

    What is cut lies in the middle: the end, where the question stands, and [SEP] are kept.

    Returns:
        (B, L) token ids.
    """
    shortest = min(len(ids[row]) for row in rows)
    head = min(HEAD_TOKENS + 1, shortest // 2)
    ends = [len(ids[row]) - shortest + head for row in rows]
    return np.stack([np.r_[ids[r][:head], ids[r][e:]] for r, e in zip(rows, ends, strict=True)])
