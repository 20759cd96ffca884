"""Long tables, one row an answer, into a grid of prompts and models: checked first, then made.

Prompts are private: no error text holds one. Rows are named by their number in the file instead.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llmroute.backends.prices import lookup
from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.columns import (
    NUMBER_COLUMNS,
    Coded,
    Faults,
    Rows,
    check_pairs,
    number_column,
    response_column,
    shown,
    text_column,
)
from llmroute.outcomes.table import OutcomeTable, Samples, Split, Texts

#: Category of prompts that have none.
NO_CATEGORY = "uncategorised"
#: What a `split` column may say. Rows that are excluded are never returned.
SPLITS = ("train", "test", "exclude")
#: Of what a prompt has once → how to mend rows that differ in it.
_MEND_PROMPT = {
    "text": "Give every text its own prompt_id.",
    "category": "Give all rows of a prompt the same.",
    "split": "A prompt is on one side only: give all its rows the same.",
}


class Prompts(NamedTuple):
    """P prompts, before a split is taken: text, id, category and split of each."""

    texts: Sequence[str]
    ids: Sequence[str]
    categories: Sequence[str]
    splits: Sequence[str]


class Answers(NamedTuple):
    """N answers of M models to P prompts, checked; NaN or None where something is not known."""

    prompt: Ints  #: (N,) index of the prompt; -1 for one that does not count
    model: Coded  #: N codes of the models' names, which are in alphabetical order
    numbers: Mapping[str, Floats]  #: field of `Outcomes` → (N,)
    responses: Texts | None = None  #: (N,)
    samples: Samples | None = None  #: by index of the prompt


def assemble(
    columns: Mapping[str, Any],
    source: str,
    rows: Rows | None = None,
    split: Split | None = None,
    name: str | None = None,
) -> OutcomeTable:
    """Outcomes out of a long table.

    A prompt is known by its `prompt_id`, or by its text when there is no such column. Without a
    `split` column `side_of` its text decides. Without `cost_usd` the cost is what the tokens cost
    at the prices of LiteLLM's table, when every model's are known there.

    Args:
        columns: Column name → its N cells: text, numbers, booleans, None. `prompt`, `model` and
            `score` are needed. Taken where present: the other `NUMBER_COLUMNS`, `category`,
            `prompt_id`, `split` and `response`.
        source: The file, as error texts name it.
        rows: How they name its rows.
        split: The side that is wanted; None for both.
        name: The table's `source`; None for the file's name without its ending.

    ConfigurationError for rows that cannot be used, a few at a time; a model without any cost where
    others have one; or no prompt that is left.
    """
    faults = Faults(source, rows or Rows())
    model = text_column("model", columns["model"], faults).sorted()
    prompt, prompts = _prompts(columns, faults)
    numbers = {
        field: number_column(column, columns[column], faults, needed=column == "score")
        for column, field in NUMBER_COLUMNS.items()
        if column in columns
    }
    responses = response_column(columns["response"], faults) if "response" in columns else None
    check_pairs(prompt, model, faults)
    faults.check()
    answers = Answers(prompt, model, numbers, responses)
    return to_outcomes(prompts, answers, source, split, name or Path(source).stem)


def to_outcomes(
    prompts: Prompts, answers: Answers, source: str, split: Split | None, name: str
) -> OutcomeTable:
    """The grid of one side's prompts and all models; arguments and errors as of `assemble`."""
    numbers = {**answers.numbers, "cost": _costs(answers, source)}
    wanted = ("train", "test") if split is None else (split,)
    kept = np.flatnonzero([side in wanted for side in prompts.splits])
    if not len(kept):
        raise ConfigurationError(
            f"{source} has no prompt with split {' or '.join(map(repr, wanted))}, of "
            f"{len(prompts.ids)} in all."
        )
    row_of = np.full(len(prompts.ids) + 1, -1)  # the last is for prompts that do not count, -1
    row_of[kept] = np.arange(len(kept))
    row = row_of[answers.prompt]
    present = row >= 0
    cells = (row[present], answers.model.codes[present])

    def grid(values: Any, empty: float | None) -> Any:
        full = np.full((len(kept), len(answers.model.names)), empty, dtype=values.dtype)
        full[cells] = values[present]
        return full

    chosen: list[int] = kept.tolist()
    samples = answers.samples
    return OutcomeTable(
        prompts=tuple(prompts.texts[i] for i in chosen),
        prompt_ids=tuple(prompts.ids[i] for i in chosen),
        categories=tuple(prompts.categories[i] for i in chosen),
        models=answers.model.names,
        responses=None if answers.responses is None else grid(answers.responses, None),
        samples=None if samples is None else samples.select(kept, len(prompts.ids)),
        source=name,
        **{
            field: grid(values, np.nan)
            for field, values in numbers.items()
            # A number that is known of no row at all is as good as a column that is not there.
            if values is not None and (field == "score" or not np.isnan(values).all())
        },
    )


