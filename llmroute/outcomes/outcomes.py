"""`Outcomes`: the table of recorded outcomes, with its readers and its description."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from llmroute.errors import ConfigurationError
from llmroute.outcomes.describe import described
from llmroute.outcomes.readers.logs import read_document, read_lines, read_table
from llmroute.outcomes.readers.parquet import SAMPLES, read_parquet
from llmroute.outcomes.readers.routellm import is_checkout, read_routellm
from llmroute.outcomes.readers.routerbench import read_routerbench
from llmroute.outcomes.table import OUTCOMES, PROMPTS, OutcomeTable, Split, Wanted

#: How a file's name ends → what reads it.
_READERS: dict[str, Callable[[Path, Wanted], OutcomeTable]] = {
    ".csv": read_table,
    ".tsv": read_table,
    ".jsonl": read_lines,
    ".ndjson": read_lines,
    ".json": read_document,
    ".pkl": read_routerbench,
    ".pickle": read_routerbench,
}


@dataclass(frozen=True)
class Outcomes(OutcomeTable):
    """Recorded outcomes, read from anywhere; `OutcomeTable` says what they hold.

    outcomes = Outcomes.read("my_log.csv", "train")
    print(outcomes.describe())
    """

    @classmethod
    def read(
        cls,
        path: str | Path,
        split: Split | None = None,
        *,
        responses: bool = False,
        samples: bool = False,
        score_name: str | None = None,
    ) -> Self:
        """Reads recorded outcomes of any kind that docs/outcomes.md describes.

        A folder of `prompts.parquet` and `outcomes.parquet`; a log of your own as CSV, TSV or
        JSONL; an export of LangSmith or Langfuse; one of RouterBench's pickles; or a checkout of
        RouteLLM's repository. Rows whose split is `exclude` are never returned.

        Args:
            path: The file or folder.
            split: `"train"` or `"test"`; None for both.
            responses: Also read the answers' texts, which can be most of the file.
            samples: Also read `samples.parquet` of the folder.
            score_name: Which feedback score of a trace, or which column of a log, is the quality;
                needed when a trace has several.

        Raises:
            ConfigurationError: The data are missing or cannot be used, with the rows at fault; or
                no prompt is left.
            MissingExtra: pyarrow is needed and not installed.
        """
        if split not in ("train", "test", None):
            raise ConfigurationError(f"split is 'train', 'test' or None; {split!r} was given.")
        path, wanted = Path(path), Wanted(split, responses, score_name)
        is_folder_of_outcomes = (path / PROMPTS).is_file()
        reader = _READERS.get(path.suffix.lower())
        if samples and not is_folder_of_outcomes:
            raise ConfigurationError(
                f"{path} has no samples: they are read from a folder with {SAMPLES}."
            )
        if score_name is not None and (path.is_dir() or reader is read_routerbench):
            raise ConfigurationError(
                f"{path} has one score only; a score_name is for logs and traces. Read it without."
            )
        if path.is_dir():
            if is_checkout(path) and not is_folder_of_outcomes:
                table = read_routellm(path, wanted)
            else:
                table = read_parquet(path, wanted, samples)
        elif not path.is_file():
            raise ConfigurationError(
                f"no file or folder {path}. A folder of outcomes holds {PROMPTS} and {OUTCOMES}."
            )
        elif reader is None:
            raise ConfigurationError(
                f"{path}: a name that ends in {', '.join(_READERS)}, or a folder, was expected. "
                "A parquet file is read as part of its folder."
            )
        else:
            table = reader(path, wanted)
        return cls(**vars(table))

    def describe(self) -> str:
        """What the table holds and what it can carry: sizes, means, holes, warnings."""
        return described(self)


def default_data() -> Path | None:
    """The folder that holds the recorded outcomes, or None where there is none.

    `LLMROUTE_DATA` when it is set, otherwise `../shared/data` beside the repository or the current
    directory.
    """
    stated = os.environ.get("LLMROUTE_DATA")
    if stated:
        return Path(stated) if Path(stated).is_dir() else None
    roots = (Path(__file__).resolve().parents[2], Path.cwd())
    folders = [root.parent / "shared" / "data" for root in roots]
    return next(filter(Path.is_dir, folders), None)
