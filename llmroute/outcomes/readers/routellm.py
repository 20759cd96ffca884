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

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from llmroute.errors import ConfigurationError
from llmroute.outcomes.assemble import Answers, Prompts, side_of, to_outcomes
from llmroute.outcomes.columns import Coded
from llmroute.outcomes.table import OutcomeTable, Split

_EVALS = Path("routellm") / "evals"
_MMLU = Path("mmlu") / "responses"
_GSM8K = Path("gsm8k") / "gsm8k_responses.csv"
_QUESTIONS = Path("mt_bench") / "question.jsonl"
_JUDGEMENTS = Path("mt_bench") / "judgements.jsonl"
_CONTAMINATED = "contaminated_prompts.jsonl"
_RESPONSE = "_response"
_TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_RATINGS = (1.0, 10.0)


def is_checkout(path: Path) -> bool:
    """Whether a folder is a checkout of RouteLLM's repository, or its folder `evals`.

    Args:
        path: Any path.
    """
    evals = _evals(path)
    return any((evals / part).exists() for part in (_MMLU, _GSM8K, _JUDGEMENTS))


def read_routellm(
    path: Path, split: Split | None = None, *, responses: bool = False
) -> OutcomeTable:
    """Reads RouteLLM's benchmark out of a checkout of its repository.

    Categories are `mmlu_<subject>`, `gsm8k` and `mt_bench_<category>`.

    Args:
        path: The repository's folder, or its `routellm/evals`.
        split: The side that is wanted; None for both.
        responses: Also read the answers' texts, which only GSM8K has.

    Raises:
        ConfigurationError: A file is missing, or a row of one is at fault.
    """
    evals = _evals(path)
    found = _Benchmark()
    for file in sorted((evals / _MMLU).glob("mmlu_*.csv")):
        found.add_answers(file, file.stem, None, _contaminated(evals / "mmlu"))
    if (evals / _GSM8K).is_file():
        found.add_answers(evals / _GSM8K, "gsm8k", "test", _contaminated(evals / "gsm8k"))
    if (evals / _JUDGEMENTS).is_file():
        found.add_judgements(evals, _contaminated(evals / "mt_bench"))
    return to_outcomes(found.prompts(), found.answers(responses), "routellm", split)


class _Benchmark:
    """Prompts and answers as they are found, one file after another."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.categories: list[str] = []
        self.splits: list[str] = []
        self.rows: list[tuple[int, str, float, str | None]] = []

    def prompts(self) -> Prompts:
        return Prompts(self.texts, self.ids, self.categories, self.splits)

    def answers(self, responses: bool) -> Answers:
        model = Coded.of(row[1] for row in self.rows).sorted()
        texts = (row[3] for row in self.rows)
        return Answers(
            prompt=np.array([row[0] for row in self.rows], dtype=np.int64),
            model=model.codes,
            models=model.names,
            numbers={"score": np.array([row[2] for row in self.rows], dtype=np.float64)},
            responses=np.fromiter(texts, dtype=object, count=len(self.rows)) if responses else None,
        )

    def add_prompt(self, text: str, name: str, category: str, split: Split | None) -> int:
        self.texts.append(text)
        self.ids.append(name)
        self.categories.append(category)
        self.splits.append(split or side_of(text))
        return len(self.texts) - 1

    def add_answers(
        self, file: Path, category: str, split: Split | None, left_out: set[str]
    ) -> None:
        """A CSV file: a prompt a row, and of each model whether it was right."""
        for number, row in enumerate(_csv_rows(file)):
            text = row.get("prompt")
            if not text:
                raise ConfigurationError(f"{file}, row {number + 1}: a prompt was expected.")
            if text in left_out:
                continue
            prompt = self.add_prompt(text, f"{category}-{number}", category, split)
            for model, right in row.items():
                if model != "prompt" and not model.endswith(_RESPONSE):
                    score = _TRUTH.get(str(right).strip().lower())
                    if score is None:
                        raise ConfigurationError(
                            f"{file}, row {number + 1}: True or False was expected of {model!r}."
                        )
                    self.rows.append((prompt, model, score, row.get(model + _RESPONSE)))

    def add_judgements(self, evals: Path, left_out: set[str]) -> None:
        """MT-Bench: questions of two turns, each rated 1..10."""
        places: dict[Any, int] = {}
        for number, question in _json_rows(evals / _QUESTIONS):
            try:
                name, turns = question["question_id"], list(question["turns"])
                category = f"mt_bench_{question['category']}"
            except (KeyError, TypeError):
                raise ConfigurationError(
                    f"{evals / _QUESTIONS}, line {number}: question_id, category and turns were "
                    "expected."
                ) from None
            if not left_out.intersection(turns):
                places[name] = self.add_prompt(turns[0], f"mt_bench-{name}", category, "test")
        ratings: dict[tuple[int, str], list[float]] = {}
        known = {model for _, model, _, _ in self.rows}
        for number, judgement in _json_rows(evals / _JUDGEMENTS):
            try:
                place = places.get(judgement["question_id"])
                model, rating = str(judgement["model"]), float(judgement["score"])
            except (KeyError, TypeError, ValueError):
                raise ConfigurationError(
                    f"{evals / _JUDGEMENTS}, line {number}: question_id, model and score were "
                    "expected."
                ) from None
            # FastChat writes −1 where the judge gave no rating.
            if place is None or rating == -1 or (known and model not in known):
                continue
            if not _RATINGS[0] <= rating <= _RATINGS[1]:
                raise ConfigurationError(
                    f"{evals / _JUDGEMENTS}, line {number}: score is {rating:g}, not in 1..10."
                )
            ratings.setdefault((place, model), []).append(rating)
        low, high = _RATINGS
        for (place, model), found in ratings.items():
            self.rows.append((place, model, (np.mean(found).item() - low) / (high - low), None))


def _evals(path: Path) -> Path:
    return path / _EVALS if (path / _EVALS).is_dir() else path


def _contaminated(folder: Path) -> set[str]:
    """The prompts that RouteLLM leaves out of a benchmark."""
    path = folder / _CONTAMINATED
    if not path.is_file():
        raise ConfigurationError(
            f"no file {path}: RouteLLM leaves the prompts on that list out of its benchmark. Take "
            "a whole checkout of lm-sys/RouteLLM."
        )
    return {str(row.get("eval_prompt")) for _, row in _json_rows(path)}


def _csv_rows(file: Path) -> Iterator[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines, strict=True)
    except (csv.Error, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"{file} cannot be read as CSV: {type(fault).__name__}.") from None


def _json_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with the numbers of their lines."""
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ConfigurationError(f"{file}, line {number}: an object was expected.")
                    yield number, row
    except FileNotFoundError:
        raise ConfigurationError(
            f"no file {file}. Take a whole checkout of lm-sys/RouteLLM."
        ) from None
    except (ValueError, RecursionError) as fault:
        if isinstance(fault, ConfigurationError):
            raise
        raise ConfigurationError(
            f"{file} cannot be read as JSONL: {type(fault).__name__}."
        ) from None
