"""How good the answers in hand are, and what a further call would add.

A model's answer is good with probability σ(intercept + discrimination · θ), as in item response
theory. θ is the difficulty of the prompt that its text does not show: one number for all models,
which is not known. The intercept is such that the mean over θ is the scorer's estimate for model
and prompt, so before there is evidence that estimate stands. Each answer is evidence of θ and of
its own quality by:

- whether it agrees with others. Good answers agree, but for how they are worded. Of bad ones, one
  is the shared error: a model makes it with a probability that grows with its ability, and so able
  models can agree and be wrong. The others coincide now and then;
- its confidence. Confidences of good answers lie highest, those of the shared error come next.

All that is known follows by summing over a grid of θ and over the hypotheses: which of the answers
are good, which is the shared error, and which are wrong otherwise. So the same numbers say how good
an answer is, what a model not yet asked would do, and how both would change with its answer: what
planning needs (cascade routing, arXiv 2410.10347).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmroute.answers.votes import Vote
from llmroute.errors import ConfigurationError
from llmroute.escalation.evidence import ModelEvidence, voters
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
    """What is known after some answers. Made by `BeliefModel.belief`.

    Attributes:
        answers: Numbers of the G different answers; `NO_ANSWER` for an output without one.
        voters: For each of them, the models that gave it.
        asked: The models that answered.
        good: (G,) probability that each answer is good, 0..1.
        held: Probability that the best answer in hand is good, 0..1; 0 where there is none.
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
        self._members, self._evidence = belief_model.members, evidence
        self._logits = logit(prior, LEAST).tolist()
        self._form = belief_model.forms[form]
        self._shared_error_rate = belief_model.shared_error_rate[form]
        answered = voters((each.model, each.answer) for each in evidence)
        self.answers = tuple(answer for answer, _ in answered)
        self.voters = tuple(tuple(models) for _, models in answered)
        self.asked = frozenset(each.model for each in evidence)
        self._sizes = np.array([len(models) for models in self.voters], dtype=np.float64)
        self._hypotheses = all_hypotheses(len(self.answers))
        self._success = belief_model.success(prior)
        self._weights = self._posterior(form, ranks)
        self.good: Floats = self._hypotheses.good.T @ self._weights.sum(axis=1)
        self.held = float(self.good.max(initial=0.0))
        self.able: Floats = self._success @ self._weights.sum(axis=0)

    @property
    def best(self) -> int:
        """Index in `answers` of the one that is most likely good; -1 where there is none."""
        return int(np.argmax(self.good)) if len(self.good) else -1

    @property
    def speaker(self) -> int:
        """The model whose answer to return: the ablest of those that gave the best one."""
        if self.best < 0:
            raise ConfigurationError("no answer was observed, so there is none to return.")
        return max(self.voters[self.best], key=lambda model: float(self.able[model]))

    def checked(self, kind: str) -> frozenset[int]:
        """The models of whose answers there is a kind of confidence; see `ModelEvidence`."""
        return frozenset(each.model for each in self._evidence if kind in each.confidences)

    def after_asking(self, model: int, *, confident: bool) -> Prospects:
        """What may come of asking a model.

        Args:
            model: Its column, of one that was not asked yet.
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
        success, shared = self._success[model], self._shared_error_rate[model]
        chances = success, (1 - success) * shared, (1 - success) * (1 - shared)
        parts = [
            np.tensordot(labels.with_all, join, axes=(0, 1)) * chance
            for join, chance in zip(joins, chances, strict=True)
        ]
        bins = self._bins("token", model) if confident else (np.ones((1, len(GRID))),) * 3
        joint = _summed([part @ each.T for part, each in zip(parts, bins, strict=True)])
        held = joint[1:].max(axis=0, initial=0.0)  # (G + 1, bins)
        held[-1] = np.maximum(held[-1], parts[0][0, -1] @ bins[0].T)
        grid = _summed([part[0][:, None] * each for part, each in zip(parts, bins, strict=True)])
        return self._prospects(joint[0].ravel(), held.ravel(), grid.reshape(-1, len(GRID)))

    def after_checking(self, model: int, kind: str = "verified") -> Prospects:
        """What may come of further evidence of a model's answer.

        Args:
            model: Its column, of one that answered.
            kind: `"verified"` for a verification call, `"share"` for further samples of it.
        """
        answer, labels = self._answer_of(model), self._hypotheses
        states = labels.good, labels.shared_error, labels.other
        parts = [(labels.with_all * state[:, [answer]]).T @ self._weights for state in states]
        bins = self._bins(kind, model)
        joint = _summed([part @ each.T for part, each in zip(parts, bins, strict=True)])
        grid = _summed([part[0] * each for part, each in zip(parts, bins, strict=True)])
        return self._prospects(joint[0], joint[1:].max(axis=0), grid)

    def _prospects(self, chance: Floats, held: Floats, grid: Floats) -> Prospects:
        return Prospects(chance=chance, held=held, able=grid @ self._success.T)

    def _bins(self, kind: str, model: int) -> tuple[Floats, Floats, Floats]:
        return self._members[model].confidence_model(kind).bins(self._logits[model])

    def _answer_of(self, model: int) -> int:
        return next(g for g, models in enumerate(self.voters) if model in models)

    def _posterior(self, form: str, ranks: ConfidenceRanks) -> Floats:
        """(L, D) probability of each hypothesis on the answers and of each θ."""
        logs = np.zeros((3, len(self.answers), len(GRID)))
        for each in self._evidence:
            model, answer = each.model, self._answer_of(each.model)
            success, shared = self._success[model], self._shared_error_rate[model]
            wrong = np.log1p(-success)
            logs[0, answer] += np.log(success)
            logs[1, answer] += wrong + math.log(shared)
            logs[2, answer] += wrong + math.log1p(-shared)
            confident = np.zeros((3, len(GRID)))
            for kind, confidence in each.confidences.items():
                confidence_model = self._members[model].confidence_model(kind)
                rank = ranks.rank((kind, model, form), confidence)
                score = confidence_model.standard_score(confidence, rank)
                confident += confidence_model.log_likelihoods(score, self._logits[model])
            logs[:, answer] += confident
        labels = self._hypotheses
        weights = np.log(WEIGHTS) + labels.good @ logs[0]
        weights += labels.shared_error @ logs[1] + labels.other @ logs[2]
        weights += ewens(self._sizes, labels.good, self._form.right)[:, None]
        weights += ewens(self._sizes, labels.other, self._form.other)[:, None]
        weights = np.exp(weights - weights.max())
        result: Floats = weights / weights.sum()
        return result


class BeliefModel:
    """Makes beliefs on answers of a pool's M models. Thread-safe: nothing changes once it is made.

    Args:
        members: What is known of each model, in the pool's order; `BeliefModel.unfitted` for
            nothing.
        forms: How answers of each form coincide; a form it lacks counts as `"text"`.
    """

    def __init__(
        self, members: Sequence[ModelPriors], forms: Mapping[str, AnswerForm] = FORMS
    ) -> None:
        self.members = tuple(members)
        self.forms: Mapping[str, AnswerForm] = {**FORMS, **forms}
        self._means = [mean_success(member.discrimination).tolist() for member in self.members]
        # (M, D) odds against a good answer at intercept 0; exp(-intercept) times these elsewhere.
        self._against = np.exp(-np.array([[m.discrimination] for m in self.members]) * GRID)
        self.shared_error_rate: Mapping[str, Floats] = {
            name: np.array(
                [m.shared_error_rate.get(name, form.shared_error_rate) for m in self.members]
            )
            for name, form in self.forms.items()
        }

    @classmethod
    def unfitted(cls, models: int) -> BeliefModel:
        """For so many models that were not measured: the same rounded numbers for all."""
        return cls([ModelPriors()] * models)

    def belief(
        self,
        prior: Floats,
        votes: Sequence[Vote],
        form: str | None = None,
        ranks: ConfidenceRanks | None = None,
    ) -> Belief:
        """What follows from the answers so far.

        Several votes of one model are one: the answer it gave most often, the first of equals, and
        the share of its votes that did.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
            votes: The answers, in any order.
            form: What kind of answer the prompt asks for; see `FORMS`. None counts as text.
            ranks: The confidences that these models gave before, by which those of models that
                were not measured are ranked; None where there are none.
        """
        if prior.shape != (len(self.members),):
            raise ConfigurationError(
                f"the belief model knows {len(self.members)} models; a prior of shape "
                f"{prior.shape} was given."
            )
        prior = np.asarray(prior, dtype=np.float64)
        ranks = ConfidenceRanks() if ranks is None else ranks
        return Belief(self, prior, ModelEvidence.of(votes), self._known(form), ranks)

    def note(self, vote: Vote, form: str | None, ranks: ConfidenceRanks) -> None:
        """Take note of the confidences in an answer to a prompt of a form, once for each answer."""
        for kind, confidence in (("token", vote.confidence), ("verified", vote.verified)):
            if not math.isnan(confidence):
                ranks.note((kind, vote.model, self._known(form)), confidence)

    def _known(self, form: str | None) -> str:
        return form if form is not None and form in self.forms else "text"

    def success(self, prior: Floats) -> Floats:
        """(M, D) success probability of each model at each θ.

        Args:
            prior: (M,) success probabilities of the scorer, 0..1.
        """
        intercepts = map(intercept_for, prior.tolist(), self._means)
        against = np.array([[math.exp(-intercept)] for intercept in intercepts]) * self._against
        return inside(1 / (1 + against))


def _joined(joins: Floats, weights: Floats, new: Floats) -> Floats:
    """(G + 1, L, D) weights by the answer that is joined, (L, G), and of a new one."""
    result: Floats = np.concatenate([joins.T[:, :, None] * weights, new[None]])
    return result


def _summed(parts: Sequence[Floats]) -> Floats:
    result: Floats = parts[0] + parts[1] + parts[2]
    return result
