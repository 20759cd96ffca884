"""RouteLLM's benchmark (2406.18665), as its repository keeps it: two models on three test sets.

    routellm/evals/mmlu/responses/mmlu_*.csv      prompt, and per model whether it was right
    routellm/evals/gsm8k/gsm8k_responses.csv      the same, and the answers
    routellm/evals/mt_bench/question.jsonl        question_id, category, turns
    routellm/evals/mt_bench/judgements.jsonl      question_id, model, turn, score 1..10
    …/contaminated_prompts.jsonl                  eval_prompt: what RouteLLM leaves out

Prompts on the lists of contaminated ones stand in RouteLLM's training data; its benchmark leaves
them out, and so does this. GSM8K and MT-Bench are test only; MMLU is split by hash. No costs are
recorded. A question of MT-Bench has two turns: the first is the prompt, as routers see it, and the
mean of the two ratings, (r − 1)/9, is the score.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import assemble, side_of
from llmroute.outcomes.columns import Faults, number_column, text_column
from llmroute.outcomes.readers.logs import csv_columns, json_lines
from llmroute.outcomes.table import OutcomeTable, Split, Wanted

_REPOSITORY = "lm-sys/RouteLLM"
_EVALS = Path("routellm") / "evals"
_MMLU = Path("mmlu") / "responses"
_GSM8K = Path("gsm8k") / "gsm8k_responses.csv"
_QUESTIONS = Path("mt_bench") / "question.jsonl"
_JUDGEMENTS = Path("mt_bench") / "judgements.jsonl"
_CONTAMINATED = "contaminated_prompts.jsonl"
_RESPONSE = "_response"
_RATINGS = (1.0, 10.0)


class _Answer(NamedTuple):
    """A row of the long table; its fields are the table's columns."""

    prompt: str
    prompt_id: str
    category: str
    split: Split
    model: str
    score: float
    response: str | None


def is_checkout(path: Path) -> bool:
    """Whether a folder is a checkout of RouteLLM's repository, or its folder `evals`."""
    evals = _evals(path)
    return any((evals / part).exists() for part in (_MMLU, _GSM8K, _JUDGEMENTS))


def read_routellm(path: Path, wanted: Wanted) -> OutcomeTable:
    """Reads RouteLLM's benchmark out of a checkout of its repository, or its `routellm/evals`.

    Categories are `mmlu_<subject>`, `gsm8k` and `mt_bench_<category>`; only GSM8K has responses.
    The arguments and errors are those of `Outcomes.read`.
    """
    evals = _evals(path)
    answers: list[_Answer] = []
    for file in sorted((evals / _MMLU).glob("mmlu_*.csv")):
        answers += _graded(file, file.stem, None, _contaminated(evals / "mmlu"))
    if (evals / _GSM8K).is_file():
        answers += _graded(evals / _GSM8K, "gsm8k", "test", _contaminated(evals / "gsm8k"))
    if (evals / _JUDGEMENTS).is_file():
        answers += _judged(evals, {answer.model for answer in answers})
    columns = {field: [getattr(answer, field) for answer in answers] for field in _Answer._fields}
    if not wanted.responses:
        del columns["response"]
    return assemble(columns, str(evals), split=wanted.split, name="routellm")


def _graded(
    file: Path, category: str, split: Split | None, contaminated: set[str]
) -> list[_Answer]:
    """The answers of a CSV file: a prompt a row, and of each model whether it was right."""
    columns, rows = csv_columns(file, lambda header: {name: at for at, name in enumerate(header)})
    faults = Faults(str(file), rows)
    if "prompt" not in columns:
        raise ConfigurationError(
            f"{file} has no column prompt. Take a whole checkout of {_REPOSITORY}."
        )
    prompts = columns.pop("prompt")
    text_column("prompt", prompts, faults)
    models = [name for name in columns if not name.endswith(_RESPONSE)]
    scores = [
        number_column("score", columns[name], faults, label=repr(name), needed=True)
        for name in models
    ]
    faults.check()
    none = [None] * len(prompts)
    texts = [columns.get(name + _RESPONSE, none) for name in models]
    answers: list[_Answer] = []
    for row, prompt in enumerate(prompts):
        if prompt not in contaminated:
            described = (prompt, f"{category}-{row}", category, split or side_of(prompt))
            for model, score, text in zip(models, scores, texts, strict=True):
                answers.append(_Answer(*described, model, score[row], text[row]))
    return answers


def _judged(evals: Path, models: set[str]) -> list[_Answer]:
    """The answers of some models to MT-Bench, or of all where none is named."""
    contaminated = _contaminated(evals / "mt_bench")
    questions: dict[Any, tuple[str, str]] = {}
    objects, faults = _objects(evals / _QUESTIONS)
    for row, question in enumerate(objects):
        try:
            turns = list(question["turns"])
            if not contaminated.intersection(turns):
                category = f"mt_bench_{question['category']}"
                questions[question["question_id"]] = (turns[0], category)
        except (LookupError, TypeError):
            faults.add([row], "question_id, category and turns were expected.")
    faults.check()
    low, high = _RATINGS
    ratings: dict[Any, dict[str, list[float]]] = {key: {} for key in questions}
    objects, faults = _objects(evals / _JUDGEMENTS)
    for row, judgement in enumerate(objects):
        try:
            of_models = ratings.get(judgement["question_id"])
            model, rating = str(judgement["model"]), float(judgement["score"])
        except (LookupError, TypeError, ValueError):
            faults.add([row], "question_id, model and score were expected.")
            continue
        # FastChat writes −1 where the judge gave no rating.
        if of_models is None or rating == -1 or (models and model not in models):
            continue
        if not low <= rating <= high:
            faults.add([row], f"score is {rating:g}, not in {low:g}..{high:g}.")
        of_models.setdefault(model, []).append(rating)
    faults.check()
    answers: list[_Answer] = []
    for key, (prompt, category) in questions.items():
        for model, rated in ratings[key].items():
            score = (np.mean(rated).item() - low) / (high - low)
            answers.append(_Answer(prompt, f"mt_bench-{key}", category, "test", model, score, None))
    return answers


def _evals(path: Path) -> Path:
    return path / _EVALS if (path / _EVALS).is_dir() else path


def _contaminated(folder: Path) -> set[str]:
    """The prompts that RouteLLM leaves out of a benchmark."""
    return {str(row.get("eval_prompt")) for row in _objects(folder / _CONTAMINATED)[0]}


def _objects(file: Path) -> tuple[list[dict[str, Any]], Faults]:
    """The objects of a JSONL file, and where to note what is wrong with them."""
    if not file.is_file():
        raise ConfigurationError(f"no file {file}. Take a whole checkout of {_REPOSITORY}.")
    objects, rows = json_lines(file)
    return objects, Faults(str(file), rows)
