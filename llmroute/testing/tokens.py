"""How the scripted provider counts tokens.

One rule, so that a test can work out a bill by hand: a token is a run of word characters, or one
other visible character, together with the white space before it. It is no real tokeniser; counts
are near those of one for English text, and lower for long words and for scripts without spaces.

A prompt is the tokens of its text and tool calls, plus :data:`MESSAGE_TOKENS` for each message,
plus :data:`MEDIA_TOKENS` for each image, sound or file, plus the tokens of the tools' JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MESSAGE_TOKENS = 3
MEDIA_TOKENS = 85

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+")


def split_tokens(text: str) -> list[str]:
    """The tokens of ``text``; joined, they are ``text`` again."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """How many tokens ``text`` is."""
    return len(split_tokens(text))


def count_prompt(
    messages: Iterable[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> int:
    """How many tokens a request's messages and tools are, both OpenAI-shaped."""
    total = sum(MESSAGE_TOKENS + _count_message(message) for message in messages)
    return total + (count_tokens(json.dumps(tools)) if tools else 0)


def _count_message(message: Mapping[str, Any]) -> int:
    content = message.get("content") or ()
    parts = [content] if isinstance(content, str) else [part.get("text") for part in content]
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        parts.append(f"{function.get('name')} {function.get('arguments')}")
    return sum(count_tokens(part) if isinstance(part, str) else MEDIA_TOKENS for part in parts)
