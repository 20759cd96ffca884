"""A conversation made safe for the model about to read it, when others have spoken in it.

Providers put things into an answer that they alone can read back: signed thinking, sealed
reasoning, the traces of their own tools, names of calls in a form of their own. Sent to another
model they are refused with HTTP 400, and with them the whole conversation. So the answers of other
models are told again in what all models understand: text, media and tool calls. The model's own
answers go back to it untouched, because it may need them as they were (Anthropic demands its
thinking inside a tool loop), and because a changed prefix is in no prompt cache.

How an answer is told again depends on what came before it and never on what comes after, so that a
conversation that grows stays the same at its beginning.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCall, tool_call

from llmroute.request.history.cache_control import MARKER, is_marked, unmarked_block, without_marker
from llmroute.request.history.target import Reader
from llmroute.request.history.thinking import holds_thought, was_asked_otherwise

#: Blocks of content that any provider's chat model can take, or refuse for what they hold.
_MEDIA = ("image", "image_url", "audio", "input_audio", "video", "file", "document", "text-plain")
#: OpenAI takes ids of calls of at most 40 characters, Anthropic these characters only.
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")

Content = str | list[str | dict[str, Any]]


def made_safe(
    messages: list[BaseMessage], reader: Reader, *, thoughts: bool = True
) -> list[BaseMessage]:
    """A conversation that the reader's provider takes.

    Args:
        messages: The conversation; neither the list nor a message is changed.
        reader: The model about to be asked.
        thoughts: Whether the reader's own thinking may be in it. Where thinking is turned off,
            Anthropic refuses that.

    Returns:
        The very list where nothing has to be done, and the very messages that are left alone.
    """
    if not any(_may_need_care(message, reader) for message in messages):
        return messages
    rewriter = _Rewriter(reader, thoughts)
    safe = [new for message in messages for new in rewriter.rewritten(message)]
    is_same = len(safe) == len(messages) and all(map(operator.is_, safe, messages))
    return messages if is_same else safe


def _may_need_care(message: BaseMessage, reader: Reader) -> bool:
    if isinstance(message, AIMessage):
        return True
    is_text = isinstance(message.content, str) and not message.additional_kwargs
    return not reader.takes_markers and not is_text


@dataclass
class _Rewriter:
    """Writes the messages of one conversation for a reader, one after the other."""

    reader: Reader
    thoughts: bool  # whether the reader's own thinking may stay
    ids: dict[str, str] = field(default_factory=dict)  # what a call's id was → what it is now
    taken: set[str] = field(default_factory=set)  # the ids that calls have

    def rewritten(self, message: BaseMessage) -> Iterator[BaseMessage]:
        if isinstance(message, AIMessage):
            yield from self._answer(message)
        elif isinstance(message, ToolMessage):
            yield self._unmarked(self._result(message))
        elif isinstance(message, HumanMessage):
            yield from self._words(message)
        else:
            yield self._unmarked(message)

    def _answer(self, message: AIMessage) -> Iterator[AIMessage]:
        thoughts = self.thoughts and not was_asked_otherwise(message)
        if self.reader.made(message) and (thoughts or not holds_thought(message)):
            for call in message.tool_calls:
                self._assign_id(call["id"], is_own=True)
            yield message
            return
        calls = [*message.tool_calls, *_calls_in(message)]
        ids = {call["id"]: self._assign_id(call["id"]) for call in calls}
        if _is_plain(message) and all(old == new_id for old, new_id in ids.items()):
            yield message
            return
        new = AIMessage(
            content=self._content(message),
            tool_calls=[
                tool_call(name=call["name"], args=call["args"], id=ids[call["id"]])
                for call in calls
            ],
            invalid_tool_calls=message.invalid_tool_calls,
            additional_kwargs=_legacy(message),
            name=message.name,
            id=message.id,
        )
        # One that held nothing but its maker's thoughts says nothing to anyone else.
        if new.content or calls or new.invalid_tool_calls or new.additional_kwargs:
            yield new

    def _content(self, message: AIMessage) -> Content:
        parts: list[str | dict[str, Any]] = []
        for block in _blocks(message.content):
            part = self._part(block)
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part:
                parts.append(part)
        if not parts:
            return str(message.additional_kwargs.get("refusal") or "")
        if len(parts) == 1 and isinstance(parts[0], str):
            return parts[0] if parts[0].strip() else ""
        return [_text_block(part) for part in parts if not isinstance(part, str) or part.strip()]

    def _part(self, block: str | Mapping[str, Any]) -> str | dict[str, Any] | None:
        """A block of another's answer: as text, as it is, or not at all."""
        if isinstance(block, str):
            return block
        kind = block.get("type")
        if kind in ("text", "refusal"):
            text = str(block.get(kind) or "")
            if text and self.reader.takes_markers and MARKER in block:
                return {"type": "text", "text": text, MARKER: block[MARKER]}
            return text
        if kind in _MEDIA:
            return dict(block) if self.reader.takes_markers else unmarked_block(block)
        return None

    def _assign_id(self, given: str | None, *, is_own: bool = False) -> str | None:
        """The id of a call: the reader's own as it is, another's made fit for every provider."""
        if given is None:
            return None
        new = given
        if not is_own and (given in self.taken or not _CALL_ID.fullmatch(given)):
            seed = f"{given}\x1f{len(self.taken)}".encode("utf-8", "surrogatepass")
            new = f"call_{blake2b(seed, digest_size=16).hexdigest()}"
        self.ids[given] = new
        self.taken.add(new)
        return new

    def _result(self, message: ToolMessage) -> ToolMessage:
        new = self._new_id(message.tool_call_id)
        return message.model_copy(update={"tool_call_id": new}) if new else message

    def _new_id(self, given: object) -> str | None:
        """What a call's id is now, where that is something else."""
        new = self.ids.get(str(given))
        return None if new == given else new

    def _words(self, message: HumanMessage) -> Iterator[BaseMessage]:
        """The user's words; Anthropic's blocks of tool results become messages of their own."""
        results = [block for block in _blocks(message.content) if _type_of(block) == "tool_result"]
        has_new_ids = any(self._new_id(block.get("tool_use_id")) for block in results)
        if not results or (self.reader.is_anthropics and not has_new_ids):
            yield self._unmarked(message)
            return
        for block in results:
            result = ToolMessage(
                content=block.get("content") or "",
                tool_call_id=str(block.get("tool_use_id")),
                status="error" if block.get("is_error") else "success",
            )
            yield self._unmarked(self._result(result))
        rest = [block for block in _blocks(message.content) if _type_of(block) != "tool_result"]
        if rest:
            yield self._unmarked(message.model_copy(update={"content": rest}))

    def _unmarked(self, message: BaseMessage) -> BaseMessage:
        """A message without cache markers, where its reader takes none."""
        if self.reader.takes_markers:
            return message
        update: dict[str, Any] = {}
        if any(is_marked(block) for block in _blocks(message.content)):
            update["content"] = [unmarked_block(block) for block in _blocks(message.content)]
        if MARKER in message.additional_kwargs:
            update["additional_kwargs"] = without_marker(message.additional_kwargs)
        return message.model_copy(update=update) if update else message


def _blocks(content: Content) -> list[Any]:
    return [content] if isinstance(content, str) else content


def _text_block(part: str | dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": part} if isinstance(part, str) else part


def _type_of(block: object) -> object:
    return block.get("type") if isinstance(block, dict) else None


def _is_plain(message: AIMessage) -> bool:
    content = message.content
    # Anthropic sometimes begins with line ends alone, and refuses them.
    is_text = isinstance(content, str) and bool(
        content.strip() or (message.tool_calls and not content)
    )
    return is_text and not any(message.additional_kwargs.values())


def _legacy(message: AIMessage) -> dict[str, Any]:
    # What OpenAI had before tool calls; messages of the role "function" answer to it.
    call = message.additional_kwargs.get("function_call")
    return {"function_call": call} if call else {}


def _calls_in(message: AIMessage) -> Iterator[ToolCall]:
    """Calls that stand in the content alone, as in histories written by hand."""
    known = {call["id"] for call in message.tool_calls}
    for block in _blocks(message.content):
        if _type_of(block) == "tool_use" and block.get("id") not in known:
            arguments = block.get("input")
            yield tool_call(
                name=str(block.get("name")),
                args=arguments if isinstance(arguments, dict) else {},
                id=block.get("id"),
            )
