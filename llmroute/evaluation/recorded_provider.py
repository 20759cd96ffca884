"""The records in a provider's place: each call is answered with what was recorded of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from langchain_core.messages import AIMessage

from llmroute.engine.flow import Ask, CallResult, Usage
from llmroute.errors import ConfigurationError, ProviderUnavailable
from llmroute.escalation.prompts import STYLES
from llmroute.evaluation.run import spend_of
from llmroute.numerics import Floats
from llmroute.outcomes.outcomes import Outcomes

_STYLE_OF = {words: name for name, words in STYLES.items()}


class Records:
    """What models answered to the prompt of one row, and what asking them again costs.

    `lenient` takes evidence that was not recorded for a call that failed, at no cost; otherwise
    asking for it is an error.
    """

    def __init__(self, outcomes: Outcomes, row: int, *, lenient: bool = False) -> None:
        self.cost = 0.0  #: spend of the calls so far, in the outcomes' unit
        self._lenient = lenient
        self._outcomes, self._row = outcomes, row
        self._drawn: set[int] = set()
        self._score: dict[str, float] = {}

    def result(self, ask: Ask) -> CallResult:
        """What came of a call when it was recorded; ConfigurationError where none was."""
        if ask.purpose in ("answer", "draft", "fallback"):
            return self._answered(ask)
        try:
            if ask.purpose == "verify":
                return self._verified(ask)
            if ask.purpose == "sample":
                return self._sampled(ask)
            raise ConfigurationError(
                f"a replay cannot {ask.purpose} answers: {self._outcomes.source} has none recorded."
            )
        except ConfigurationError as fault:
            if not self._lenient:
                raise
            return CallResult(0.0, error=ProviderUnavailable(str(fault), model=ask.model))

    def score_of(self, message: AIMessage) -> float:
        """The recorded score of an answer that was given here, 0..1."""
        return self._score[str(message.id)]

    def _answered(self, ask: Ask) -> CallResult:
        outcomes, column = self._outcomes, self._outcomes.models.index(ask.model)
        self.cost += float(spend_of(outcomes)[self._row, column])
        text = None if outcomes.responses is None else outcomes.responses[self._row, column]
        message = self._message(text or "", float(outcomes.score[self._row, column]))
        sure = self._cell(outcomes.confidence, column)
        if sure is not None and not self._cell(outcomes.confidence_cost, column):
            message.response_metadata["logprobs"] = _logprobs(text or "", sure)
        given = self._cell(outcomes.prompt_tokens, column)
        taken = self._cell(outcomes.completion_tokens, column)
        usage = None if given is None or taken is None else Usage(round(given), round(taken))
        seconds = self._cell(outcomes.latency, column) or 0.0
        return CallResult(seconds, message, usage=usage, answered_by=ask.model)

    def _verified(self, ask: Ask) -> CallResult:
        """A yes, as sure as the model was when it was asked about its answer."""
        outcomes, column = self._outcomes, self._outcomes.models.index(ask.model)
        price = self._cell(outcomes.confidence_cost, column)
        sure = self._cell(outcomes.confidence, column)
        if not price or sure is None:
            raise ConfigurationError(
                f"no verification of {ask.model} is recorded in {outcomes.source}, so SelfVerify "
                "cannot be replayed on it."
            )
        self.cost += price
        yes = self._message("Yes", math.nan)
        entry = _logprobs("Yes", sure)["content"][0]
        entry["top_logprobs"] = [{"token": "No", "logprob": _log(1 - sure)}]
        yes.response_metadata["logprobs"] = {"content": [entry]}
        return CallResult(0.0, yes, answered_by=ask.model)

    def _sampled(self, ask: Ask) -> CallResult:
        """The next recorded sample of this model, none twice; with `n`, the next n.

        Of this style, where there are records of it by its name; else of whatever style.
        """
        samples = self._outcomes.samples
        if samples is None or ask.model not in samples.models:
            raise ConfigurationError(
                f"no samples of {ask.model} are recorded in {self._outcomes.source}, so sampling "
                "it again cannot be replayed."
            )
        among = (samples.prompt == self._row) & (samples.model == samples.models.index(ask.model))
        style = _STYLE_OF.get(ask.variation.style, ask.variation.style)
        if style in samples.styles:
            among &= samples.style == samples.styles.index(style)
        rows = np.flatnonzero(among).tolist()
        count = int(ask.variation.arguments.get("n", 1))
        drawn = [row for row in rows if row not in self._drawn][:count]
        if len(drawn) < count:
            raise ConfigurationError(
                f"only {len(rows)} samples of {ask.model} are recorded for a prompt of "
                f"{self._outcomes.source}; ask for fewer."
            )
        self._drawn.update(drawn)
        column = self._outcomes.models.index(ask.model)
        self.cost += count * float(spend_of(self._outcomes)[self._row, column])
        texts = [self._message(samples.result[i] or "", float(samples.score[i])) for i in drawn]
        return CallResult(0.0, texts if count > 1 else texts[0], answered_by=ask.model)

    def _message(self, text: str, score: float) -> AIMessage:
        identity = f"recorded-{len(self._score)}"
        self._score[identity] = score
        return AIMessage(text, id=identity)

    def _cell(self, table: Floats | None, column: int) -> float | None:
        value = math.nan if table is None else float(table[self._row, column])
        return None if math.isnan(value) else value


def _logprobs(text: str, probability: float) -> Mapping[str, list[dict[str, object]]]:
    """The whole answer as one token, as sure as was recorded."""
    return {"content": [{"token": text, "logprob": _log(probability)}]}


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-12))
