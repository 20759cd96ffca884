"""How good the answers in hand are, and what a further call would add.

A model's answer is good with probability σ(level + reach · d). d is what the prompt holds that its
text does not show: one number for all models, which is not known. The level is such that the mean
over d is what the scorer says of model and prompt, so before anything is heard the scorer's word
stands. Each generation tells of d and of its answer by:

- whether it agrees with others. Good answers agree, but for how they are worded. Of bad ones, one
  is tempting: a model falls for it with a probability that grows with its ability, and so able
  models can agree and be wrong. The others coincide now and then;
- how sure it was. Confidences of good answers lie highest, those of the tempting one come next.

All that is known follows by summing over a grid of d and over which of the answers are good, which
is the tempting one, and which are just wrong. So the same numbers say how good an answer is, what a
model not yet asked would do, and how both would change with its answer: what planning needs
(cascade routing, arXiv 2410.10347).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from llmroute.errors import ConfigurationError
from llmroute.escalation.votes import NO_ANSWER, Vote

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: The values of d, in standard deviations of a normal.
GRID: Floats = np.linspace(-3.5, 3.5, 15)
#: How probable each of them is before anything is heard.
WEIGHTS: Floats = np.exp(-0.5 * GRID**2) / np.exp(-0.5 * GRID**2).sum()
#: Levels at which the mean success is worked out; between them it is interpolated.
LEVELS: Floats = np.linspace(-16.0, 16.0, 257)
#: Where confidences are cut when a plan imagines those to come.
_CUTS: Floats = np.array([-1.0, 0.0, 1.0])
#: Probabilities nearer to 0 or 1 than this say no more.
_LEAST = 1e-4
#: No confidence counts for more than this many standard deviations.
_MOST = 2.4
#: Of more different answers than this, at most two are taken to be good: it keeps the sums short.
_MANY = 5


@dataclass(frozen=True)
class Curve:
    """How one kind of confidence of one model depends on whether its answer is good.

    A confidence becomes a standard score by its place among `knots`, evenly spaced quantiles of the
    model's confidences; the score is normal about level + gap·good + load·d + both·good·d
    + prior·logit + tempted·(the answer is the tempting one).

    Attributes:
        knots: (K,) rising quantiles of the confidence, 0..1; empty where none are known, and the
            score is then the logit's, as `_LOGIT_CENTRE` and `_LOGIT_SCALE` place it.
        level: Mean of bad answers' scores.
        gap: How much higher good answers' lie.
        load: What d adds.
        both: What d adds for good answers.
        prior: What the prior logit adds.
        tempted: How much higher the scores of the tempting answer lie.
        spread: Standard deviation.
    """

    knots: tuple[float, ...] = ()
    level: float = -0.6
    gap: float = 0.9
    load: float = 0.2
    both: float = 0.0
    prior: float = 0.0
    tempted: float = 0.3
    spread: float = 0.85


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
    token: Curve = field(default_factory=Curve)
    # Weak models are poor judges of their own answers (AutoMix, arXiv 2310.12963).
    verified: Curve = field(default_factory=lambda: Curve(gap=0.5))
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
#: A confidence's score where no knots are known: its logit, centred on a probability of 0.9.
_LOGIT_CENTRE, _LOGIT_SCALE = 2.2, 2.5


@dataclass(frozen=True)
class Prospects:
    """What may come of one action: O outcomes.

    Attributes:
        chance: (O,) probability of each.
        held: (O,) probability that it comes so and the best answer then in hand is good.
        able: (O, M) probability that it comes so and a call of each model would be good.
    """

    chance: Floats
    held: Floats
    able: Floats


class Belief:
    """What is known once some generations were heard. Made by `Judge.belief`.

    Attributes:
        answers: Numbers of the G different answers; `NO_ANSWER` for a generation without one.
        voters: For each of them, the models that gave it.
        good: (G,) probability that it is good, 0..1.
        able: (M,) probability that a further call of each model would be good, 0..1.
    """

    def __init__(self, judge: Judge, logits: Floats, heard: Sequence[_Heard], form: str) -> None:
        self._judge, self._logits, self._heard = judge, logits, heard
        self._form, self._tempted = judge.forms[form], judge.tempted[form]
        self.answers, self.voters = _grouped(heard)
        self._sizes = np.array([len(voters) for voters in self.voters], dtype=np.float64)
        self._labels = _labellings(len(self.answers))
        self._success = judge.success(logits)
        self._weights = self._posterior()
        self.good: Floats = self._labels.good.T @ self._weights.sum(axis=1)
        self.able: Floats = self._success @ self._weights.sum(axis=0)

    @property
    def best(self) -> int:
        """Place in `answers` of the one that is most likely good; -1 where there is none."""
        return int(np.argmax(self.good)) if len(self.good) else -1

    @property
    def held(self) -> float:
        """Probability that the best answer in hand is good; 0 where there is none."""
        return float(self.good.max(initial=0.0))

    @property
    def asked(self) -> frozenset[int]:
        """The models that were heard."""
        return frozenset(one.model for one in self._heard)

    @property
    def verified(self) -> frozenset[int]:
        """The models whose answer was verified."""
        return frozenset(one.model for one in self._heard if one.score("verified") is not None)

    @property
    def sampled(self) -> frozenset[int]:
        """The models that were heard more than once."""
        return frozenset(one.model for one in self._heard if one.score("share") is not None)

    @property
    def speaker(self) -> int:
        """The model whose answer to return: the ablest of those that gave the best one."""
        if self.best < 0:
            raise ConfigurationError("no answer was heard, so there is none to return.")
        return max(self.voters[self.best], key=lambda model: float(self.able[model]))

    def after_asking(self, model: int, *, confident: bool) -> Prospects:
        """What may come of asking a model.

        Args:
            model: Its column, of one that was not heard yet.
            confident: Whether its confidence would come with the answer.
        """
        form, labels, weights = self._form, self._labels, self._weights
        # By what the answer is: (G + 1, L, D), one of those in hand or, in the last row, a new one.
        goods = weights / (form.right + labels.good @ self._sizes)[:, None]
        others = weights / (form.other + labels.other @ self._sizes)[:, None]
        untempted = weights * (1 - labels.tempting.sum(axis=1))[:, None]
        joins = (
            _joined(labels.good * self._sizes, goods, form.right * goods),
            _joined(labels.tempting, weights, untempted),
            _joined(labels.other * self._sizes, others, form.other * others),
        )
        success, tempted = self._success[model], self._tempted[model]
        chances = success, (1 - success) * tempted, (1 - success) * (1 - tempted)
        whole = labels.with_all
        parts = [
            np.tensordot(whole, join, axes=(0, 1)) * chance
            for join, chance in zip(joins, chances, strict=True)
        ]
        if confident:
            seen = self._judge.seen("token", model, float(self._logits[model]))
        else:
            seen = (np.ones((1, len(GRID))),) * 3
        joint = _summed([part @ bins.T for part, bins in zip(parts, seen, strict=True)])
        held = joint[1:].max(axis=0, initial=0.0)  # (G + 1, bins)
        held[-1] = np.maximum(held[-1], parts[0][0, -1] @ seen[0].T)
        grid = _summed([part[0][:, None] * b for part, b in zip(parts, seen, strict=True)])
        return self._prospects(joint[0].ravel(), held.ravel(), grid.reshape(-1, len(GRID)))

    def after_checking(self, model: int, kind: str = "verified") -> Prospects:
        """What may come of a further opinion on a model's answer.

        Args:
            model: Its column, of one that was heard.
            kind: `"verified"` for a verification call, `"share"` for further samples of it.
        """
        place = next(g for g, voters in enumerate(self.voters) if model in voters)
        labels = self._labels
        states = labels.good, labels.tempting, labels.other
        parts = [(labels.with_all * state[:, [place]]).T @ self._weights for state in states]
        seen = self._judge.seen(kind, model, float(self._logits[model]))
        joint = _summed([part @ bins.T for part, bins in zip(parts, seen, strict=True)])
        grid = _summed([part[0] * bins for part, bins in zip(parts, seen, strict=True)])
        return self._prospects(joint[0], joint[1:].max(axis=0), grid)

    def _prospects(self, chance: Floats, held: Floats, grid: Floats) -> Prospects:
        return Prospects(chance=chance, held=held, able=grid @ self._success.T)

    def _posterior(self) -> Floats:
        """(L, D) probability of each labelling of the answers and of each d."""
        logs = np.zeros((3, len(self.answers), len(GRID)))
        for one in self._heard:
            place = next(g for g, voters in enumerate(self.voters) if one.model in voters)
            success, tempted = self._success[one.model], self._tempted[one.model]
            wrong = np.log1p(-success)
            logs[0, place] += np.log(success)
            logs[1, place] += wrong + math.log(tempted)
            logs[2, place] += wrong + math.log1p(-tempted)
            logs[:, place] += self._judge.likelihoods(one, float(self._logits[one.model]))
        labels = self._labels
        weights = self._judge.log_weights + labels.good @ logs[0]
        weights += labels.tempting @ logs[1] + labels.other @ logs[2]
        weights += _ewens(self._sizes, labels.good, self._form.right)[:, None]
        weights += _ewens(self._sizes, labels.other, self._form.other)[:, None]
        weights = np.exp(weights - weights.max())
        result: Floats = weights / weights.sum()
        return result


@dataclass(frozen=True)
class _Labels:
    """The L ways in which G answers can be good, tempting or else wrong, as 0 and 1.

    Attributes:
        good: (L, G).
        tempting: (L, G), at most one in a row.
        other: (L, G).
        with_all: (L, 1 + G) `good` after a column of ones, which sums over all.
    """

    good: Floats
    tempting: Floats
    other: Floats
    with_all: Floats


@dataclass(frozen=True)
class _Heard:
    """All generations of one model as one: its answer, and each kind of confidence in it."""

    model: int
    answer: int
    scores: tuple[tuple[str, float], ...]

    def score(self, kind: str) -> float | None:
        """The confidence of a kind, 0..1, or None."""
        return dict(self.scores).get(kind)


class Judge:
    """Judges answers of a pool's M models. Thread-safe: nothing changes once it is made.

    Args:
        members: What is known of each model, in the pool's order; `Judge.unfitted` for nothing.
        forms: How answers of each form coincide; a form it lacks counts as `"text"`.
    """

    def __init__(
        self,
        members: Sequence[Member],
        forms: Mapping[str, Form] = FORMS,
    ) -> None:
        self.members = tuple(members)
        self.forms: Mapping[str, Form] = {**FORMS, **forms}
        self.weights: Floats = WEIGHTS
        self.log_weights: Floats = np.log(WEIGHTS)
        self._means = [mean_success(member.reach) for member in self.members]
        self._felt = np.array([[member.reach] for member in self.members]) * GRID
        self.tempted: Mapping[str, Floats] = {
            name: np.array([m.tempted.get(name, form.tempted) for m in self.members])
            for name, form in self.forms.items()
        }

    @classmethod
    def unfitted(cls, models: int) -> Judge:
        """The judge of models nobody has measured: the same rounded numbers for all.

        Args:
            models: How many there are.
        """
        return cls([Member()] * models)

    def belief(self, prior: Floats, votes: Sequence[Vote], form: str | None = None) -> Belief:
        """What the generations heard so far say.

        Several generations of one model are one vote: the answer it gave most often, the first of
        equals, and the share of its generations that did.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
            votes: The generations, in any order.
            form: What kind of answer the prompt asks for; see `FORMS`. None counts as text.
        """
        if prior.shape != (len(self.members),):
            raise ConfigurationError(
                f"the judge knows {len(self.members)} models; a prior of shape {prior.shape} was "
                "given."
            )
        logits = _logit(np.asarray(prior, dtype=np.float64))
        known = form if form is not None and form in self.forms else "text"
        return Belief(self, logits, _heard(votes), known)

    def success(self, logits: Floats) -> Floats:
        """(M, D) success probability of each model at each d; (P, M, D) for P prompts.

        Args:
            logits: (M,) or (P, M) logits of the prior.
        """
        prior = _sigmoid(logits)
        level = np.array(
            [np.interp(prior[..., m], mean, LEVELS) for m, mean in enumerate(self._means)]
        ).T
        inner = level[..., None] + self._felt
        # Cheaper than numpy.clip: this runs for every decision.
        result: Floats = np.minimum(np.maximum(_sigmoid(inner), _LEAST), 1 - _LEAST)
        return result

    def likelihoods(self, one: _Heard, logit: float) -> Floats:
        """(3, D) log-likelihoods of a model's confidences: answer good, tempting, else wrong."""
        logs = np.zeros((3, len(GRID)))
        for kind, confidence in one.scores:
            curve = self.curve(kind, one.model)
            away = standard_score(curve, confidence) - _centres(curve, logit)
            logs -= 0.5 * (away / curve.spread) ** 2
        return logs

    def imagined(self, kind: str, model: int, logit: float) -> tuple[Floats, Floats]:
        """(4, D) each: chance that a confidence falls between the cuts; answer good, and bad."""
        good, tempting, other = self.seen(kind, model, logit)
        tempted = float(self.tempted["text"][model])
        return good, tempted * tempting + (1 - tempted) * other

    def seen(self, kind: str, model: int, logit: float) -> tuple[Floats, Floats, Floats]:
        """(4, D) each: chance that a confidence falls between the cuts; good, tempting, wrong."""
        curve = self.curve(kind, model)
        below = _normal((_CUTS[:, None, None] - _centres(curve, logit)) / curve.spread)
        bins = np.diff(below, axis=0, prepend=0.0, append=1.0)
        return bins[:, 0], bins[:, 1], bins[:, 2]

    def curve(self, kind: str, model: int) -> Curve:
        """The curve of one kind of confidence: `"token"`, `"verified"` or `"share"`."""
        curve: Curve = getattr(self.members[model], kind)
        return curve


