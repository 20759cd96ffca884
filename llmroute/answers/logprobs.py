"""How sure a model was of its tokens, read off the log-probabilities a provider returned."""

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
    logprobs = message.response_metadata.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list):
        return ()
    return tuple(_token(entry) for entry in entries if _is_token(entry))


def _is_token(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("logprob"), (int, float))


def _token(entry: dict[str, Any]) -> Token:
    text = str(entry.get("token", ""))
    others = [
        math.exp(min(other["logprob"], 0.0))
        for other in entry.get("top_logprobs") or ()
        if _is_token(other) and other.get("token") != text
    ]
    return Token(text, math.exp(min(entry["logprob"], 0.0)), max(others, default=0.0))


def decisive(tokens: Sequence[Token], answer: str | None) -> Token | None:
    """The token that decides the answer: the first of the answer's last occurrence in the text.

    An answer of many words is decided where it begins. Where the answer does not stand in the text
    as it is (it was normalised), the first token that is no white space decides.

    Args:
        tokens: The whole answer's.
        answer: The part that is the final answer, where it is known.
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
    """The probability that a yes-or-no question was answered with yes, 0..1.

    From the first token's alternatives where there are any, otherwise from the word itself: 1 or 0.

    Args:
        message: The answer to the question.
    """
    logprobs = message.response_metadata.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = next((e for e in entries or () if _is_token(e) and str(e.get("token")).strip()), None)
    if first is not None:
        alternatives = {
            str(o.get("token")): math.exp(min(o["logprob"], 0.0))
            for o in [*(first.get("top_logprobs") or ()), first]
            if _is_token(o)
        }
        yes = sum(p for token, p in alternatives.items() if _word(token) == "yes")
        no = sum(p for token, p in alternatives.items() if _word(token) == "no")
        if yes + no > 0:
            return yes / (yes + no)
    words = message.text.split()
    word = _word(words[0]) if words else ""
    return {"yes": 1.0, "no": 0.0}.get(word)


def _word(token: str) -> str:
    return "".join(c for c in token.casefold() if c.isalpha())
