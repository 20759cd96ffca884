"""What kind of answer a request asks for, read once from its last turn, schema and tools."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from llmroute.answers.dates import day_first, may_show_a_form, shows_a_form
from llmroute.answers.multiple_choice import options
from llmroute.request.request import BoundSchema, Request
from llmroute.scoring.text import head_and_tail

#: What an answer can be. `text` is short and compared by its words, `prose` by its meaning.
Kind = Literal[
    "choice", "number", "yesno", "date", "json", "code", "tools", "fields", "text", "prose"
]

#: Characters of a turn that are searched for options, its last ones, and for all else, at its
#: beginning and its end: what is asked for stands there.
_READ, _ENDS = 8000, 2000

#: What a list of letters is a choice beside; an outline has letters too.
_CHOOSE = re.compile(
    r"\?|:\s|_{3}|\b(?:question|answer|choices?|options?|choose|select|pick|which|correct)\b",
    re.IGNORECASE,
)


class _Sign(NamedTuple):
    """A pattern, looked for only where a part that each of its matches has is found first.

    This runs for every decision, and looking for a part is twenty times faster. Parts have no "i":
    to a pattern that ignores case the Turkish "İ" and "ı" are one too.

    Attributes:
        pattern: The pattern; case is ignored.
        parts: In lower case; every match has at least one of them.
    """

    pattern: re.Pattern[str]
    parts: tuple[str, ...]

    @classmethod
    def of(cls, pattern: str, *parts: str) -> _Sign:
        return cls(re.compile(pattern, re.IGNORECASE), parts)

    def is_in(self, text: str, folded: str) -> bool:
        """Whether a text has it; `folded` is the text after `str.casefold`."""
        for part in self.parts:
            if part in folded:
                return bool(self.pattern.search(text))
        return False


_JSON = _Sign.of(
    r"\b(?:as|in|into|return|output|respond|reply|answer|produce|give|valid|only)\b[^.\n]{0,40}"
    r"\bjson\b|\bjson (?:object|array|format|only|with)\b",
    "json",
)
_CODE = _Sign.of(
    r"\b(?:write|implement|complete|create|fix|refactor|generate)\b[^.?!\n]{0,80}"
    r"\b(?:function|program|script|code|class|method|query|regex|regular expression)\b",
    *("funct", "program", "scr", "code", "class", "method", "query", "regex", "regular expr"),
)
_DATE = _Sign.of(
    r"\bwhat(?:'s| is| was| will be)? (?:the )?date\b|\b(?:on )?(?:what|which) date\b", "date"
)
_YES_NO = _Sign.of(
    r"\b(?:yes|true)\W{1,4}(?:or|/)?\W{0,4}(?:no|false)\b|\byes/no\b|\btrue/false\b", "yes", "true"
)
_AUXILIARY = re.compile(
    r"(?:is|are|was|were|am|do|does|did|can|could|will|would|has|have|had|should|may|must|might)"
    r"(?:n't)?\b(?! you (?:please|kindly|just|now|also|"
    r"write|give|explain|tell|show|help|make|create|list|summari[sz]e|translate|provide|describe"
    r"|find|generate|suggest|recommend|fix|compare|check|draft|rewrite|convert|share|calculate)\b)"
    r"(?![^?]*\b(?:or|what|which|who|whom|whose|where|when|why|how)\b)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\bhow (?:many|much|old|far|tall|fast)\b"
    r"|\bwhat (?:is|was|are|will be|would be) the (?:\w+ ){0,2}(?:total|sum|number|average|mean"
    r"|median|probability|percentage|area|volume|perimeter|value|difference|product|remainder"
    r"|ratio|cost|price|amount|length|distance)\b"
    r"|\bwhat percent(?:age)?\b",
    re.IGNORECASE,
)
#: The same without a question, and what asks for a number wherever it stands.
_NUMBER_WANTED = _Sign.of(
    r"\b(?:calculate|compute)\b|\bsolve for\b|\bfind (?:the )?(?:value|sum|number|area)\b",
    *("calculate", "compute", "solve for", "value", "sum", "number", "area"),
)
_NUMERICAL = _Sign.of(r"\bnumer(?:ic|ical) (?:final )?(?:answer|value|result)\b", "numer")
_PERCENT = re.compile(r"\bpercent(?:age)?\b|\bper cent\b", re.IGNORECASE)


@dataclass(frozen=True)
class Expected:
    """What a prompt asks for.

    Attributes:
        kind: The kind of answer, or None where the prompt does not tell.
        options: The options of a multiple-choice prompt, by letter.
        day_first: Whether dates are written with the day before the month, or None.
        percent: Whether a bare number stands for per cent.
        schema: JSON schema of a structured output, or None.
    """

    kind: Kind | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    day_first: bool | None = None
    percent: bool = False
    schema: Mapping[str, Any] | None = None


def expected(request: Request | str | Sequence[BaseMessage]) -> Expected:
    """What a request asks for, by plain signs in it; nothing is asked of a model.

    Args:
        request: A request, its messages, or a prompt.
    """
    if isinstance(request, Request):
        if request.schema is not None:
            return Expected("fields", schema=schema_of(request.schema))
        if request.arguments.get("response_format") is not None:
            return Expected("json")
        return expected(request.messages)
    if isinstance(request, str):
        return _of_text(request, request)
    turns = [str(m.text) for m in request if m.type == "human"]
    system = [str(m.text) for m in request if m.type == "system"]
    turn = turns[-1] if turns else ""
    return _of_text(turn, "\n".join([*system, turn]))


def schema_of(bound: BoundSchema) -> Mapping[str, Any]:
    """The JSON schema of a structured output's fields.

    Args:
        bound: The schema as the caller gave it.
    """
    parameters = convert_to_openai_tool(bound.schema)["function"].get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def _of_text(turn: str, asked: str) -> Expected:
    """What a turn asks for; `asked` is the turn with the system text before it."""
    given = options(turn[-_READ:])
    turn, asked = head_and_tail(turn, _ENDS), head_and_tail(asked, _ENDS)
    if given and _CHOOSE.search(turn):
        return Expected("choice", options=MappingProxyType(given))
    said, all_said = turn.casefold(), asked.casefold()
    if _CODE.is_in(turn, said):
        return Expected("code")
    if _JSON.is_in(asked, all_said):
        return Expected("json")
    is_shown = may_show_a_form(asked)
    order = day_first(asked) if is_shown else None
    if (is_shown and shows_a_form(asked)) or _DATE.is_in(asked, all_said):
        return Expected("date", day_first=order)
    question = _question(turn)
    if _YES_NO.is_in(turn, said) or _AUXILIARY.match(question):
        return Expected("yesno")
    wanted = _NUMBER.search(question) if question else _NUMBER_WANTED.is_in(turn, said)
    if wanted or _NUMERICAL.is_in(turn, said):
        return Expected("number", percent=bool(_PERCENT.search(turn)))
    return Expected(day_first=order)


def _question(turn: str) -> str:
    """The last question of a turn, without what stands before it."""
    end = turn.rfind("?")
    if end < 0:
        return ""
    before = turn[max(0, end - 400) : end]
    start = max(before.rfind(sign) for sign in (". ", "! ", "? ", ": ", "\n"))
    return before[start + 1 :].strip(" \t\"“'") + "?"
