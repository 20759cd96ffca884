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
from llmroute.outcomes.assemble import Answers, Prompts, side_of, to_outcomes
from llmroute.outcomes.columns import Coded, Faults, Rows, number_column, repeated, text_column
from llmroute.outcomes.readers.pickles import Frame
from llmroute.outcomes.table import OutcomeTable, Texts, Wanted

_PROMPT_COLUMNS = ("sample_id", "prompt", "eval_name")
_LONG_COLUMNS = {*_PROMPT_COLUMNS, "model_name", "performance"}
_RESPONSE, _COST = "|model_response", "|total_cost"


def read_routerbench(path: Path, wanted: Wanted) -> OutcomeTable:
    """Reads one of RouterBench's pickles, without running anything that is in it.

    The prompt's id is `sample_id`, its category `eval_name`. A few samples were asked with two
    texts; they count as one prompt, with the first text, and each model's first answer.
    The arguments and errors are those of `Outcomes.read`.
    """
    frame = Frame(path)
    faults = Faults(str(path), Rows())
    if set(frame.columns) >= _LONG_COLUMNS:
        names = frame.column("model_name").tolist()
        model = text_column("model_name", names, faults).sorted()
        columns = [("performance", "cost", "model_response")]
    else:
        models = _wide_models(frame)
        model = Coded(np.repeat(np.arange(len(models)), len(frame)), models)
        columns = [(name, name + _COST, name + _RESPONSE) for name in models]
    scores, costs, texts = zip(*columns, strict=True)
    # The rows of one model, of all samples, stand after another's.
    rows = np.tile(np.arange(len(frame)), len(columns))
    numbers = {
        field: np.concatenate(
            [number_column(as_column, frame.column(c), faults, label=repr(c)) for c in parts]
        )
        for field, as_column, parts in (("score", "score", scores), ("cost", "cost_usd", costs))
        if set(parts) <= set(frame.columns)
    }
    answers = np.concatenate([_texts(frame, c) for c in texts]) if wanted.responses else None
    sample, prompts = _prompts(frame, faults)
    faults.check()
    prompt = sample.codes[rows]
    kept = ~np.isnan(numbers["score"])  # a model that was not asked with this text
    kept[list(repeated(np.where(kept, prompt, -1), model.codes))] = False
    return to_outcomes(
        prompts,
        Answers(
            prompt=prompt[kept],
            model=Coded(model.codes[kept], model.names),
            numbers={field: values[kept] for field, values in numbers.items()},
            responses=None if answers is None else answers[kept],
        ),
        str(path),
        wanted.split,
        path.stem,
    )


def _wide_models(frame: Frame) -> tuple[str, ...]:
    costed = {name.removesuffix(_COST) for name in frame.columns if name.endswith(_COST)}
    models = tuple(sorted(costed.intersection(frame.columns)))
    missing = [name for name in _PROMPT_COLUMNS if name not in frame.columns]
    if missing or not models:
        has = [name for name in frame.columns if not name.endswith((_COST, _RESPONSE))]
        raise ConfigurationError(
            f"{frame.source} is not one of RouterBench's tables: it has no column "
            f"{', '.join(missing) or f'M and M{_COST} of any model M'}. It has "
            f"{', '.join(has)[:300]}."
        )
    return models


def _prompts(frame: Frame, faults: Faults) -> tuple[Coded, Prompts]:
    """The sample of each row, and the samples as prompts."""
    ids, texts, categories = (frame.column(name).tolist() for name in _PROMPT_COLUMNS)
    sample = text_column("sample_id", ids, faults)
    text = text_column("prompt", texts, faults, strip=False)
    category = text_column("eval_name", categories, faults)
    first = sample.first()
    differs = text.codes != text.codes[first][sample.codes]
    if differs.any():
        warnings.warn(
            f"{faults.source}: {len(np.unique(sample.codes[differs]))} samples were asked with two "
            "texts; the first is kept.",
            stacklevel=2,
        )
    prompts = [_turns(text.names[code]) for code in text.codes[first]]
    return sample, Prompts(
        texts=prompts,
        ids=sample.names,
        categories=[category.names[code] for code in category.codes[first]],
        splits=[side_of(prompt) for prompt in prompts],
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
