"""The calibration file: what was fitted on a user's own outcomes, as JSON that can be reviewed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.calibration_fit import Recorded, fit_belief_model
from llmroute.escalation.priors import AnswerForm, ModelPriors
from llmroute.files import write_atomically
from llmroute.validation import read_json

#: Version of the file's format.
FORMAT = 1
#: Decimal places that are kept of each number: the file is for reading too.
_PLACES = 6


class _File(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    format: int
    source: str
    data_sha256: str
    prompts: int = Field(ge=0)
    forms: dict[str, AnswerForm]
    members: dict[str, ModelPriors]


@dataclass(frozen=True)
class Calibration:
    """What was fitted for named models.

    Attributes:
        models: The M names.
        fitted: Their belief model.
        source: Name of the data.
        data_sha256: Hash of the answers it was fitted on.
        prompts: How many prompts they were.
    """

    models: tuple[str, ...]
    fitted: BeliefModel
    source: str
    data_sha256: str
    prompts: int

    @classmethod
    def fit(
        cls, models: Sequence[str], recorded: Recorded, source: str = "outcomes"
    ) -> Calibration:
        """Calibrates on recorded answers.

        Raises:
            ConfigurationError: There are too few answers, or another number of models.
        """
        if len(models) != recorded.score.shape[1]:
            raise ConfigurationError(
                f"{len(models)} names were given for {recorded.score.shape[1]} models."
            )
        fitted = fit_belief_model(recorded)
        return cls(tuple(models), fitted, source, _digest(recorded), len(recorded.score))

    def belief_model(self, names: Sequence[str]) -> BeliefModel:
        """The belief model of a pool; a model that was not measured gets the rounded defaults."""
        known = dict(zip(self.models, self.fitted.members, strict=True))
        members = [known.get(name, ModelPriors()) for name in names]
        return BeliefModel(members, self.fitted.forms)

    def save(self, path: str | Path) -> Path:
        """Writes the file atomically.

        Raises:
            ArtifactError: It cannot be written.
        """
        content = _File(
            format=FORMAT,
            source=self.source,
            data_sha256=self.data_sha256,
            prompts=self.prompts,
            forms=dict(self.fitted.forms),
            members=dict(zip(self.models, self.fitted.members, strict=True)),
        )
        rounded = _rounded(content.model_dump(by_alias=True))
        try:
            write_atomically(path, json.dumps(rounded, indent=1, ensure_ascii=False) + "\n")
        except OSError as fault:
            raise ArtifactError(f"cannot write the calibration to {path}: {fault}.") from fault
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Reads a file that `save` wrote.

        Raises:
            ArtifactError: It is missing, damaged, or of another format.
        """
        content = read_json(
            Path(path),
            _File,
            FORMAT,
            missing="no calibration at {path}: {fault}. `llmroute calibrate` writes one.",
            anew="Fit it again with this version.",
            copy="Copy the file again.",
            error=ArtifactError,
        )
        return cls(
            tuple(content.members),
            BeliefModel([*content.members.values()], content.forms),
            content.source,
            content.data_sha256,
            content.prompts,
        )


def _digest(recorded: Recorded) -> str:
    """Hash of all that was fitted on."""
    digest = hashlib.sha256("\n".join(recorded.forms.tolist()).encode())
    for name in ("quality", "score", "groups", "token", "verified", "share"):
        table = getattr(recorded, name)
        digest.update(b"none" if table is None else np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()


def _rounded(value: Any) -> Any:
    """The same with every number rounded to the decimal places that are kept."""
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, _PLACES) if isinstance(value, float) else value
