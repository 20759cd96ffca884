"""What a scripted model answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from llmroute.testing.chance import draw, pick
from llmroute.testing.client_request import ChatRequest
from llmroute.testing.questions import QuestionBook
from llmroute.testing.reply import Reply, ToolCall
from llmroute.testing.schema_values import fill
from llmroute.testing.tokens import count_tokens

Script: TypeAlias = "str | Callable[[ChatRequest], str | Reply | None]"

# A quote mark inside a word is an apostrophe, hence the look-arounds on the single one.
_QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|“([^”\n]+)”|「([^」\n]+)」")

_FILLER = (
    "A longer prompt gets a longer answer.",
    "No model has read this.",
    "The words only take up room.",
    "The same prompt gets the same text.",
)


@dataclass(frozen=True)
class ScriptedModel:
    """A model of the scripted provider.

    With no ``reply`` it behaves like an obliging chat model: it answers known questions by its
    ability, calls a tool where tools are offered and the user spoke last (or a call is demanded),
    fills a JSON schema where one is given, and else says a few words about the prompt.

    Attributes:
        name: The name clients ask for.
        input_price: USD per million prompt tokens.
        output_price: USD per million completion tokens.
        ability: 0..1, how hard a :class:`Question` it can answer; also how sure its
            log-probabilities look.
        delay: Seconds before an answer starts.
        chunk_delay: Seconds before each streamed chunk of content.
        reply: What it says: a text, or a callable that gets the :class:`ChatRequest` and gives a
            text, a :class:`Reply`, or None for the default behaviour. It is called in a server
            thread, for each choice; an exception in it is answered with HTTP 500 and its message.

    Raises:
        ValueError: If the name is empty, the ability is out of range or another number negative.
    """

    name: str
    input_price: float = 0.0
    output_price: float = 0.0
    ability: float = 0.5
    delay: float = 0.0
    chunk_delay: float = 0.0
    reply: Script | None = None

    def __post_init__(self) -> None:
        # Refused here, and not later, in a server thread.
        if not self.name:
            raise ValueError("a ScriptedModel needs a name")
        if not 0 <= self.ability <= 1:
            raise ValueError(f"ability must be within 0..1, not {self.ability}")
        if min(self.input_price, self.output_price, self.delay, self.chunk_delay) < 0:
            raise ValueError(f"prices and delays of {self.name!r} must not be negative")

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What a call costs, in USD."""
        return (
            prompt_tokens * self.input_price + completion_tokens * self.output_price
        ) / 1_000_000

    def answer(self, request: ChatRequest, book: QuestionBook) -> Reply:
        """One sample of the answer to a request, cut to its ``stop`` and ``max_tokens``."""
        scripted = self.reply(request) if callable(self.reply) else self.reply
        reply = Reply(scripted) if isinstance(scripted, str) else scripted
        reply = reply or _by_default(self, request, book)
        return reply.within(request.stop, request.max_tokens)


def _by_default(model: ScriptedModel, request: ChatRequest, book: QuestionBook) -> Reply:
    question = book.find(request.last_user)
    known = confidence = None
    if question is not None:
        sample = request.sample if request.temperature > 0 else 0
        known = question.answered_by(model.name, model.ability, sample)
        confidence = question.chance(model.ability)
    words = known or _short_text(request.last_user)
    if _wants_tool(request):
        return Reply(tool_calls=[_tool_call(request, words)], confidence=confidence)
    text = _shaped(request, words)
    if text is None:
        text = _filler(model.name, request) if known is None else known
    return Reply(text, confidence=confidence)


def _wants_tool(request: ChatRequest) -> bool:
    if not request.tools or request.tool_choice == "none":
        return False
    return request.tool_choice in ("required", "named") or request.last_role == "user"


def _tool_call(request: ChatRequest, words: str) -> ToolCall:
    """Call the tool the client names, else the first; after a tool's result, the last.

    Agents put the tool that takes their final answer last: calling the first again would never end.
    """
    functions: list[Mapping[str, Any]] = [tool["function"] for tool in request.tools]
    function = functions[-1 if request.last_role == "tool" else 0]
    if request.named_tool is not None:
        function = next(f for f in functions if f["name"] == request.named_tool)
    arguments = fill(function.get("parameters") or {"type": "object"}, words, optional=False)
    return ToolCall(function["name"], arguments if isinstance(arguments, dict) else {})


def _shaped(request: ChatRequest, words: str) -> str | None:
    """The answer in the shape ``response_format`` asks for; None when it asks for none."""
    wanted = request.body.get("response_format")
    if not isinstance(wanted, Mapping):
        return None
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {"type": "object"}
        return json.dumps(fill(schema, words), ensure_ascii=False)
    if wanted.get("type") == "json_object":
        return json.dumps({"setup": words, "punchline": words}, ensure_ascii=False)
    return None


def _short_text(prompt: str) -> str:
    """What strings in arguments and fields say: the prompt's quoted text, else its first words."""
    quoted = _QUOTED.search(prompt)
    if quoted:
        return next(group for group in quoted.groups() if group)
    return " ".join(prompt.split()[:6]) or "stand-in text"


def _filler(model: str, request: ChatRequest) -> str:
    """A plain answer: the same for the same prompt, longer for a longer one."""
    prompt = request.last_user
    head = f"stand-in answer from {model} to: {' '.join(prompt.split()[:8]) or 'nothing'}."
    sentences = count_tokens(prompt) // 12 + int(draw("length", prompt) * 4)
    rest = (pick(_FILLER, model, prompt, number) for number in range(min(sentences, 60)))
    return " ".join([head, *rest])
