"""How confident a model was of its tokens, by the log-probabilities that a provider returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage

#: What a call has to ask for: OpenAI's arguments, which LiteLLM passes on or translates.
ARGUMENTS = {"logprobs": True, "top_logprobs": 2}


@dataclass(frozen=True)
class Token:
    """One token of an answer.

    Attributes:
        text: The token.
        probability: Its probability, 0..1.
        second: The probability of the likeliest other token, 0..1; 0 where none was returned.
    """

    text: str
    probability: float
    second: float = 0.0

    @property
    def margin(self) -> float:
        """Top-1 minus top-2 probability, 0..1 (two-tier selection, arXiv 2405.02134).

        It is 0 where another token was likelier than the one that was drawn.
        """
        return max(self.probability - self.second, 0.0)


def tokens_of(message: AIMessage) -> tuple[Token, ...]:
    """The answer's tokens with their probabilities; none where the provider returned none."""
    tokens = []
    for entry in _entries(message):
        text = str(entry.get("token", ""))
        others = [
            _probability(other)
            for other in entry.get("top_logprobs") or ()
            if _is_token(other) and other.get("token") != text
        ]
        tokens.append(Token(text, _probability(entry), max(others, default=0.0)))
    return tuple(tokens)


def _entries(message: AIMessage) -> list[dict[str, Any]]:
    logprobs = message.response_metadata.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [entry for entry in entries if _is_token(entry)] if isinstance(entries, list) else []


def _is_token(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("logprob"), (int, float))


def _probability(entry: dict[str, Any]) -> float:
    return math.exp(min(entry["logprob"], 0.0))


def decisive(tokens: Sequence[Token], answer: str | None) -> Token | None:
    """The token that decides the answer: the first of the answer's last occurrence in the text.

    An answer of many words is decided where it begins. Where the answer does not stand in the text
    as it is (it was normalised), the first token that is no white space decides.

    Args:
        tokens: Those of the whole text.
        answer: The part of the text that is the final answer, where it is known.
    """
    text = "".join(token.text for token in tokens)
    start = text.rfind(answer) if answer else -1
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > start and token.text.strip():
            return token
    return None


def mean_probability(tokens: Sequence[Token]) -> float | None:
    """The geometric mean of the tokens' probabilities, 0..1; None without tokens."""
    if not tokens:
        return None
    return math.exp(sum(math.log(max(t.probability, 1e-12)) for t in tokens) / len(tokens))


def lowest_probability(tokens: Sequence[Token]) -> float | None:
    """The least of the tokens' probabilities, 0..1; None without tokens."""
    return min((token.probability for token in tokens), default=None)


def yes_probability(message: AIMessage) -> float | None:
    """The probability that the message answers a yes-or-no question with yes, 0..1.

    From the first token's alternatives where there are any, otherwise from the word itself: 1 or 0;
    None where it is another word.
    """
    first = next((e for e in _entries(message) if str(e.get("token")).strip()), None)
    if first is not None:
        alternatives = {
            str(entry.get("token")): _probability(entry)
            for entry in [*(first.get("top_logprobs") or ()), first]
            if _is_token(entry)
        }
        yes, no = (
            sum(p for token, p in alternatives.items() if _word(token) == word)
            for word in ("yes", "no")
        )
        if yes + no > 0:
            return yes / (yes + no)
    words = message.text.split()
    return {"yes": 1.0, "no": 0.0}.get(_word(words[0]) if words else "")


def _word(token: str) -> str:
    return "".join(c for c in token.casefold() if c.isalpha())
