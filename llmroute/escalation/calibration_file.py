"""The calibration file: a judge fitted on a user's own outcomes, as JSON that can be reviewed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.escalation.belief import BeliefModel
from llmroute.escalation.calibration_fit import Recorded, fit_belief_model
from llmroute.escalation.confidence_model import ConfidenceModel
from llmroute.escalation.priors import AnswerForm, ModelPriors
from llmroute.files import write_whole
from llmroute.validation import read_json

#: Version of the file's format.
FORMAT = 1
#: Places that are kept of each number: the file is for reading too.
_PLACES = 6


#: What stands in the file under another name than in the code: format 1 came before the names.
_IN_FILE = {"intercept": "level", "discrimination": "reach", "shared_error_rate": "tempted"}


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        alias_generator=lambda name: _IN_FILE.get(name, name),
        populate_by_name=True,
    )


class _Curve(_Strict):
    knots: tuple[float, ...]
    intercept: float
    gap: float
    load: float
    both: float
    prior: float
    shared_error_rate: float
    spread: float = Field(gt=0)
    centre: float = 2.2
    scale: float = Field(default=2.5, gt=0)


class _Member(_Strict):
    discrimination: float = Field(ge=0)
    shared_error_rate: dict[str, float]
    token: _Curve
    verified: _Curve
    share: _Curve


class _Form(_Strict):
    right: float = Field(gt=0)
    shared_error_rate: float = Field(gt=0, lt=1)
    other: float = Field(gt=0)


class _File(_Strict):
    """What the file holds."""

    format: int
    source: str
    data_sha256: str
    prompts: int = Field(ge=0)
    forms: dict[str, _Form]
    members: dict[str, _Member]


@dataclass(frozen=True)
class Calibration:
    """A judge of named models, and what it was fitted on.

    Attributes:
        models: The M names.
        fitted: Their judge.
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

        Args:
            models: Names of the M models.
            recorded: Their answers.
            source: Name of the data, for the file.

        Raises:
            ConfigurationError: There are too few answers, or another number of models.
        """
        if len(models) != recorded.score.shape[1]:
            raise ConfigurationError(
                f"{len(models)} names were given for {recorded.score.shape[1]} models."
            )
        return cls(
            tuple(models),
            fit_belief_model(recorded),
            source,
            _digest(recorded),
            len(recorded.score),
        )

    def belief_model(self, names: Sequence[str]) -> BeliefModel:
        """The judge of a pool; a model that was not measured gets the rounded defaults.

        Args:
            names: The pool's models, in its order.
        """
        known = dict(zip(self.models, self.fitted.members, strict=True))
        members = [known.get(name, ModelPriors()) for name in names]
        return BeliefModel(members, self.fitted.forms)

    def save(self, path: str | Path) -> Path:
        """Writes the file, whole or not at all.

        Args:
            path: Where it goes.

        Raises:
            ArtifactError: It cannot be written.
        """
        members = dict(zip(self.models, self.fitted.members, strict=True))
        content = {
            "format": FORMAT,
            "source": self.source,
            "data_sha256": self.data_sha256,
            "prompts": self.prompts,
            "forms": {name: asdict(form) for name, form in self.fitted.forms.items()},
            "members": {name: asdict(member) for name, member in members.items()},
        }
        written = _File.model_validate(content).model_dump(by_alias=True)
        text = json.dumps(_rounded(written), indent=1, ensure_ascii=False) + "\n"
        try:
            write_whole(path, text)
        except OSError as fault:
            raise ArtifactError(f"cannot write the calibration to {path}: {fault}.") from fault
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Reads a file that `save` wrote.

        Args:
            path: The file.

        Raises:
            ArtifactError: It is missing, damaged, or of another format.
        """
        read = read_json(
            Path(path),
            _File,
            FORMAT,
            missing="no calibration at {path}: {fault}. `llmroute calibrate` writes one.",
            anew="Fit it again with this version.",
            copy="Copy the file again.",
            error=ArtifactError,
        )
        members = [_member(one) for one in read.members.values()]
        forms = {name: AnswerForm(**form.model_dump()) for name, form in read.forms.items()}
        belief_model = BeliefModel(members, forms)
        return cls(tuple(read.members), belief_model, read.source, read.data_sha256, read.prompts)


def _member(read: _Member) -> ModelPriors:
    values: dict[str, Any] = dict(read)
    for kind in ("token", "verified", "share"):
        values[kind] = ConfidenceModel(**dict(values[kind]))
    return ModelPriors(**values)


def _digest(recorded: Recorded) -> str:
    """Hash of all that the judge was fitted on."""
    digest = hashlib.sha256("\n".join(recorded.forms.tolist()).encode())
    for name in ("quality", "score", "groups", "token", "verified", "share"):
        table = getattr(recorded, name)
        digest.update(b"none" if table is None else np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()


def _rounded(value: Any) -> Any:
    """The same with every number cut to the places that are kept."""
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, _PLACES) if isinstance(value, float) else value
