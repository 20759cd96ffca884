import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmroute.scoring.surface import FEATURES, surface_features, surface_row


def named(text: str) -> dict[str, float]:
    return dict(zip(FEATURES, surface_row(text), strict=True))


@given(st.text(max_size=400))
def test_any_text_gives_finite_features_of_the_stated_length(text: str) -> None:
    row = surface_row(text)
    assert len(row) == len(FEATURES)
    assert np.isfinite(row).all()


def test_shares_and_counts() -> None:
    row = named("Add 12 and 345!")
    assert row["digits"] == 5 / 15
    assert np.isclose(row["log_numbers"], np.log1p(2))
    assert row["upper"] == 1 / 15
    assert row["not_ascii"] == 0
    assert named("añb")["not_ascii"] == 1 / 3


def test_options_are_counted_in_order_and_in_every_style() -> None:
    assert named("Q?\nA. 1\nB. 2\nC. 3\nD. 4")["options"] == 4
    assert named("Q?\nA) 1\nB) 2")["options"] == 2
    assert named("Q?\nB. 1")["options"] == 0
    assert named("A. not on a line of its own")["options"] == 0


def test_phrases_are_found_in_any_case() -> None:
    assert named("HOW MANY apples?")["has 'how many'"] == 1
    assert named("apples")["has 'how many'"] == 0


def test_a_batch_is_the_rows() -> None:
    texts = ["one", "two 2", ""]
    assert surface_features(texts).tolist() == [
        np.array(surface_row(t), dtype=np.float32).tolist() for t in texts
    ]
    assert surface_features([]).shape == (0, len(FEATURES))
