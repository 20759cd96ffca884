"""Dates as models write them, in one form: 2021-05-01, 2021-05, or --05-01 without a year."""

from __future__ import annotations

import re
from datetime import date

_MONTHS = "january february march april may june july august september october november december"
_MONTH = {name[:3]: number for number, name in enumerate(_MONTHS.split(), 1)}
_NAME = r"(?P<month{0}>" + "|".join(f"{m[:3]}(?:{m[3:]})?" for m in _MONTHS.split()) + r"|sept)\.?"
_DATE = re.compile(
    r"(?<![\w/.\-])(?:"
    r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?=T\d|(?![\w/]))"
    r"|(?P<first>\d{1,2})(?P<sep>[/.\-])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4})(?![\w/])"
    rf"|{_NAME.format(1)}\s+(?P<day1>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<year1>\d{{4}}))?(?![\w/])"
    rf"|(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_NAME.format(2)}(?:,?\s+(?P<year2>\d{{4}}))?\b"
    rf"|{_NAME.format(3)},?\s+(?:of\s+)?(?P<year3>\d{{4}})(?![\w/])"
    r")",
    re.IGNORECASE | re.ASCII,
)
_MONTH_FIRST = re.compile(r"\bmm?\s*[/.\-]\s*dd?\b", re.IGNORECASE)
_DAY_FIRST = re.compile(r"\bdd?\s*[/.\-]\s*mm?\b", re.IGNORECASE)
_PATTERN = re.compile(
    r"\bmm?\s?[/.\-]\s?dd?\b|\bdd?\s?[/.\-]\s?mm?\b|\byyyy-mm-dd\b", re.IGNORECASE
)
#: A part of every match of the three above; most prompts have none, and it is faster to look for.
_PART = re.compile(r"[/.\-]\s*[dmDM]{1,2}\b")


def asked_date_format(prompt: str) -> tuple[bool, bool | None]:
    """How a prompt asks for dates to be written, such as "in MM/DD/YYYY".

    Returns:
        Whether it shows a pattern; and whether the day comes before the month, None where the
        prompt does not say.
    """
    if not _PART.search(prompt):
        return False, None
    month, day = bool(_MONTH_FIRST.search(prompt)), bool(_DAY_FIRST.search(prompt))
    return bool(_PATTERN.search(prompt)), None if month == day else day


def dates(text: str, day_first: bool | None = None) -> list[str]:
    """The dates of a text, in their order and in one form.

    Where nothing says whether 05/01/2021 is in May or in January it stays "5/1/2021", which is
    equal to itself only. What is no day of the calendar is no date.

    Args:
        text: A text of some thousand characters at most.
        day_first: Whether the day comes before the month where both could be a month; None where
            that is not known.
    """
    read = (_read(match, day_first) for match in _DATE.finditer(text))
    return [value for value in read if value is not None]


def is_date(text: str) -> bool:
    """Whether a short text is a date with its day and nothing else."""
    match = _DATE.fullmatch(text.strip())
    return match is not None and not match["year3"] and _read(match, None) is not None


def _read(match: re.Match[str], day_first: bool | None) -> str | None:
    part = match.groupdict()
    if part["y"]:
        return _day(int(part["y"]), int(part["m"]), int(part["d"]))
    if part["year"]:
        first, second, year = int(part["first"]), int(part["second"]), int(part["year"])
        return _numeric(first, second, year, True if part["sep"] == "." else day_first)
    if part["year3"]:
        return f"{int(part['year3']):04d}-{_MONTH[part['month3'][:3].lower()]:02d}"
    month = _MONTH[(part["month1"] or part["month2"])[:3].lower()]
    day, named = int(part["day1"] or part["day2"]), part["year1"] or part["year2"]
    if named:
        return _day(int(named), month, day)
    # A leap year, so that the 29th of February is a day.
    return f"--{month:02d}-{day:02d}" if _day(2000, month, day) else None


def _numeric(first: int, second: int, year: int, day_first: bool | None) -> str | None:
    as_month_first, as_day_first = _day(year, first, second), _day(year, second, first)
    if as_month_first and as_day_first and first != second:
        if day_first is None:
            return f"{first}/{second}/{year}"
        return as_day_first if day_first else as_month_first
    return as_month_first or as_day_first


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
