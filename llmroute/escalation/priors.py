"""What is known of models and of forms of answers; and what is taken to be so where nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from llmroute.escalation.confidence_model import ConfidenceModel

#: Models differ in how sure they are, so that before others of a model's confidences were heard
#: little can be read off one. Round numbers, chosen on the train part of recorded answers.
_SURE = ConfidenceModel(gap=0.8, centre=4.0, scale=6.0)


@dataclass(frozen=True)
class ModelPriors:
    """What is known of one model.

    Attributes:
        discrimination: How much of d the model feels.
        shared_error_rate: By form, the probability that it falls for the tempting answer when it is
            wrong; the form's own where it is missing.
        token: The curve of confidences that come with the answer.
        verified: The curve of verification calls.
        share: The curve of the share of its own samples that agree.
    """

    discrimination: float = 1.5
    shared_error_rate: Mapping[str, float] = field(default_factory=dict)
    token: ConfidenceModel = _SURE
    verified: ConfidenceModel = _SURE
    share: ConfidenceModel = field(default_factory=ConfidenceModel)


@dataclass(frozen=True)
class AnswerForm:
    """How answers of a form coincide.

    Two good ones agree with probability 1/(1 + right); two bad ones if both models fall for the
    tempting one, and else with probability 1/(1 + other), by Ewens's rule.

    Attributes:
        right: Near 0 where there is one way to be right.
        shared_error_rate: Probability that a wrong model falls for the tempting answer.
        other: How many ways there are to be wrong besides, about.
    """

    right: float
    shared_error_rate: float
    other: float

    @property
    def wrong(self) -> float:
        """The concentration at which bad answers alone would agree as often as these do."""
        agree = self.shared_error_rate**2 + (1 - self.shared_error_rate) ** 2 / (1 + self.other)
        return 1 / agree - 1


#: Forms of answers as they are taken to be before anything is measured, in round numbers: most who
#: choose wrongly choose alike; there is one wrong "no"; numbers and texts can be wrong in many
#: ways; the longer a text, the more ways there are to say the same.
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
