"""How numbers look."""

from __future__ import annotations

import math

import pytest

from llmroute.cli.render import bar, clip, money


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0, "$0"),
        (1234.5, "$1,234.50"),
        (1.239, "$1.24"),
        (0.0126, "$0.013"),
        (0.0000449, "$0.000045"),
        (-0.002, "-$0.0020"),
        (None, "unknown"),
        (math.nan, "unknown"),
    ],
)
def test_money_shows_the_digits_that_count(usd: float | None, shown: str) -> None:
    assert money(usd) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "····"), (0.5, "██··"), (0.53, "██▏·"), (1, "████"), (2, "████")]
)
def test_a_bar_is_exact_to_an_eighth(share: float, shown: str) -> None:
    assert bar(share, 4) == shown


def test_a_text_is_clipped_to_one_line() -> None:
    assert clip("one\n two  three", 9) == "one two…"
    assert clip("one\n two", 9) == "one two"
