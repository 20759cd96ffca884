"""`causal`: a language model is asked for a label's probability.

After the causal classifiers of RouteLLM (arXiv 2406.18665) and Routoo (arXiv 2401.13979). Any chat
model that gives log-probabilities is asked, once a prompt, whether a small model would answer it
well: one token, Yes or No. Its log odds z say how easy the prompt looks, and each model of the pool
has a curve of its own, P(good) = σ(offset + slope · z), fitted on the outcomes. The papers
fine-tune the model that is asked; here it is used as it is, and the curves do the fitting.

The request leaves the machine if the model does. A call costs what it costs, and takes its time.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from llmroute.errors import ArtifactError, ConfigurationError
from llmroute.numerics import Floats, Floats32, logit, sigmoid
from llmroute.pool import Model, ModelPool
from llmroute.records import Estimates
from llmroute.routers.base import (
    CHOOSING,
    LEAST_SHARE,
    Head,
    Progress,
    Vectors,
    log_loss,
    quiet,
    stored,
)
from llmroute.routers.dataset import Dataset
from llmroute.routers.linear import Basis, logistic
from llmroute.routers.trained_scorer import RouterScorer, content_version
from llmroute.routers.word_features import hash_of
from llmroute.scoring.artifact import Metric
from llmroute.scoring.router_folder import RouterCard, RouterFolder, read, save
from llmroute.scoring.text import RoutingText

#: Training prompts the judge is asked about, and requests under way at a time.
PROMPTS, CONCURRENCY = 500, 8
#: Alternatives asked for at the token; servers allow 5 at least.
TOP = 5
#: Weight of half the squared slope of a model's curve.
_PENALTY = 1.0
#: Probability that Yes and No must have together at a token; less is another answer's remainder.
_LEAST = 0.1
#: Part of a judge's answers that may say neither Yes nor No.
_SILENT = 0.5
#: Log odds beyond this say no more.
_MOST = 6.0
_ASKED = (
    "You judge requests before they are sent to a language model. Could a small, cheap language "
    "model answer the user's request well? Reply with one word, Yes or No."
)


class CausalScorer(RouterScorer):
    """Asks the judge and reads each model's curve. Thread-safe as far as the judge is.

    A prompt about which the judge could not be asked is unfamiliar: every model has its prior.

    Args:
        card: What it is.
        judge: The chat model that is asked.
        curves: (2, M) slope and offset of each model.
    """

    def __init__(self, card: RouterCard, judge: BaseChatModel, curves: Floats) -> None:
        super().__init__(card, _Odds(judge), _Curves(curves))

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models; one call of the judge a prompt.

        Raises:
            ConfigurationError: A model it has seen no answer of.
        """
        found = super().estimate(prompts, pool)
        silent = np.isnan(found.quality).any(axis=1)
        found.quality[silent] = found.prior_quality
        found.unfamiliar[silent] = True
        return found


def train(
    card: RouterCard,
    dataset: Dataset,
    out: str | Path,
    *,
    judge: str | BaseChatModel | None = None,
    judge_url: str | None = None,
    judge_prompts: int = PROMPTS,
    progress: Progress = quiet,
) -> CausalScorer:
    """Asks the judge about training prompts, fits the curves, writes the folder.

    Args:
        card: What is known of the router so far.
        dataset: What it learns from.
        out: The folder to write.
        judge: A LiteLLM name, such as `"ollama/llama3.2"`, or a LangChain chat model.
        judge_url: Where the named model is served, when not at its provider.
        judge_prompts: Training prompts it is asked about, at most: those of the lowest hashes.
        progress: Told how training goes.

    Raises:
        ConfigurationError: No judge, or one that gives no log-probabilities.
        ArtifactError: The folder cannot be written.
    """
    if judge is None:
        raise ConfigurationError(
            "the router causal needs a judge: a chat model that gives log-probabilities, such as "
            "--judge openai/gpt-4.1-nano, or --judge openai/NAME --judge-url http://localhost:8000/v1"
        )
    named = isinstance(judge, str)
    chat = judge_model(judge, judge_url) if isinstance(judge, str) else judge
    order = sorted(range(len(dataset)), key=lambda row: hash_of(dataset.prompts[row]))
    rows = np.array(order[:judge_prompts])
    easy = _ask_all(chat, [dataset.texts[row] for row in rows], progress)
    target, held = dataset.target[rows], dataset.validation[rows]
    curves = _curves(easy[~held], target[~held], dataset.prior)
    metrics = {}
    if held.any():
        loss = log_loss(_Curves(curves).quality(easy[held, None]), target[held])
        metrics[CHOOSING] = Metric(value=round(loss, 5), prompts=int(held.sum()))
    head = {"judge": judge if named else None, "judge_url": judge_url, "asked": len(rows)}
    arrays = {"curves": _curves(easy, target, dataset.prior)}
    update = {
        "version": content_version(head, {}, arrays),
        "head": head,
        "metrics": metrics,
        "settings": {**card.settings, "question": _ASKED, "judge_prompts": judge_prompts},
    }
    save(out, card.model_copy(update=update), arrays)
    return restore(read(out), chat)


