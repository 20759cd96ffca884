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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.answers.votes import Vote
from llmroute.errors import ConfigurationError
from llmroute.escalation.confidence_model import (
    ConfidenceModel,
    chances,
    log_likelihoods,
    standard_score,
)
from llmroute.escalation.evidence import ModelEvidence, grouped, observed
from llmroute.escalation.hypotheses import all_hypotheses, ewens
from llmroute.escalation.latent_difficulty import (
    GRID,
    LEAST,
    WEIGHTS,
    inside,
    intercept_for,
    mean_success,
)
from llmroute.escalation.priors import FORMS, AnswerForm, ModelPriors
from llmroute.numerics import Floats, logit
from llmroute.state.confidence_ranks import ConfidenceRanks


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
    """What is known once some generations were heard. Made by `BeliefModel.belief`.

    Attributes:
        answers: Numbers of the G different answers; `NO_ANSWER` for a generation without one.
        voters: For each of them, the models that gave it.
        good: (G,) probability that it is good, 0..1.
        able: (M,) probability that a further call of each model would be good, 0..1.
    """

    def __init__(
        self,
        belief_model: BeliefModel,
        prior: Floats,
        evidence: Sequence[ModelEvidence],
        form: str,
        ranks: ConfidenceRanks,
    ) -> None:
        self._ranks = ranks
        self._belief_model, self._logits, self._evidence = (
            belief_model,
            logit(prior, LEAST),
            evidence,
        )
        self._kind, self._form, self._shared_error_rate = (
            form,
            belief_model.forms[form],
            belief_model.shared_error_rate[form],
        )
        self.answers, self.voters = grouped(evidence)
        self._sizes = np.array([len(voters) for voters in self.voters], dtype=np.float64)
        self._hypotheses = all_hypotheses(len(self.answers))
        self._success = belief_model.success(prior)
        self._weights = self._posterior()
        self.good: Floats = self._hypotheses.good.T @ self._weights.sum(axis=1)
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
        return frozenset(one.model for one in self._evidence)

    @property
    def verified(self) -> frozenset[int]:
        """The models whose answer was verified."""
        return frozenset(one.model for one in self._evidence if one.score("verified") is not None)

    @property
    def sampled(self) -> frozenset[int]:
        """The models that were heard more than once."""
        return frozenset(one.model for one in self._evidence if one.score("share") is not None)

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
        form, labels, weights = self._form, self._hypotheses, self._weights
        # By what the answer is: (G + 1, L, D), one of those in hand or, in the last row, a new one.
        goods = weights / (form.right + labels.good @ self._sizes)[:, None]
        others = weights / (form.other + labels.other @ self._sizes)[:, None]
        unshared = weights * (1 - labels.shared_error.sum(axis=1))[:, None]
        joins = (
            _joined(labels.good * self._sizes, goods, form.right * goods),
            _joined(labels.shared_error, weights, unshared),
            _joined(labels.other * self._sizes, others, form.other * others),
        )
        success, shared_error_rate = self._success[model], self._shared_error_rate[model]
        chances = (
            success,
            (1 - success) * shared_error_rate,
            (1 - success) * (1 - shared_error_rate),
        )
        whole = labels.with_all
        parts = [
            np.tensordot(whole, join, axes=(0, 1)) * chance
            for join, chance in zip(joins, chances, strict=True)
        ]
        if confident:
            seen = self._belief_model.seen("token", model, float(self._logits[model]))
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
        labels = self._hypotheses
        states = labels.good, labels.shared_error, labels.other
        parts = [(labels.with_all * state[:, [place]]).T @ self._weights for state in states]
        seen = self._belief_model.seen(kind, model, float(self._logits[model]))
        joint = _summed([part @ bins.T for part, bins in zip(parts, seen, strict=True)])
        grid = _summed([part[0] * bins for part, bins in zip(parts, seen, strict=True)])
        return self._prospects(joint[0], joint[1:].max(axis=0), grid)

    def _prospects(self, chance: Floats, held: Floats, grid: Floats) -> Prospects:
        return Prospects(chance=chance, held=held, able=grid @ self._success.T)

    def _posterior(self) -> Floats:
        """(L, D) probability of each labelling of the answers and of each d."""
        logs = np.zeros((3, len(self.answers), len(GRID)))
        for one in self._evidence:
            place = next(g for g, voters in enumerate(self.voters) if one.model in voters)
            success, shared_error_rate = (
                self._success[one.model],
                self._shared_error_rate[one.model],
            )
            wrong = np.log1p(-success)
            logs[0, place] += np.log(success)
            logs[1, place] += wrong + math.log(shared_error_rate)
            logs[2, place] += wrong + math.log1p(-shared_error_rate)
            logit = float(self._logits[one.model])
            logs[:, place] += self._belief_model.likelihoods(one, logit, self._kind, self._ranks)
        labels = self._hypotheses
        weights = self._belief_model.log_weights + labels.good @ logs[0]
        weights += labels.shared_error @ logs[1] + labels.other @ logs[2]
        weights += ewens(self._sizes, labels.good, self._form.right)[:, None]
        weights += ewens(self._sizes, labels.other, self._form.other)[:, None]
        weights = np.exp(weights - weights.max())
        result: Floats = weights / weights.sum()
        return result


