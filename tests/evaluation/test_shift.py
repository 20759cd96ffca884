"""Categories left out of the fitting: what a router has not seen, it is measured on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute import RouterChain
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes, evaluate, pool_from_outcomes
from llmroute.evaluation.shift import unseen_categories
from llmroute.outcomes.splits import category_splits
from tests.evaluation.made_up import made_up


def labelled(categories: list[str], seed: int = 0) -> Outcomes:
    return replace(made_up(prompts=len(categories), seed=seed), categories=tuple(categories))


names = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40).filter(
    lambda drawn: len(set(drawn)) > 1
)


@given(names, st.integers(2, 6))
def test_every_prompt_is_held_once_and_its_category_never_learned_from(
    categories: list[str], groups: int
) -> None:
    outcomes = labelled(categories)
    held_so_far: list[int] = []
    for learn, held in category_splits(outcomes, None, groups):
        assert not {categories[i] for i in learn} & {categories[i] for i in held}
        assert len(learn) + len(held) == len(categories)
        held_so_far += held.tolist()
    assert sorted(held_so_far) == list(range(len(categories)))


def test_what_is_learned_from_may_be_another_table() -> None:
    outcomes, train = labelled(["a", "b"] * 5), labelled(["a", "b", "c"] * 5, seed=1)
    for learn, held in category_splits(outcomes, train):
        assert {train.categories[i] for i in learn} == {"a", "b", "c"} - {
            outcomes.categories[i] for i in held
        }


def test_one_category_cannot_be_left_out() -> None:
    with pytest.raises(ConfigurationError, match="one category"):
        next(category_splits(labelled(["a"] * 5), None))


def test_nothing_left_to_learn_from() -> None:
    with pytest.raises(ConfigurationError, match="no prompt outside a"):
        list(category_splits(labelled(["a", "b"] * 3), labelled(["a"] * 3)))


def test_the_router_is_fitted_anew_for_each_group_and_the_loss_is_reported() -> None:
    outcomes, train = labelled(["a", "b", "c"] * 50), labelled(["a", "b", "c"] * 50, seed=1)
    fitted: list[set[str]] = []

    def fit(some: Outcomes) -> RouterChain:
        fitted.append(set(some.categories))
        return RouterChain(pool=pool_from_outcomes(some))

    away = unseen_categories("away", outcomes, train, fit, home="llmroute", groups=3)
    assert sorted(map(sorted, fitted)) == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert away.quality is not None
    assert not np.isnan(away.quality).any()
    report = evaluate(fit(train), outcomes, others={"away": away}, replicates=20, classic=False)
    lost = report.baselines["away"].metrics["aiq_drop"].value
    home, there = report.metrics["aiq"].value, report.baselines["away"].metrics["aiq"].value
    assert lost == pytest.approx(home - there)
