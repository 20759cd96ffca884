"""Numbers as models write them: thousands, fractions, per cent, currencies, LaTeX, units, words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

#: Two numbers this near, relative to the larger, are the same answer.
_TOLERANCE = 1e-4

_DIGITS = r"(?:\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?!\d)|\d+)"
_FREE = r"(?<![\w.])"
_NUMBER = re.compile(
    rf"(?:(?<![\w)])(?P<sign>[-+]))?(?:(?P<money>[$€£¥])\s?(?P<minus>-)?)?"
    rf"(?:(?:{_FREE}(?P<whole>\d+))?\\[dt]?frac\{{(?P<over>{_DIGITS})\}}\{{(?P<under>{_DIGITS})\}}"
    rf"|{_FREE}(?:(?P<mixed>\d+)\s)?(?P<above>\d+)\s?[/⁄]\s?(?P<below>\d+)(?![\w/])"
    rf"|{_FREE}10(?:\^|\*\*)\{{?(?P<power>[-+]?\d{{1,4}})\}}?"
    rf"|{_FREE}(?P<number>{_DIGITS}(?:\.\d+)?|\.\d+)"
    r"(?:[eE](?P<e>[-+]?\d{1,4})\b|\s?(?:[x×*]|\\times)\s?10(?:\^|\*\*)\{?(?P<ten>[-+]?\d{1,4})\}?)?)"
    r"\s{0,3}(?P<unit>%|°\s?[CF]\b|[a-zA-Zµμ]+\b[²³]?)?"
)
_LATEX = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|operatorname)\s*\{([^{}]*)\}|\\[,;!: ]|\\left|\\right"
)
#: What stands between the parts of one quantity: 3 hours and 20 minutes.
_JOINED = re.compile(r"\s*(?:,|and|,\s*and)?\s*")
_POWER = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_WORDS = {word: float(value) for value, word in enumerate(_NAMES.split())}
_WORD = re.compile(r"\b(?:" + "|".join(_WORDS) + r")\b(?![-\w])", re.IGNORECASE | re.ASCII)

#: Unit → what it measures and how many of that measure's base unit it is.
_UNITS: dict[str, tuple[str, float]] = {
    name: (measure, size)
    for measure, sizes in {
        "share": {"% percent pct": 1.0},
        "usd": {"$ usd dollar dollars": 1.0, "cent cents": 0.01},
        "eur": {"€ eur euro euros": 1.0},
        "gbp": {"£ gbp": 1.0},  # a pound may also be a weight, so that word is no unit
        "yen": {"¥ yen jpy": 1.0},
        "time": {
            "s sec secs second seconds": 1.0,
            "min mins minute minutes": 60.0,
            "h hr hrs hour hours": 3600.0,
            "day days": 86400.0,
            "week weeks": 604800.0,
        },
        "years": {"year years": 1.0, "month months": 1 / 12},
        "length": {
            "mm millimeter millimeters millimetre millimetres": 0.001,
            "cm centimeter centimeters centimetre centimetres": 0.01,
            "m meter meters metre metres": 1.0,
            "km kilometer kilometers kilometre kilometres": 1000.0,
            "inch inches": 0.0254,
            "ft foot feet": 0.3048,
            "yd yard yards": 0.9144,
            "mile miles": 1609.344,
        },
        "mass": {
            "mg milligram milligrams": 1e-6,
            "g gram grams": 1e-3,
            "kg kilogram kilograms": 1.0,
            "lb lbs": 0.45359237,
            "oz ounce ounces": 0.028349523125,
        },
        "volume": {
            "ml milliliter milliliters millilitre millilitres": 0.001,
            "l liter liters litre litres": 1.0,
        },
        "celsius": {"°c celsius": 1.0},
        "fahrenheit": {"°f fahrenheit": 1.0},
    }.items()
    for names, size in sizes.items()
    for name in names.split()
}
#: The first name of each unit stands for all of them.
_SHORT = {name: next(n for n in _UNITS if _UNITS[n] == _UNITS[name]) for name in _UNITS}


@dataclass(frozen=True)
class Number:
    """A number as it was written, and its unit.

    The unit is the first of its names in `_UNITS`; empty for none, or for a word that is no unit.
    """

    value: float
    unit: str = ""


def numbers(text: str) -> list[Number]:
    """All numbers of a text in their order; those written as words where there are no others.

    The work grows with the text: give it some thousand characters at most.
    """
    text = _cleaned(text)
    result: list[Number] = []
    end = 0
    for match in _NUMBER.finditer(text):
        number = _read(match)
        if number is None:
            continue
        joined = result and _JOINED.fullmatch(text, end, match.start())
        whole = _sum(result[-1], number) if joined else None
        result[-1:] = [whole] if whole else [*result[-1:], number]
        end = match.end()
    return result or [Number(_WORDS[w.lower()]) for w in _WORD.findall(text)]


def only_number(text: str) -> Number | None:
    """The number that a short text is, with its unit and nothing else; None where it is more."""
    if text.strip().lower() in _WORDS:
        return numbers(text)[0]
    read = numbers(text)
    rest = _NUMBER.sub(lambda m: m[0] if _is_word(_unit_name(m["unit"])) else "", _cleaned(text))
    return read[0] if len(read) == 1 and not any(c.isalnum() for c in rest) else None


def same_number(a: Number, b: Number) -> bool:
    """Whether two numbers are the same answer.

    A number without a unit is taken to be in the other's. Known units are converted: 60 minutes
    are 1 hour. 50% is 50 where a bare number stands beside it, and is 0.5.
    """

    def near(x: float, y: float) -> bool:
        return math.isclose(x, y, rel_tol=_TOLERANCE, abs_tol=1e-12)

    if a.unit == b.unit:
        return near(a.value, b.value)
    if not a.unit or not b.unit:
        named, nameless = (a, b) if a.unit else (b, a)
        share = named.unit == "%" and near(named.value / 100, nameless.value)
        return share or near(named.value, nameless.value)
    (measure, size), (other_measure, other_size) = _UNITS[a.unit], _UNITS[b.unit]
    return measure == other_measure and near(a.value * size, b.value * other_size)


def _cleaned(text: str) -> str:
    text = _LATEX.sub(r" \1", text.replace("−", "-").replace("–", "-"))
    return text.replace("\\$", "$").replace("\\%", "%")


def _read(match: re.Match[str]) -> Number | None:
    part = match.groupdict()
    try:
        value = _value(part)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    word = _unit_name(part["unit"])
    value *= _POWER.get(word, 1.0)
    if part["sign"] == "-" or part["minus"]:
        value = -value
    unit = part["money"] or (word if word in _UNITS else "")
    return Number(value, _SHORT.get(unit, unit)) if math.isfinite(value) else None


def _unit_name(unit: str | None) -> str:
    return (unit or "").lower().replace(" ", "")


def _is_word(name: str) -> bool:
    return bool(name) and name not in _UNITS and name not in _POWER


def _sum(large: Number, small: Number) -> Number | None:
    """Two parts of one quantity, the smaller unit after the larger; None where they are none."""
    measure, size = _UNITS.get(large.unit, ("", 0.0))
    small_measure, small_size = _UNITS.get(small.unit, ("-", 0.0))
    if measure != small_measure or small_size >= size:
        return None
    return Number(large.value + small.value * small_size / size, large.unit)


def _value(part: dict[str, str | None]) -> float:
    over, under = part["over"] or part["above"], part["under"] or part["below"]
    if over and under:
        return float(part["whole"] or part["mixed"] or 0) + _float(over) / _float(under)
    if part["power"]:
        return 10.0 ** int(part["power"])
    return _float(part["number"] or "") * 10.0 ** int(part["e"] or part["ten"] or 0)


def _float(digits: str) -> float:
    return float(re.sub("[,\u202f\u00a0]", "", digits))
