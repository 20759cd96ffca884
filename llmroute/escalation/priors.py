"""What is assumed of models and of forms of answers where nothing was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from llmroute.escalation.confidence_model import IN_FILE, ConfidenceModel, Positive

#: Models differ in how confident they are, so that before others of a model's confidences were
#: observed one alone says little. Round numbers, chosen on the train part of recorded answers.
_UNRANKED = ConfidenceModel(gap=0.8, centre=4.0, scale=6.0)


@dataclass(frozen=True)
class ModelPriors:
    """What is known of one model.

    Attributes:
        discrimination: How much the model's success depends on θ.
        shared_error_rate: By form, the probability that it makes the shared error when it is
            wrong; the form's own where it is missing.
        token: Of confidences that come with the answer.
        verified: Of verification calls.
        share: Of the share of its own samples that agree.
    """

    __pydantic_config__ = IN_FILE

    discrimination: Annotated[float, Field(ge=0)] = 1.5
    shared_error_rate: Mapping[str, float] = field(default_factory=dict)
    token: ConfidenceModel = _UNRANKED
    verified: ConfidenceModel = _UNRANKED
    share: ConfidenceModel = field(default_factory=ConfidenceModel)

    def confidence_model(self, kind: str) -> ConfidenceModel:
        """The model of one kind of confidence: `"token"`, `"verified"` or `"share"`."""
        confidence_model: ConfidenceModel = getattr(self, kind)
        return confidence_model


@dataclass(frozen=True)
class AnswerForm:
    """How answers of a form coincide.

    Two good ones agree with probability 1/(1 + right); two bad ones if both models make the shared
    error, and else with probability 1/(1 + other), by Ewens's rule.

    Attributes:
        right: Near 0 where there is one way to be right.
        shared_error_rate: Probability that a wrong model makes the error that models share.
        other: How many ways there are to be wrong besides, about.
    """

    __pydantic_config__ = IN_FILE

    right: Positive
    shared_error_rate: Annotated[float, Field(gt=0, lt=1)]
    other: Positive

    @property
    def wrong(self) -> float:
        """The concentration at which bad answers alone would agree as often as these do."""
        agree = self.shared_error_rate**2 + (1 - self.shared_error_rate) ** 2 / (1 + self.other)
        return 1 / agree - 1


#: Forms of answers before anything is measured, in round numbers: most models that choose wrongly
#: choose the same; there is one wrong "no"; numbers and texts can be wrong in many ways; the longer
#: a text, the more ways there are to say the same.
FORMS: Mapping[str, AnswerForm] = MappingProxyType(
    {
        "choice": AnswerForm(0.001, 0.7, 1.5),
        "yesno": AnswerForm(0.001, 0.9, 1.0),
        "number": AnswerForm(0.001, 0.5, 9.0),
        "date": AnswerForm(0.001, 0.5, 9.0),
        "tools": AnswerForm(0.1, 0.5, 9.0),
        "fields": AnswerForm(0.25, 0.5, 9.0),
        "json": AnswerForm(0.25, 0.5, 9.0),
        "text": AnswerForm(0.25, 0.5, 20.0),
        "prose": AnswerForm(2.0, 0.4, 40.0),
        "code": AnswerForm(4.0, 0.3, 40.0),
    }
)
