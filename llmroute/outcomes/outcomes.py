"""`Outcomes`: the table of recorded outcomes, with its readers and its description."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from llmroute.outcomes.describe import described
from llmroute.outcomes.readers import read
from llmroute.outcomes.table import OutcomeTable, Split


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
        table = read(path, split, responses=responses, samples=samples, score_name=score_name)
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
    repository = Path(__file__).resolve().parents[2]
    for root in (repository, Path.cwd()):
        folder = root.parent / "shared" / "data"
        if folder.is_dir():
            return folder
    return None
