"""Log-probabilities that look as sure as the model is."""

from __future__ import annotations

import math
from typing import Any

from llmroute.testing.chance import draw, pick

_ELSE = (" the", " a", " and", " of", " to", " is", " in", " it", " no", " one", " two", " so")


def token_logprobs(
    model: str, position: int, token: str, confidence: float, alternatives: int
) -> dict[str, Any]:
    """The log-probability entry of one token, OpenAI-shaped.

    The token given is always the likeliest. Its probability grows with ``confidence`` from about a
    third to about one, and the others share what is left, so the first two move apart.

    Args:
        model: The model's name; two models differ a little.
        position: The token's place in the answer.
        token: The token.
        confidence: 0..1.
        alternatives: How many entries ``top_logprobs`` has, the token included.
    """
    jitter = 0.04 * (draw(model, position, token) - 0.5)
    likely = min(max(0.36 + 0.62 * confidence + jitter, 0.34), 0.999)
    entries = [_entry(token, likely)]
    used, left = {token}, 1 - likely
    while len(entries) < alternatives:
        options = [word for word in _ELSE if word not in used]
        word = pick(options, model, position, token) if options else f" x{len(entries)}"
        used.add(word)
        # Each takes a bit less than half of what is left, so they fall off and never reach the top.
        entries.append(_entry(word, left * 0.49))
        left *= 0.51
    return {**entries[0], "top_logprobs": entries[:alternatives]}


def _entry(token: str, probability: float) -> dict[str, Any]:
    return {
        "token": token,
        "logprob": math.log(probability),
        "bytes": list(token.encode("utf-8", "surrogatepass")),
    }
