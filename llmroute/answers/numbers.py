"""Numbers as models write them: thousands, fractions, per cent, currencies, LaTeX, units, words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

#: Two numbers this near, relative to the larger, are one answer.
TOLERANCE = 1e-4

_DIGITS = r"(?:\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?!\d)|\d+)"
_FREE = r"(?<![\w.])"
_FORMS = re.compile(
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


@dataclass(frozen=True)
class Number:
    """A number and its unit.

    Attributes:
        value: The number as it was written.
        unit: Its unit as `_UNITS` knows it, lower case; empty for none, or a word that is none.
    """

    value: float
    unit: str = ""


def numbers(text: str) -> list[Number]:
    """All numbers of a text in their order; those written as words where there are no others.

    Args:
        text: A text of some thousand characters at most.
    """
    text = _cleaned(text)
    found: list[Number] = []
    end = 0
    for one in _FORMS.finditer(text):
        number = _read(one)
        if number is None:
            continue
        joined = found and _JOINED.fullmatch(text, end, one.start())
        whole = _sum(found[-1], number) if joined else None
        found[-1:] = [whole] if whole else [*found[-1:], number]
        end = one.end()
    return found or [Number(_WORDS[w.lower()]) for w in _WORD.findall(text)]


def only_number(text: str) -> Number | None:
    """The number that a text is, with its unit and nothing else; None where it is more.

    Args:
        text: A short text.
    """
    if text.strip().lower() in _WORDS:
        return numbers(text)[0]
    found = numbers(text)
    rest = _FORMS.sub(lambda m: m[0] if _is_word(m["unit"]) else "", _cleaned(text))
    return found[0] if len(found) == 1 and not any(c.isalnum() for c in rest) else None


def same_number(one: Number, other: Number, tolerance: float = TOLERANCE) -> bool:
    """Whether two numbers are one answer.

    A number without a unit is taken to be in the other's. Known units are converted: 60 minutes
    are 1 hour. 50% is 50 where a bare number stands beside it, and is 0.5.

    Args:
        one: A number.
        other: Another.
        tolerance: Difference that is allowed, relative to the larger.
    """

    def near(a: float, b: float) -> bool:
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12)

    if one.unit == other.unit:
        return near(one.value, other.value)
    if not one.unit or not other.unit:
        named, nameless = (one, other) if one.unit else (other, one)
        share = named.unit == "%" and near(named.value / 100, nameless.value)
        return share or near(named.value, nameless.value)
    (measure, size), (other_measure, other_size) = _UNITS[one.unit], _UNITS[other.unit]
    return measure == other_measure and near(one.value * size, other.value * other_size)


def _cleaned(text: str) -> str:
    text = _LATEX.sub(r" \1", text.replace("−", "-").replace("–", "-"))
    return text.replace("\\$", "$").replace("\\%", "%")


def _read(found: re.Match[str]) -> Number | None:
    part = found.groupdict()
    try:
        value = _value(part)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    word = (part["unit"] or "").lower().replace(" ", "")
    value *= _POWER.get(word, 1.0)
    if part["sign"] == "-" or part["minus"]:
        value = -value
    unit = part["money"] or (word if word in _UNITS else "")
    return Number(value, _SHORT.get(unit, unit)) if math.isfinite(value) else None


def _is_word(unit: str | None) -> bool:
    name = (unit or "").lower().replace(" ", "")
    return bool(name) and name not in _UNITS and name not in _POWER


def _sum(one: Number, other: Number) -> Number | None:
    """Two parts of one quantity, the smaller unit after the larger; None where they are none."""
    measure, size = _UNITS.get(one.unit, ("", 0.0))
    of, part = _UNITS.get(other.unit, ("-", 0.0))
    if measure != of or part >= size:
        return None
    return Number(one.value + other.value * part / size, one.unit)


def _value(part: dict[str, str | None]) -> float:
    over, under = part["over"] or part["above"], part["under"] or part["below"]
    if over and under:
        return float(part["whole"] or part["mixed"] or 0) + _float(over) / _float(under)
    if part["power"]:
        return 10.0 ** int(part["power"])
    return _float(part["number"] or "") * 10.0 ** int(part["e"] or part["ten"] or 0)


def _float(digits: str) -> float:
    return float(re.sub("[,\u202f\u00a0]", "", digits))


#: The first name of each unit stands for all of them.
_SHORT: dict[str, str] = {}
for _name, _meaning in _UNITS.items():
    _SHORT[_name] = next(n for n, meaning in _UNITS.items() if meaning == _meaning)