@lru_cache(maxsize=1024)
def mean_success(reach: float) -> Floats:
    """Mean success over d at each of `LEVELS`, rising.

    Args:
        reach: How much of d the model feels.
    """
    result: Floats = _sigmoid(LEVELS[:, None] + reach * GRID) @ WEIGHTS
    return result


def standard_score(curve: Curve, confidence: float) -> float:
    """A confidence as its curve counts it.

    Args:
        curve: The curve.
        confidence: 0..1.
    """
    if curve.knots:
        places = np.linspace(0, 1, len(curve.knots))
        place = float(np.interp(confidence, curve.knots, places))
        return max(-_MOST, min(_MOST, _quantile(place)))
    inside = min(max(confidence, _LEAST), 1 - _LEAST)
    score = (math.log(inside / (1 - inside)) - _LOGIT_CENTRE) / _LOGIT_SCALE
    return max(-_MOST, min(_MOST, score))


def _centres(curve: Curve, logit: float) -> Floats:
    """(3, D) mean scores of a good answer, the tempting one, and another wrong one."""
    base = curve.level + curve.prior * logit + curve.load * GRID
    return np.stack([base + curve.gap + curve.both * GRID, base + curve.tempted, base])


def _heard(votes: Sequence[Vote]) -> list[_Heard]:
    """One entry for each model, in the order of their first generations."""
    by_model: dict[int, list[Vote]] = {}
    for vote in votes:
        by_model.setdefault(vote.model, []).append(vote)
    return [_as_one(model, given) for model, given in by_model.items()]


