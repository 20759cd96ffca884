"""Readers of recorded outcomes: one table type out of many sources.

- `parquet`: folders of prompts.parquet and outcomes.parquet
- `logs`: logs of your own, as CSV, TSV or JSONL
- `traces`: exports of LangSmith and Langfuse, through `langsmith`, `langfuse` and `calls`
- `routerbench`: RouterBench's pickles, through `pickles` and `frames`, which run nothing
- `routellm`: a checkout of RouteLLM's repository
- `download`: fetches RouterBench's pickles, when it is asked to
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llmroute.errors import ConfigurationError
from llmroute.outcomes.readers.parquet import SAMPLES, is_folder_of_outcomes, read_parquet
from llmroute.outcomes.readers.routellm import is_checkout, read_routellm
from llmroute.outcomes.table import OUTCOMES, PROMPTS, OutcomeTable, Split

_LOGS = (".csv", ".tsv")
_LINES = (".jsonl", ".ndjson")
_PICKLES = (".pkl", ".pickle")


def read(
    path: str | Path,
    split: Split | None = None,
    *,
    responses: bool = False,
    samples: bool = False,
    score_name: str | None = None,
) -> OutcomeTable:
    """Reads recorded outcomes; what the path is decides how.

    Args:
        path: A folder of parquet files, a checkout of RouteLLM's repository, or a file whose name
            ends in .csv, .tsv, .jsonl, .ndjson, .json, .pkl or .pickle.
        split: `"train"` or `"test"`; None for both. Rows whose split is `exclude` are never
            returned.
        responses: Also read the answers' texts, which can be most of the file.
        samples: Also read a folder's `samples.parquet`.
        score_name: Which feedback score of a trace, or which column of a log, is the quality;
            needed when a trace has several.

    Raises:
        ConfigurationError: The data are missing or cannot be used, with the rows at fault; or no
            prompt is left.
        MissingExtra: pyarrow is needed and not installed.
    """
    if split not in ("train", "test", None):
        raise ConfigurationError(f"split is 'train', 'test' or None; {split!r} was given.")
    path = Path(path)
    if samples and not is_folder_of_outcomes(path):
        raise ConfigurationError(
            f"{path} has no samples: they are read from a folder with {SAMPLES}."
        )
    if score_name is not None and (path.is_dir() or path.suffix.lower() in _PICKLES):
        raise ConfigurationError(
            f"{path} has one score only; a score_name is for logs and traces. Read it without."
        )
    if path.is_dir():
        return _read_folder(path, split, responses, samples)
    if not path.is_file():
        raise ConfigurationError(
            f"no file or folder {path}. A folder of outcomes holds {PROMPTS} and {OUTCOMES}."
        )
    return _reader(path)(path, split, responses, score_name)


def _read_folder(path: Path, split: Split | None, responses: bool, samples: bool) -> OutcomeTable:
    if not is_folder_of_outcomes(path) and is_checkout(path):
        return read_routellm(path, split, responses=responses)
    return read_parquet(path, split, responses=responses, samples=samples)


def _reader(path: Path) -> Callable[[Path, Split | None, bool, str | None], OutcomeTable]:
    ending = path.suffix.lower()
    if ending in _LOGS:
        from llmroute.outcomes.readers.logs import read_table

        return read_table
    if ending in _LINES:
        from llmroute.outcomes.readers.logs import read_lines

        return read_lines
    if ending == ".json":
        from llmroute.outcomes.readers.logs import read_document

        return read_document
    if ending in _PICKLES:
        from llmroute.outcomes.readers.routerbench import read_routerbench

        return read_routerbench
    raise ConfigurationError(
        f"{path}: a name that ends in {', '.join((*_LOGS, *_LINES, '.json', *_PICKLES))}, or a "
        f"folder, was expected. A parquet file is read as part of its folder."
    )


__all__ = ["read"]
