"""What kind of answer a request asks for, by its last turn and its schema."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from llmroute.answers.dates import asked_date_format
from llmroute.answers.multiple_choice import options
from llmroute.request.request import Request
from llmroute.scoring.text import head_and_tail

#: What an answer can be. `text` is short and compared by its words, `prose` by its meaning.
Kind = Literal[
    "choice", "number", "yesno", "date", "json", "code", "tools", "fields", "text", "prose"
]

#: Characters of a turn that are searched: for options the last ones, for all else those at its
#: beginning and its end.
_OPTIONS_WITHIN, _ENDS = 8000, 2000

#: What a list of letters is a choice beside; an outline has letters too.
_CHOOSE = re.compile(
    r"\?|:\s|_{3}|\b(?:question|answer|choices?|options?|choose|select|pick|which|correct)\b",
    re.IGNORECASE,
)


class _Sign(NamedTuple):
    """A pattern that ignores case, searched for only where a text holds one of its `parts`.

    Every match has one of them, in lower case. This runs for every decision, and looking for a
    part is twenty times faster. Parts have no "i": a pattern that ignores case takes the Turkish
    "İ" and "ı" for it, too.
    """

    pattern: re.Pattern[str]
    parts: tuple[str, ...]

    @classmethod
    def of(cls, pattern: str, *parts: str) -> _Sign:
        return cls(re.compile(pattern, re.IGNORECASE), parts)

    def is_in(self, text: str, folded: str) -> bool:
        """Whether a text matches; `folded` is the text after `str.casefold`."""
        # A loop: `any` with a generator takes twice as long.
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
#: What asks for a number without a question, and wherever it stands.
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
        kind: The kind of answer, or None where the prompt does not show it.
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
    """What a request, its messages or a prompt ask for, by patterns; no model is called."""
    if isinstance(request, Request):
        if request.schema is not None:
            function = convert_to_openai_tool(request.schema.schema)["function"]
            parameters = function.get("parameters")
            return Expected("fields", schema=parameters if isinstance(parameters, dict) else {})
        if request.arguments.get("response_format") is not None:
            return Expected("json")
        return expected(request.messages)
    if isinstance(request, str):
        return _of_text(request, request)
    turns = [str(m.text) for m in request if m.type == "human"]
    system = [str(m.text) for m in request if m.type == "system"]
    turn = turns[-1] if turns else ""
    return _of_text(turn, "\n".join([*system, turn]))


def _of_text(turn: str, asked: str) -> Expected:
    """What a turn asks for; `asked` is the turn with the system text before it."""
    given = options(turn[-_OPTIONS_WITHIN:])
    turn, asked = head_and_tail(turn, _ENDS), head_and_tail(asked, _ENDS)
    if given and _CHOOSE.search(turn):
        return Expected("choice", options=MappingProxyType(given))
    folded, all_folded = turn.casefold(), asked.casefold()
    if _CODE.is_in(turn, folded):
        return Expected("code")
    if _JSON.is_in(asked, all_folded):
        return Expected("json")
    shows_format, day_first = asked_date_format(asked)
    if shows_format or _DATE.is_in(asked, all_folded):
        return Expected("date", day_first=day_first)
    question = _question(turn)
    if _YES_NO.is_in(turn, folded) or _AUXILIARY.match(question):
        return Expected("yesno")
    wanted = _NUMBER.search(question) if question else _NUMBER_WANTED.is_in(turn, folded)
    if wanted or _NUMERICAL.is_in(turn, folded):
        return Expected("number", percent=bool(_PERCENT.search(turn)))
    return Expected(day_first=day_first)


def _question(turn: str) -> str:
    """The last question of a turn; empty where there is none."""
    end = turn.rfind("?")
    if end < 0:
        return ""
    before = turn[max(0, end - 400) : end]
    start = max(before.rfind(mark) for mark in (". ", "! ", "? ", ": ", "\n"))
    return before[start + 1 :].strip(" \t\"“'") + "?"