def _as_one(model: int, votes: Sequence[Vote]) -> _Heard:
    answers = [vote.answer for vote in votes if vote.answer != NO_ANSWER]
    answer = max(answers, key=answers.count) if answers else NO_ANSWER
    chosen = [vote for vote in votes if vote.answer == answer]
    scores = []
    for kind, told in (
        ("token", [vote.confidence for vote in chosen]),
        ("verified", [vote.verified for vote in chosen]),
    ):
        known = [value for value in told if not math.isnan(value)]
        if known:
            scores.append((kind, sum(known) / len(known)))
    if len(votes) > 1:
        # As after one more sample of each kind: two of two say less than ten of ten.
        scores.append(("share", (len(chosen) + 1) / (len(votes) + 2)))
    return _Heard(model, answer, tuple(scores))


def _grouped(heard: Sequence[_Heard]) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The different answers and their voters; a generation without an answer stands alone."""
    groups: dict[object, list[_Heard]] = {}
    for one in heard:
        key = one.answer if one.answer != NO_ANSWER else ("none", one.model)
        groups.setdefault(key, []).append(one)
    return (
        tuple(members[0].answer for members in groups.values()),
        tuple(tuple(one.model for one in members) for members in groups.values()),
    )


@lru_cache
def _labellings(answers: int) -> _Labels:
    most_good = 2 if answers > _MANY else answers
    rows = [
        row
        for row in itertools.product((0, 1, 2), repeat=answers)
        if row.count(1) <= 1 and row.count(0) <= most_good
    ]
    table = np.array(rows, dtype=np.int64).reshape(len(rows), answers)
    good, tempting, other = ((table == state).astype(np.float64) for state in range(3))
    return _Labels(good, tempting, other, np.hstack([np.ones((len(rows), 1)), good]))


def _joined(joins: Floats, weights: Floats, new: Floats) -> Floats:
    """(G + 1, L, D) weights by the answer that is joined, (L, G), and of a new one."""
    result: Floats = np.concatenate([joins.T[:, :, None] * weights, new[None]])
    return result


def _summed(parts: Sequence[Floats]) -> Floats:
    result: Floats = parts[0] + parts[1] + parts[2]
    return result


def _ewens(sizes: Floats, labels: Floats, concentration: float) -> Floats:
    """(L,) log-probability that the labelled votes fall into just these groups (Ewens's rule)."""
    total = (labels @ sizes).astype(np.int64)
    within = np.array([math.lgamma(size) for size in sizes.tolist()])
    steps = np.log(concentration + np.arange(max(int(sizes.sum()), 1)))
    up_to = np.concatenate([[0.0], np.cumsum(steps)])
    result: Floats = labels @ (math.log(concentration) + within) - up_to[total]
    return result


def _sigmoid(inner: Floats) -> Floats:
    # tanh is the logistic function that never overflows.
    result: Floats = 0.5 * (1 + np.tanh(0.5 * inner))
    return result


def _logit(share: Floats) -> Floats:
    inside = np.clip(share, _LEAST, 1 - _LEAST)
    result: Floats = np.log(inside / (1 - inside))
    return result


def _normal(scores: Floats) -> Floats:
    """The normal distribution function, to three places, which is all that planning needs."""
    result: Floats = 0.5 * (1 + np.tanh(0.7978845608 * (scores + 0.044715 * scores**3)))
    return result


def _quantile(place: float) -> float:
    """The normal score of a place 0..1, within the scores that count."""
    inside = min(max(place, 1e-6), 1 - 1e-6)
    return NormalDist().inv_cdf(inside)