def restore(folder: RouterFolder, judge: BaseChatModel | None = None) -> CausalScorer:
    """The router of a folder.

    Raises:
        ArtifactError: The card names no judge and none is given, or an array is missing.
    """
    name = folder.card.head.get("judge")
    if judge is None and not name:
        raise ArtifactError(
            f"the router at {folder.folder} was trained with a chat model of your own. Give it "
            "again: llmroute.routers.causal.restore(llmroute.scoring.router_folder.read(folder), "
            "chat_model)."
        )
    curves = stored(folder.arrays, "curves").astype(np.float64)
    if curves.shape != (2, len(folder.card.models)):
        raise ArtifactError(
            f"the router at {folder.folder} has curves of shape {curves.shape}; 2 numbers for each "
            f"of {len(folder.card.models)} models were expected. Train it again."
        )
    chat = judge or judge_model(str(name), folder.card.head.get("judge_url"))
    return CausalScorer(folder.card, chat, curves)


def judge_model(name: str, url: str | None = None) -> BaseChatModel:
    """A chat model by its LiteLLM name; a server on this machine needs no key."""
    stated: dict[str, Any] = {} if url is None else {"api_base": url}
    if url is not None and urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1"):
        stated["api_key"] = "none"
    return Model(name, **stated).runnable


def yes_log_odds(logprobs: Mapping[str, Any] | None) -> float:
    """Log odds of Yes against No at an answer's first token that may be either; NaN where none may.

    What probability is not listed is shared equally, so that a lone sure Yes is not infinitely so.
    """
    for entry in (logprobs or {}).get("content") or ():
        listed = entry.get("top_logprobs") or [entry]
        chance = {"yes": 0.0, "no": 0.0}
        total = 0.0
        for token in listed:
            share = float(np.exp(min(token["logprob"], 0.0)))
            word = str(token["token"]).strip().strip("\"'*.,").lower()
            total += share
            if word in chance:
                chance[word] += share
        if chance["yes"] + chance["no"] >= _LEAST:
            rest = max(1.0 - total, 0.0) / 2 + 1e-6
            odds = float(np.log((chance["yes"] + rest) / (chance["no"] + rest)))
            return min(max(odds, -_MOST), _MOST)
    return float("nan")


class _Odds(Vectors):
    """The judge's log odds as the one number that is seen of a prompt."""

    kind = "judge"

    def __init__(self, judge: BaseChatModel) -> None:
        self._judge = judge

    def transform(self, texts: Sequence[str]) -> Floats32:
        """(P, 1) log odds, NaN where the judge could not be asked."""
        odds, faults = _ask(self._judge, texts)
        if faults:
            warnings.warn(
                f"the judge could not be asked about {len(faults)} of {len(texts)} prompts: "
                f"{faults[0]}",
                stacklevel=3,
            )
        return odds[:, None].astype(np.float32)


class _Curves(Head):
    """Each model's curve over the log odds."""

    def __init__(self, curves: Floats) -> None:
        self._curves = curves

    def quality(self, vectors: npt.NDArray[Any]) -> Floats:
        """(P, M) probabilities, NaN where the log odds are."""
        return sigmoid(vectors[:, :1] * self._curves[0] + self._curves[1])


def _ask_all(chat: BaseChatModel, texts: Sequence[str], progress: Progress) -> Floats:
    parts = []
    for start in range(0, len(texts), 4 * CONCURRENCY):
        odds, faults = _ask(chat, texts[start : start + 4 * CONCURRENCY])
        if faults:
            raise ConfigurationError(f"the judge could not be asked: {faults[0]}")
        if np.isnan(odds).mean() > _SILENT:
            raise ConfigurationError(
                f"of {len(odds)} answers of the judge, {np.isnan(odds).sum()} have no "
                "log-probability of Yes or No. Give a model that follows instructions, on a "
                "server with log-probabilities (`logprobs`, `top_logprobs`)."
            )
        parts.append(np.where(np.isnan(odds), 0.0, odds))
        progress("asking the judge", min(start + len(odds), len(texts)), len(texts), "")
    return np.concatenate(parts)


def _ask(chat: BaseChatModel, texts: Sequence[str]) -> tuple[Floats, list[str]]:
    """(P,) log odds, NaN where there are none, and what went wrong."""
    asked: list[list[BaseMessage]] = [
        [SystemMessage(_ASKED), HumanMessage(f"Request:\n{text}\n\nYes or No?")] for text in texts
    ]
    answers = chat.batch(
        asked,  # type: ignore[arg-type]  # a list of messages is an input of a chat model
        config={"max_concurrency": CONCURRENCY},
        return_exceptions=True,
        max_tokens=1,
        temperature=0,
        logprobs=True,
        top_logprobs=TOP,
    )
    faults = [f"{type(a).__name__}: {a}" for a in answers if isinstance(a, BaseException)]
    odds = [
        float("nan")
        if isinstance(answer, BaseException)
        else yes_log_odds(answer.response_metadata.get("logprobs"))
        for answer in answers
    ]
    return np.array(odds, dtype=np.float64), faults


def _curves(easy: Floats, target: Floats, prior: Floats) -> Floats:
    """(2, M) slope and offset of each model; its prior alone where nothing is known of it here."""
    result = np.stack([np.zeros(len(prior)), logit(prior, LEAST_SHARE)])
    known = ~np.isnan(target).all(axis=0)
    if known.any():
        slopes, offsets = logistic(Basis.of(easy[:, None]), target[:, known], _PENALTY)
        result[:, known] = np.stack([slopes[0], offsets])
    return result
