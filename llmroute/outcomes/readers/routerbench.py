"""RouterBench's published pickles (2403.12031): 36,497 prompts, eleven models, real costs.

`routerbench_0shot.pkl` and `routerbench_5shot.pkl` are wide: one row a prompt, and of each model M
the columns `M` (score), `M|model_response` and `M|total_cost` (USD). `routerbench_raw.pkl` holds
the 5-shot answers once more, one row an answer. Neither says what is train and what is test; the
side is by hash, as for logs.
"""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.numerics import Floats, Ints
from llmroute.outcomes.assemble import Answers, Prompts, side_of, to_outcomes, with_costs
from llmroute.outcomes.columns import Coded, Faults, Rows, number_column, repeated, text_column
from llmroute.outcomes.readers.frames import Frame
from llmroute.outcomes.table import OutcomeTable, Split, Texts

_PROMPT_COLUMNS = ("sample_id", "prompt", "eval_name")
_LONG_COLUMNS = (*_PROMPT_COLUMNS, "model_name", "performance")
_RESPONSE, _COST = "|model_response", "|total_cost"


def read_routerbench(
    path: Path, split: Split | None = None, responses: bool = False, _: str | None = None
) -> OutcomeTable:
    """Reads one of RouterBench's pickles, without running anything that is in it.

    The prompt's id is `sample_id`, its category `eval_name`. A few samples were asked with two
    texts; they count as one prompt, with the first text, and each model's first answer.

    Args:
        path: The file.
        split: The side that is wanted; None for both.
        responses: Also read the answers' texts.

    Raises:
        ConfigurationError: It is no pickle of a data frame, asks for anything else, or lacks
            RouterBench's columns; rows at fault; or no prompt is left.
    """
    frame = Frame.read(path)
    faults = Faults(str(path), Rows())
    if set(_LONG_COLUMNS) <= set(frame.columns):
        model, models, numbers, texts = _long(frame, faults, responses)
        rows = np.arange(len(frame))
    else:
        model, models, numbers, texts = _wide(frame, faults, responses)
        rows = np.tile(np.arange(len(frame)), len(models))
    sample, prompts = _prompts(frame, faults)
    faults.check()
    prompt = sample.codes[rows]
    kept = ~np.isnan(numbers["score"])  # a model that was not asked with this text
    kept[list(repeated(np.where(kept, prompt, -1), model))] = False
    answers = Answers(
        prompt=prompt[kept],
        model=model[kept],
        models=models,
        numbers={name: values[kept] for name, values in numbers.items()},
        responses=None if texts is None else texts[kept],
    )
    return to_outcomes(prompts, with_costs(answers, str(path)), path.stem, split)


def _wide(
    frame: Frame, faults: Faults, responses: bool
) -> tuple[Ints, tuple[str, ...], dict[str, Floats], Texts | None]:
    """Model, score, cost and response of each row, one model's rows after another's."""
    ends = (_COST, _RESPONSE)
    models = tuple(
        sorted(
            name.removesuffix(_COST)
            for name in frame.columns
            if name.endswith(_COST) and name.removesuffix(_COST) in frame.columns
        )
    )
    missing = [name for name in _PROMPT_COLUMNS if name not in frame.columns]
    if missing or not models:
        raise ConfigurationError(
            f"{faults.source} is not one of RouterBench's tables: it has no column "
            f"{', '.join(missing) or f'M and M{_COST} of any model M'}. It has "
            f"{', '.join(name for name in frame.columns if not name.endswith(ends))[:300]}."
        )

    def numbers(column: str, end: str) -> Floats:
        found = [
            number_column(column, frame.column(m + end).tolist(), faults, label=repr(m + end))
            for m in models
        ]
        return np.concatenate(found)

    texts = None
    if responses:
        texts = np.concatenate([_texts(frame, m + _RESPONSE) for m in models])
    values = {"score": numbers("score", ""), "cost": numbers("cost_usd", _COST)}
    return np.repeat(np.arange(len(models)), len(frame)), models, values, texts


def _long(
    frame: Frame, faults: Faults, responses: bool
) -> tuple[Ints, tuple[str, ...], dict[str, Floats], Texts | None]:
    """Model, score, cost and response of each row."""
    model = text_column(
        {"model_name": frame.column("model_name").tolist()}, "model_name", faults
    ).sorted()
    numbers = {"score": number_column("score", frame.column("performance").tolist(), faults)}
    if "cost" in frame.columns:
        numbers["cost"] = number_column("cost_usd", frame.column("cost").tolist(), faults)
    texts = _texts(frame, "model_response") if responses else None
    return model.codes, model.names, numbers, texts


def _prompts(frame: Frame, faults: Faults) -> tuple[Coded, Prompts]:
    """The sample of each row, and the samples as prompts."""
    columns = {name: frame.column(name).tolist() for name in _PROMPT_COLUMNS}
    sample = text_column(columns, "sample_id", faults)
    text = text_column(columns, "prompt", faults, strip=False)
    category = text_column(columns, "eval_name", faults)
    first = sample.first()
    other = text.codes != text.codes[first][sample.codes]
    if other.any():
        warnings.warn(
            f"{faults.source}: {len(np.unique(sample.codes[other]))} samples were asked with two "
            "texts; the first is kept.",
            stacklevel=2,
        )
    texts = [_turns(text.names[code]) for code in text.codes[first]]
    return sample, Prompts(
        texts=texts,
        ids=sample.names,
        categories=[category.names[code] for code in category.codes[first]],
        splits=[side_of(t) for t in texts],
    )


def _turns(text: str) -> str:
    """A prompt's text: RouterBench keeps it as Python writes a list of the turns."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        turns = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    if isinstance(turns, list) and turns and all(isinstance(turn, str) for turn in turns):
        return "\n\n".join(turns)
    return text


def _texts(frame: Frame, name: str) -> Texts:
    """A column of responses; a list of them, as Python writes it, as its texts."""
    if name not in frame.columns:
        raise ConfigurationError(f"{frame.source} has no column {name!r}: read it without.")
    values = [_turns(v) if isinstance(v, str) else None for v in frame.column(name).tolist()]
    return np.fromiter(values, dtype=object, count=len(values))
