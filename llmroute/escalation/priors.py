"""What is known of models and of forms of answers; and what is taken to be so where nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from llmroute.escalation.confidence_model import Curve

#: Models differ in how sure they are, so that before others of a model's confidences were heard
#: little can be read off one. Round numbers, chosen on the train part of recorded answers.
_SURE = Curve(gap=0.8, centre=4.0, scale=6.0)


@dataclass(frozen=True)
class Member:
    """What is known of one model.

    Attributes:
        reach: How much of d the model feels.
        tempted: By form, the probability that it falls for the tempting answer when it is wrong;
            the form's own where it is missing.
        token: The curve of confidences that come with the answer.
        verified: The curve of verification calls.
        share: The curve of the share of its own samples that agree.
    """

    reach: float = 1.5
    tempted: Mapping[str, float] = field(default_factory=dict)
    token: Curve = _SURE
    verified: Curve = _SURE
    share: Curve = field(default_factory=Curve)


@dataclass(frozen=True)
class Form:
    """How answers of a form coincide.

    Two good ones agree with probability 1/(1 + right); two bad ones if both models fall for the
    tempting one, and else with probability 1/(1 + other), by Ewens's rule.

    Attributes:
        right: Near 0 where there is one way to be right.
        tempted: Probability that a wrong model falls for the tempting answer.
        other: How many ways there are to be wrong besides, about.
    """

    right: float
    tempted: float
    other: float

    @property
    def wrong(self) -> float:
        """The concentration at which bad answers alone would agree as often as these do."""
        agree = self.tempted**2 + (1 - self.tempted) ** 2 / (1 + self.other)
        return 1 / agree - 1


#: Forms of answers as they are taken to be before anything is measured, in round numbers: most who
#: choose wrongly choose alike; there is one wrong "no"; numbers and texts can be wrong in many
#: ways; the longer a text, the more ways there are to say the same.
FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "choice": Form(0.001, 0.7, 1.5),
        "yesno": Form(0.001, 0.9, 1.0),
        "number": Form(0.001, 0.5, 9.0),
        "date": Form(0.001, 0.5, 9.0),
        "tools": Form(0.1, 0.5, 9.0),
        "fields": Form(0.25, 0.5, 9.0),
        "json": Form(0.25, 0.5, 9.0),
        "text": Form(0.25, 0.5, 20.0),
        "prose": Form(2.0, 0.4, 40.0),
        "code": Form(4.0, 0.3, 40.0),
    }
)
