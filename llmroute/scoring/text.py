"""What the scorer reads of a request: a short text and a few counts.

The last user turn matters most, then earlier user turns, then the system text, then the names of
the tools. Each has a budget of characters, and later parts get only what earlier ones leave, so a
long question is never diluted by its context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

#: Characters of English text in a token, where there is nothing to count tokens on.
CHARACTERS_PER_TOKEN = 4.0
#: Characters the scorer reads in all.
BUDGET = 1600
#: Characters of earlier user turns, of the system text, and of tool names, at most.
CONTEXT_BUDGET = 400
SYSTEM_BUDGET = 200
TOOLS_BUDGET = 100
#: Part of a long text's budget that goes to its beginning. Few-shot prompts put the question last,
#: so the end gets the larger part.
HEAD_SHARE = 0.25

#: Content block type → the counter it belongs to.
_KINDS = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
    "video": "image",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "text-plain": "file",
}


@dataclass(frozen=True)
class RoutingText:
    """What a scorer reads of a request.

    Attributes:
        text: The part that is read, cut to the budgets before tokenisation.
        characters: Characters of the whole request: all messages, and tool schemas where the
            caller said how long they are.
        images: Images and video clips in all messages.
        audio: Audio clips in all messages.
        files: Files in all messages.
        extra_characters: Those of `characters` that stand in no message.
    """

    text: str
    characters: int
    images: int = 0
    audio: int = 0
    files: int = 0
    extra_characters: int = 0

    @classmethod
    def of(cls, prompt: str) -> RoutingText:
        """The routing text of a request that is one user turn."""
        return cls(text=head_and_tail(prompt, BUDGET), characters=len(prompt))


def read_all(prompts: Sequence[str | RoutingText]) -> list[RoutingText]:
    """The routing texts of prompts, each a plain text (one user turn) or a routing text already."""
    return [RoutingText.of(p) if isinstance(p, str) else p for p in prompts]


def head_and_tail(text: str, budget: int) -> str:
    """A text cut to a budget, keeping its beginning and, in larger part, its end."""
    if len(text) <= budget:
        return text
    head = int(budget * HEAD_SHARE)
    # One character goes to the line break that keeps the halves from running into one word.
    return f"{text[:head]}\n{text[len(text) - (budget - head - 1) :]}"


def routing_text(
    messages: Sequence[BaseMessage], tools: Sequence[str] = (), extra_characters: int = 0
) -> RoutingText:
    """What the scorer reads of a conversation.

    Inside a tool loop the last message is a tool's result; the question being worked on is still
    the last user turn, so that stays the routing text.

    Args:
        messages: The conversation, oldest first.
        tools: Names of the bound tools.
        extra_characters: Characters of the request that stand in no message, such as the tools'
            schemas; they count towards `characters` only.
    """
    counts = {"image": 0, "audio": 0, "file": 0}
    characters = extra_characters
    turns: list[str] = []
    system: list[str] = []
    for message in messages:
        text = _plain(message.content, counts)
        characters += len(text)
        if message.type == "human":
            turns.append(text)
        elif message.type == "system":
            system.append(text)
        elif message.type == "ai":
            characters += sum(len(str(c["args"])) for c in getattr(message, "tool_calls", ()))
    return RoutingText(
        text=_joined(turns, system, tools),
        characters=characters,
        images=counts["image"],
        audio=counts["audio"],
        files=counts["file"],
        extra_characters=extra_characters,
    )


def _joined(turns: Sequence[str], system: Sequence[str], tools: Sequence[str]) -> str:
    last = head_and_tail(turns[-1], BUDGET) if turns else ""
    left = BUDGET - len(last)
    parts: list[str] = []
    for source, budget in (
        ("\n".join(_recent(turns[:-1], CONTEXT_BUDGET)), CONTEXT_BUDGET),
        ("\n".join(part[:SYSTEM_BUDGET] for part in system), SYSTEM_BUDGET),
        (" ".join(tools), TOOLS_BUDGET),
    ):
        room = min(budget, left - 1)
        if not source or room <= 0:
            continue
        part = head_and_tail(source, room)
        parts.insert(0, part)
        left -= len(part) + 1
    # The last turn stands last, where a single-turn prompt's question stands too.
    return "\n".join([*parts, last]) if parts else last


def _recent(turns: Sequence[str], budget: int) -> list[str]:
    """The latest turns that fit a budget, oldest first; at least the latest one, cut."""
    kept: list[str] = []
    for turn in reversed(turns):
        if budget <= 0:
            break
        cut = head_and_tail(turn, budget)
        kept.insert(0, cut)
        budget -= len(cut) + 1
    return kept


def _plain(content: str | Sequence[str | Mapping[str, Any]], counts: dict[str, int]) -> str:
    """A message's text, with a marker for each part that is not text."""
    if isinstance(content, str):
        return content
    parts: list[str] = []
    for block in content:
        if isinstance(block, str):
            parts.append(block)
            continue
        kind = str(block.get("type", ""))
        if kind in _KINDS:
            counts[_KINDS[kind]] += 1
            parts.append(f"[{_KINDS[kind]}]")
        elif isinstance(block.get("text"), str):
            parts.append(block["text"])
    return "\n".join(parts)
