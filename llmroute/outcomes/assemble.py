"""Long tables, one row an answer, into `Outcomes`: checked first, then made a grid.

Prompts are private: no error text holds one. Rows are named by their number in the file instead.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Prompts:
    """P prompts, before a split is taken.

    Attributes:
        texts: Their texts.
        ids: Their ids.
        categories: Their categories.
        splits: The split of each: train, test or exclude.
    """

    texts: Sequence[str]
    ids: Sequence[str]
    categories: Sequence[str]
    splits: Sequence[str]


@dataclass(frozen=True)
class Answers:
    """N answers of M models to P prompts.

    Attributes:
        prompt: (N,) index of the prompt; -1 for one that does not count.
        model: (N,) index of the model.
        models: The M names.
        numbers: Field of `Outcomes` → (N,) values, NaN where unknown.
        responses: (N,) texts, or None when they were not read.
        samples: Several generations, by index of the prompt, or None.
    """

    prompt: Ints
    model: Ints
    models: tuple[str, ...]
    numbers: Mapping[str, Floats]
    responses: Texts | None = None
    samples: Samples | None = None


def assemble(
    columns: Mapping[str, Sequence[object]],
    *,
    source: str,
    rows: Rows | None = None,
    split: Split | None = None,
) -> OutcomeTable:
    """Outcomes out of a long table.

    A prompt is known by its `prompt_id`, or by its text when there is no such column. Without a
    `split` column `side_of` its text decides. Without `cost_usd` the cost is what the tokens cost
    at the prices of LiteLLM's table, when every model's are known there.

    Args:
        columns: Column name → its N cells: text, numbers, booleans, None. `prompt`, `model` and
            `score` are needed. Taken where present: `cost_usd`, `prompt_tokens`,
            `completion_tokens`, `latency_s` or `latency_ms`, `confidence`, `confidence_cost_usd`,
            `category`, `prompt_id`, `split`, `response`.
        source: The file, as error texts and reports name it.
        rows: How error texts name the rows.
        split: The side that is wanted; None for both.

    Raises:
        ConfigurationError: Rows that cannot be used, a few at a time; a model without any cost
            where others have one; or no prompt is left.
    """
    faults = Faults(source, rows or Rows())
    model = text_column(columns, "model", faults).sorted()
    prompt, prompts = _prompts(columns, faults)
    numbers = {
        NUMBER_COLUMNS[name]: number_column(name, columns[name], faults, needed=name == "score")
        for name in NUMBER_COLUMNS
        if name in columns
    }
    responses = response_column(columns["response"], faults) if "response" in columns else None
    check_pairs(prompt, model.codes, model.names, faults)
    faults.check()
    answers = Answers(prompt, model.codes, model.names, numbers, responses)
    return to_outcomes(prompts, with_costs(answers, source), source, split)


def to_outcomes(
    prompts: Prompts, answers: Answers, source: str, split: Split | None
) -> OutcomeTable:
    """The grid of one side's prompts and all models.

    Args:
        prompts: All prompts.
        answers: All answers, checked.
        source: Name of the data.
        split: The side that is wanted; None for both.

    Raises:
        ConfigurationError: No prompt is left.
    """
    wanted = ("train", "test") if split is None else (split,)
    kept = np.flatnonzero([part in wanted for part in prompts.splits])
    if not len(kept):
        raise ConfigurationError(
            f"{source} has no prompt with split {' or '.join(map(repr, wanted))}, of "
            f"{len(prompts.ids)} in all."
        )
    place = np.full(len(prompts.ids) + 1, -1)  # the last is for prompts that do not count, -1
    place[kept] = np.arange(len(kept))
    at = place[answers.prompt]
    present = at >= 0
    cells = (at[present], answers.model[present])
    shape = (len(kept), len(answers.models))
    grids: dict[str, Floats] = {}
    for name, values in answers.numbers.items():
        # A number that is known of no row at all is as good as a column that is not there.
        if name == "score" or not np.isnan(values).all():
            grids[name] = np.full(shape, np.nan)
            grids[name][cells] = values[present]
    responses: Texts | None = None
    if answers.responses is not None:
        responses = np.full(shape, None, dtype=object)
        responses[cells] = answers.responses[present]
    samples = answers.samples
    places: list[int] = kept.tolist()
    return OutcomeTable(
        prompts=tuple(prompts.texts[i] for i in places),
        prompt_ids=tuple(prompts.ids[i] for i in places),
        categories=tuple(prompts.categories[i] for i in places),
        models=answers.models,
        responses=responses,
        samples=None if samples is None else samples.select(kept, len(prompts.ids)),
        source=source,
        **grids,
    )


def side_of(prompt: str) -> Split:
    """The side of a question: half of all questions are train, half test.

    By the SHA-256 of the question in lower case with white space made single spaces, so that a
    question is always on the same side, in every file and on every machine.

    Args:
        prompt: The question's text.
    """
    return "train" if _digest(" ".join(prompt.lower().split()))[0] < 128 else "test"


def id_of(prompt: str) -> str:
    """An id for a prompt that came without one: 16 hexadecimal digits of its text's SHA-256.

    Args:
        prompt: The prompt's text.
    """
    return _digest(prompt)[:8].hex()


def with_costs(answers: Answers, source: str) -> Answers:
    """The answers with their costs made sure of.

    Recorded costs must be there for every model or for none. When there is none, tokens are priced
    with LiteLLM's table, if it knows all models.

    Args:
        answers: Checked answers.
        source: Name of the data.

    Raises:
        ConfigurationError: A model without any cost where others have one.
    """
    numbers = dict(answers.numbers)
    cost = numbers.pop("cost", None)
    if cost is None or np.isnan(cost).all():
        cost = _cost_of_tokens(answers, source)
    else:
        lacking = _without(cost, answers)
        if lacking:
            raise ConfigurationError(
                f"{source}: no cost is known of {', '.join(map(repr, lacking))}, but of other "
                "models it is. Give their rows a cost, 0 for a free model, or leave the costs out "
                "of the whole file to count calls instead."
            )
    if cost is not None:
        numbers["cost"] = cost
    return replace(answers, numbers=numbers)


def _cost_of_tokens(answers: Answers, source: str) -> Floats | None:
    """(N,) USD at list prices, or None unless every model has prices and tokens."""
    tokens = [answers.numbers.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if tokens[0] is None or tokens[1] is None or np.isnan(tokens[0] + tokens[1]).all():
        return None
    facts = [lookup(name) for name in answers.models]
    prices = np.array(
        [[f.get("input_price"), f.get("output_price")] for f in facts], dtype=np.float64
    )
    unknown = np.isnan(prices).any(axis=1)
    if unknown.all():
        return None
    per_token = prices[answers.model] / 1e6
    cost: Floats = tokens[0] * per_token[:, 0] + tokens[1] * per_token[:, 1]
    lacking = _without(cost, answers)
    if lacking:
        warnings.warn(
            f"{source}: costs are left out, because there is no price or no token count for "
            f"{', '.join(map(repr, lacking))}. Add a cost_usd column, or name the models as "
            "LiteLLM does, such as 'openai/gpt-4.1-nano'.",
            stacklevel=2,
        )
        return None
    return cost


def _without(values: Floats, answers: Answers) -> list[str]:
    """Models with answers, but without any value."""
    size = len(answers.models)
    asked = np.bincount(answers.model, minlength=size)
    known = np.bincount(answers.model[~np.isnan(values)], minlength=size)
    return [answers.models[i] for i in np.flatnonzero((asked > 0) & (known == 0))]


def _prompts(columns: Mapping[str, Sequence[object]], faults: Faults) -> tuple[Ints, Prompts]:
    """(N,) index of each row's prompt, and the prompts."""
    text = text_column(columns, "prompt", faults, strip=False)
    named = "prompt_id" in columns
    key = text_column(columns, "prompt_id", faults) if named else text
    first = key.first()
    count = len(key.names)

    def same(coded: Coded, what: str) -> list[str]:
        """Each prompt's value; notes rows that say another than the prompt's first row."""
        own = coded.codes[first]
        faults.add(
            np.flatnonzero(coded.codes != own[key.codes]),
            lambda row: (
                f"the prompt has another {what} than on "
                f"{faults.rows.name(int(first[key.codes[row]]))}. {_MEND_PROMPT[what]}"
            ),
        )
        return [coded.names[code] for code in own]

    texts = same(text, "text")
    categories = [NO_CATEGORY] * count
    if "category" in columns:
        categories = same(text_column(columns, "category", faults, blank=NO_CATEGORY), "category")
    if "split" in columns:
        part = text_column(columns, "split", faults)
        wrong = np.array([bool(name) and name not in SPLITS for name in part.names], dtype=bool)
        faults.add(
            np.flatnonzero(wrong[part.codes]),
            lambda row: (
                f"split is {shown(part.names[part.codes[row]])}; "
                f"{', '.join(map(repr, SPLITS))} was expected."
            ),
        )
        splits = same(part, "split")
    else:
        splits = [side_of(t) for t in texts]
    ids = list(key.names) if named else [id_of(t) for t in texts]
    return key.codes, Prompts(texts, ids, categories, splits)


_MEND_PROMPT = {
    "text": "Give every text its own prompt_id.",
    "category": "Give all rows of a prompt the same.",
    "split": "A prompt is on one side only: give all its rows the same.",
}


def _digest(text: str) -> bytes:
    # Half of a surrogate pair, which JSON can hold, has no UTF-8 form of its own.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