class BeliefModel:
    """Judges answers of a pool's M models. Thread-safe: nothing of it changes once it is made.

    Args:
        members: What is known of each model, in the pool's order; `BeliefModel.unfitted` for
            nothing.
        forms: How answers of each form coincide; a form it lacks counts as `"text"`.
    """

    def __init__(
        self,
        members: Sequence[ModelPriors],
        forms: Mapping[str, AnswerForm] = FORMS,
    ) -> None:
        self.members = tuple(members)
        self.forms: Mapping[str, AnswerForm] = {**FORMS, **forms}
        self.weights: Floats = WEIGHTS
        self.log_weights: Floats = np.log(WEIGHTS)
        self._means = [mean_success(member.discrimination).tolist() for member in self.members]
        # (M, D) odds against a good answer at level 0; exp(-level) times these at any other.
        self._against = np.exp(
            -np.array([[member.discrimination] for member in self.members]) * GRID
        )
        self.shared_error_rate: Mapping[str, Floats] = {
            name: np.array(
                [m.shared_error_rate.get(name, form.shared_error_rate) for m in self.members]
            )
            for name, form in self.forms.items()
        }

    @classmethod
    def unfitted(cls, models: int) -> BeliefModel:
        """The judge of models nobody has measured: the same rounded numbers for all.

        Args:
            models: How many there are.
        """
        return cls([ModelPriors()] * models)

    def belief(
        self,
        prior: Floats,
        votes: Sequence[Vote],
        form: str | None = None,
        ranks: ConfidenceRanks | None = None,
    ) -> Belief:
        """What the generations heard so far say.

        Several generations of one model are one vote: the answer it gave most often, the first of
        equals, and the share of its generations that did.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
            votes: The generations, in any order.
            form: What kind of answer the prompt asks for; see `FORMS`. None counts as text.
            ranks: The confidences that these models gave before, among which those of models that
                nobody has measured find their rank; None where there are none.
        """
        if prior.shape != (len(self.members),):
            raise ConfigurationError(
                f"the judge knows {len(self.members)} models; a prior of shape {prior.shape} was "
                "given."
            )
        prior = np.asarray(prior, dtype=np.float64)
        ranks = ConfidenceRanks() if ranks is None else ranks
        return Belief(self, prior, observed(votes), self._known(form), ranks)

    def note(self, vote: Vote, form: str | None, ranks: ConfidenceRanks) -> None:
        """Take note of the confidences in an answer that was heard, once for each.

        Args:
            vote: The generation.
            form: What kind of answer the prompt asks for.
            ranks: Where they are noted.
        """
        for kind, confidence in (("token", vote.confidence), ("verified", vote.verified)):
            if not math.isnan(confidence):
                ranks.note((kind, vote.model, self._known(form)), confidence)

    def _known(self, form: str | None) -> str:
        return form if form is not None and form in self.forms else "text"

    def success(self, prior: Floats) -> Floats:
        """(M, D) success probability of each model at each d.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
        """
        intercepts = map(intercept_for, prior.tolist(), self._means)
        against = np.array([[math.exp(-intercept)] for intercept in intercepts]) * self._against
        return inside(1 / (1 + against))

    def likelihoods(
        self, one: ModelEvidence, logit: float, form: str, ranks: ConfidenceRanks
    ) -> Floats:
        """(3, D) log-likelihoods of a model's confidences: answer good, tempting, else wrong."""
        logs = np.zeros((3, len(GRID)))
        for kind, confidence in one.scores:
            confidence_model = self.confidence_model(kind, one.model)
            rank = ranks.rank((kind, one.model, form), confidence)
            logs += log_likelihoods(
                confidence_model, standard_score(confidence_model, confidence, rank), logit
            )
        return logs

    def imagined(self, kind: str, model: int, logit: float) -> tuple[Floats, Floats]:
        """(4, D) each: chance that a confidence falls between the cuts; answer good, and bad."""
        good, shared_error, other = self.seen(kind, model, logit)
        shared_error_rate = float(self.shared_error_rate["text"][model])
        return good, shared_error_rate * shared_error + (1 - shared_error_rate) * other

    def seen(self, kind: str, model: int, logit: float) -> tuple[Floats, Floats, Floats]:
        """(4, D) each: chance that a confidence falls between the cuts; good, tempting, wrong."""
        return chances(self.confidence_model(kind, model), logit)

    def confidence_model(self, kind: str, model: int) -> ConfidenceModel:
        """The curve of one kind of confidence: `"token"`, `"verified"` or `"share"`."""
        confidence_model: ConfidenceModel = getattr(self.members[model], kind)
        return confidence_model


def _joined(joins: Floats, weights: Floats, new: Floats) -> Floats:
    """(G + 1, L, D) weights by the answer that is joined, (L, G), and of a new one."""
    result: Floats = np.concatenate([joins.T[:, :, None] * weights, new[None]])
    return result


def _summed(parts: Sequence[Floats]) -> Floats:
    result: Floats = parts[0] + parts[1] + parts[2]
    return result