def side_of(prompt: str) -> Split:
    """The side of a question: half of all questions are train, half test.

    By the SHA-256 of the question in lower case with white space made single spaces, so that a
    question is always on the same side, in every file and on every machine.
    """
    return "train" if _digest(" ".join(prompt.lower().split()))[0] < 128 else "test"


def id_of(prompt: str) -> str:
    """An id for a prompt that came without one: 16 hexadecimal digits of its text's SHA-256."""
    return _digest(prompt)[:8].hex()


def _digest(text: str) -> bytes:
    # Half of a surrogate pair, which JSON can hold, has no UTF-8 form of its own.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _costs(answers: Answers, source: str) -> Floats | None:
    """(N,) USD: as recorded, which must be of every model or of none, else by tokens and prices."""
    cost = answers.numbers.get("cost")
    if cost is None or np.isnan(cost).all():
        return _cost_of_tokens(answers, source)
    lacking = _without(cost, answers.model)
    if lacking:
        raise ConfigurationError(
            f"{source}: no cost is known of {lacking}, but of other models it is. Give their rows "
            "a cost, 0 for a free model, or leave the costs out of the whole file to count calls "
            "instead."
        )
    return cost


def _cost_of_tokens(answers: Answers, source: str) -> Floats | None:
    """(N,) USD at LiteLLM's list prices, or None unless every model has prices and tokens."""
    asked, written = (answers.numbers.get(f"{part}_tokens") for part in ("prompt", "completion"))
    if asked is None or written is None or np.isnan(asked + written).all():
        return None
    facts = [lookup(name) for name in answers.model.names]
    prices = np.array([[f.get("input_price"), f.get("output_price")] for f in facts], dtype=float)
    if np.isnan(prices).any(axis=1).all():
        return None
    per_token = prices[answers.model.codes] / 1e6
    cost: Floats = asked * per_token[:, 0] + written * per_token[:, 1]
    lacking = _without(cost, answers.model)
    if lacking:
        warnings.warn(
            f"{source}: costs are left out, because there is no price or no token count for "
            f"{lacking}. Add a cost_usd column, or name the models as LiteLLM does, such as "
            "'openai/gpt-4.1-nano'.",
            stacklevel=2,
        )
        return None
    return cost


def _without(values: Floats, model: Coded) -> str:
    """Models with answers, but without any value; an empty text where there is none."""
    lacking = np.setdiff1d(model.codes, model.codes[~np.isnan(values)])
    return ", ".join(repr(model.names[code]) for code in lacking)


def _prompts(columns: Mapping[str, Any], faults: Faults) -> tuple[Ints, Prompts]:
    """(N,) index of each row's prompt, and the prompts."""
    text = text_column("prompt", columns["prompt"], faults, strip=False)
    named = "prompt_id" in columns
    prompt = text_column("prompt_id", columns["prompt_id"], faults) if named else text
    first = prompt.first()

    def of_prompts(coded: Coded, what: str) -> list[str]:
        """Each prompt's value; notes rows that have another than the prompt's first row."""
        own = coded.codes[first]
        faults.add(
            np.flatnonzero(coded.codes != own[prompt.codes]),
            lambda row: (
                f"the prompt has another {what} than on "
                f"{faults.rows.name(int(first[prompt.codes[row]]))}. {_MEND_PROMPT[what]}"
            ),
        )
        return [coded.names[code] for code in own]

    texts = of_prompts(text, "text")
    ids = list(prompt.names) if named else [id_of(text) for text in texts]
    categories = [NO_CATEGORY] * len(ids)
    if "category" in columns:
        category = text_column("category", columns["category"], faults, blank=NO_CATEGORY)
        categories = of_prompts(category, "category")
    if "split" in columns:
        side = text_column("split", columns["split"], faults)
        check_splits([side.names[code] or None for code in side.codes.tolist()], faults)
        splits = of_prompts(side, "split")
    else:
        splits = [side_of(text) for text in texts]
    return prompt.codes, Prompts(texts, ids, categories, splits)


def check_splits(splits: Sequence[str | None], faults: Faults) -> None:
    """Notes rows whose split is none of `SPLITS`; None has been noted before."""
    faults.add(
        [row for row, side in enumerate(splits) if side is not None and side not in SPLITS],
        lambda row: f"split is {shown(splits[row])}; {', '.join(map(repr, SPLITS))} was expected.",
    )
