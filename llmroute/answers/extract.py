"""The final answer of a model's output, extracted and in one form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from llmroute.answers.answer_type import Expected, Kind
from llmroute.answers.code import blocks, program
from llmroute.answers.dates import dates, is_date
from llmroute.answers.multiple_choice import choice
from llmroute.answers.normalize import SHORT, bare, boxed, folded, listed, plain, stated, tail
from llmroute.answers.numbers import Number, numbers, only_number
from llmroute.answers.structured import json_in

#: What a model can return: a text, a message, or what structured output was parsed to.
ModelOutput = str | BaseMessage | BaseModel | Mapping[str, Any]

#: Characters a short text has at most.
_SHORT_TEXT = 200
#: An output that was cut off for its length and is longer than this has an answer only where it
#: states one.
_CUT = 100
#: Characters at the end in which a text may state its answer where nothing plain was asked for.
_END = 300
_CUT_REASONS = frozenset({"length", "max_tokens", "MAX_TOKENS"})

#: What may stand behind a fence before a text that is no program.
_NO_PROGRAM = frozenset({"", "text", "txt", "markdown", "md", "plaintext"})

_THOUGHT = re.compile(r"</think(?:ing)?>")
_COMMA = re.compile(r"[,;]\s|\band\b")
_NUMERIC = re.compile(r"[-+$€£]?\d")
_YES = re.compile(r"(?:yes|yeah|yep|true|correct)\b")
_NO = re.compile(r"(?:no|nope|false|incorrect)\b(?! one\b)")


@dataclass(frozen=True)
class Answer:
    """A final answer.

    Attributes:
        kind: What kind of answer it is; answers of two kinds do not agree, but for short text and
            prose.
        value: The answer in the form in which it is compared: a letter, a `Number`, a bool, an
            ISO date, a JSON value, (name, arguments) pairs, a program's tree, folded text.
        text: The answer in the model's own words.
    """

    kind: Kind
    value: Any
    text: str


def answer_of(output: ModelOutput, asked: Expected | None = None) -> Answer | None:
    """The final answer of a model's output, or None where none can be read.

    Odd input is no error: what cannot be read is no answer. The work is bounded: of a long text
    the end is searched, and no text is executed.

    Args:
        output: A text, a chat model's message, or a parsed structured output (a pydantic model, a
            dict, or LangChain's dict of `raw`, `parsed` and `parsing_error`).
        asked: What the prompt asks for, from `expected(request)`; None where nothing is known.
    """
    asked = asked or Expected()
    if isinstance(output, str):
        return _of_text(output, asked)
    if isinstance(output, BaseMessage):
        return _of_message(output, asked)
    if isinstance(output, Mapping) and {"raw", "parsed", "parsing_error"} == output.keys():
        return _of_parsed(output["parsed"])
    return _of_parsed(output)


def _of_message(message: BaseMessage, asked: Expected) -> Answer | None:
    if calls := getattr(message, "tool_calls", None):
        pairs = [(str(call["name"]), call["args"]) for call in calls]
        return Answer("tools", pairs, "; ".join(f"{name}({args})" for name, args in pairs))
    text, metadata = str(message.text), message.response_metadata
    was_cut = any(metadata.get(key) in _CUT_REASONS for key in ("finish_reason", "stop_reason"))
    if was_cut and len(text) > _CUT:
        text = stated(tail(text)) or ""
    return _of_text(text, asked)


def _of_parsed(parsed: Any) -> Answer | None:
    """A structured output; parsing gives None where there is none."""
    if isinstance(parsed, BaseModel):
        try:
            parsed = parsed.model_dump(mode="json")
        except Exception:  # a field of a type that has no form in JSON raises what it likes
            parsed = dict(parsed)
    return None if parsed is None else Answer("fields", parsed, str(parsed))


def _of_text(text: str, asked: Expected) -> Answer | None:
    text = _THOUGHT.split(text)[-1].strip()
    if not text:
        return None
    if asked.kind == "choice":
        letter = choice(text, asked.options)
        return Answer("choice", letter, letter) if letter else None
    if asked.kind == "fields":
        values = json_in(text)
        return _of_parsed(values[0]) if values else None
    read = _READERS.get(asked.kind or "")
    return (read(text, asked) if read else None) or _unasked(text, asked)


def _json(text: str, asked: Expected) -> Answer | None:
    values = json_in(text)
    return Answer("json", values[0], text) if values else None


def _code(text: str, asked: Expected) -> Answer | None:
    # Beside the program an answer may hold a line that calls it, or what it prints.
    longest = max(blocks(text), key=lambda block: len(block[1]), default=None)
    language, source = longest or ("", text)
    return Answer("code", program(language, source), source) if source.strip() else None


def _date(text: str, asked: Expected) -> Answer | None:
    for part in (stated(tail(text)), tail(text)):
        values = dates(part, asked.day_first) if part else []
        if values:
            return Answer("date", values[-1], part or "")
    return None


def _number(text: str, asked: Expected) -> Answer | None:
    if box := boxed(tail(text)):
        whole = only_number(box.rsplit("=", 1)[-1])
        return _numeric(whole, asked, box) if whole else _short(box, asked)
    part = stated(tail(text))
    if not part:
        values = numbers(tail(text))
        return _numeric(values[-1], asked, text) if values else None
    values = numbers(part.rsplit("=", 1)[-1]) or numbers(part)
    if len(values) > 1 and _is_list(part):
        return _short(part, asked)
    return _numeric(values[0], asked, part) if values else None


def _is_list(part: str) -> bool:
    """Whether several numbers are the answer: "4 blue, 6 red"."""
    parts = [p.strip() for p in _COMMA.split(part) if p.strip()]
    return len(parts) > 1 and all(_NUMERIC.match(p) for p in parts)


def _numeric(number: Number, asked: Expected, text: str) -> Answer:
    if asked.percent and not number.unit:
        number = Number(number.value, "%")
    return Answer("number", number, text)


def _yesno(text: str, asked: Expected) -> Answer | None:
    for part in (stated(tail(text)), text):
        start = plain(bare(part or "")[:80]).strip()
        for pattern, value in ((_YES, True), (_NO, False)):
            if pattern.match(start):
                return Answer("yesno", value, part or "")
    return None


_READERS: dict[str, Callable[[str, Expected], Answer | None]] = {
    "json": _json,
    "code": _code,
    "date": _date,
    "number": _number,
    "yesno": _yesno,
}


def _unasked(text: str, asked: Expected) -> Answer | None:
    """An answer to a prompt that does not show what kind it asks for."""
    if text[:1] in "{[" and (answer := _json(text, asked)):
        return answer
    languages = {language for language, _ in blocks(text)}
    if languages - _NO_PROGRAM:
        return (_json(text, asked) if "json" in languages else None) or _code(text, asked)
    # In an essay "the answer is" may stand anywhere; at the end it states the answer.
    part = bare(stated(text[-_END:]) or text)
    words = folded(part).split()
    if not words:
        return Answer("text", part.strip(), part) if part.strip() else None
    if len(words) > SHORT or len(part) > _SHORT_TEXT or "\n" in part:
        return Answer("prose", folded(text), text)
    return _short(part, asked)


def _short(part: str, asked: Expected) -> Answer:
    word = folded(part)
    if word in ("yes", "no", "true", "false"):
        return Answer("yesno", word in ("yes", "true"), part)
    if is_date(part):
        return Answer("date", dates(part, asked.day_first)[0], part)
    number = only_number(part.rsplit("=", 1)[-1])
    if number is not None:
        return Answer("number", number, part)
    if len(part) == 1 and part in "ABCDEFGHIJ":
        return Answer("choice", part, part)
    return Answer("text", listed(part), part)
