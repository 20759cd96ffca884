"""The pool: what a member is, what it costs, and what cannot be a pool."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI

from llmroute import Capabilities, Model, ModelPool
from llmroute.errors import ConfigurationError


class TestWhatTheTableKnows:
    def test_prices_limits_and_capabilities_are_filled_in(self) -> None:
        model = Model("openai/gpt-4.1-nano")
        assert (model.input_price, model.cached_input_price, model.output_price) == (
            0.1,
            0.025,
            0.4,
        )
        assert model.context_window == 1_047_576
        assert model.capabilities.tools is True

    def test_what_is_given_wins(self) -> None:
        model = Model("openai/gpt-4.1-nano", input_price=7, capabilities=Capabilities(vision=False))
        assert model.input_price == 7
        assert model.output_price == 0.4
        assert model.capabilities.vision is False
        assert model.capabilities.tools is True

    def test_an_unknown_model_is_unknown_and_never_no(self) -> None:
        model = Model("ollama/my-own-finetune")
        assert model.input_price is None
        assert model.context_window is None
        assert set(model.capabilities.model_dump().values()) == {None}
        assert model.price(10, 10) is None

    @pytest.mark.parametrize("name", ["hosted_vllm/deepseek-reasoner", "lm_studio/gpt-4o", "a/o1"])
    def test_another_providers_price_is_never_taken(self, name: str) -> None:
        assert Model(name).output_price is None

    def test_a_chat_model_is_looked_up_by_the_name_it_reports(self) -> None:
        model = Model("mine", chat_model=ChatOpenAI(model="gpt-4.1-nano", api_key="x"))
        assert model.output_price == 0.4


class TestPrice:
    def test_usd_of_tokens(self) -> None:
        model = Model("m", input_price=1, output_price=10)
        assert model.price(1_000_000, 100_000) == 2.0

    def test_cached_input_has_its_own_price(self) -> None:
        model = Model("m", input_price=1, cached_input_price=0.1, output_price=0)
        assert model.price(1_000_000, 0, cached_tokens=500_000) == 0.55

    def test_cached_input_costs_as_much_as_fresh_when_nothing_else_is_known(self) -> None:
        model = Model("m", input_price=1, output_price=0)
        assert model.price(1_000_000, 0, cached_tokens=500_000) == 1.0

    def test_a_stated_price_does_not_mix_with_the_tables(self) -> None:
        free = Model("openai/gpt-4.1", input_price=0, output_price=0)
        assert free.price(1000, 10, cached_tokens=900) == 0

    def test_free_is_not_unknown(self) -> None:
        assert Model("local", input_price=0, output_price=0).price(10, 10) == 0


class TestMistakes:
    @pytest.mark.parametrize("price", [-1, float("nan"), float("inf")])
    def test_impossible_prices(self, price: float) -> None:
        with pytest.raises(ConfigurationError, match="USD per million tokens"):
            Model("m", output_price=price)

    def test_a_misspelt_setting(self) -> None:
        with pytest.raises(ConfigurationError, match="inputprice"):
            Model("m", inputprice=1)

    def test_two_ways_to_answer(self) -> None:
        chat = FakeListChatModel(responses=["x"])
        with pytest.raises(ConfigurationError, match="both a chat_model and a litellm_router"):
            Model("m", chat_model=chat, litellm_router=object())

    def test_settings_that_a_chat_model_of_ones_own_would_not_hear_of(self) -> None:
        chat = FakeListChatModel(responses=["x"])
        with pytest.raises(ConfigurationError, match="set that on the chat model"):
            Model("m", chat_model=chat, timeout=3)

    def test_an_ability_that_is_no_number(self) -> None:
        with pytest.raises(ConfigurationError, match="finite"):
            Model("m", ability=float("nan"))

    def test_an_empty_pool(self) -> None:
        with pytest.raises(ConfigurationError, match="at least one model"):
            ModelPool([])

    def test_a_string_instead_of_a_list(self) -> None:
        with pytest.raises(ConfigurationError, match="a pool is a list"):
            ModelPool("openai/gpt-4.1")

    def test_two_of_one_name(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'a'.*another name"):
            ModelPool(["a", "b", "a"])

    def test_no_such_member(self) -> None:
        with pytest.raises(ConfigurationError, match="it has 'a', 'b'"):
            ModelPool(["a", "b"])["c"]

    def test_a_strong_model_that_costs_less_warns(self) -> None:
        with pytest.warns(UserWarning, match="Nothing will be saved"):
            ModelPool(
                [
                    Model("w", tier="weak", input_price=5, output_price=9),
                    Model("s", tier="strong", input_price=1, output_price=2),
                ]
            )

    def test_a_strong_model_of_less_ability_is_an_error(self) -> None:
        with pytest.raises(ConfigurationError, match="Swap the tiers"):
            ModelPool(
                [Model("w", tier="weak", ability=1.0), Model("s", tier="strong", ability=-1.0)]
            )

    def test_a_sensible_pool_is_silent(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ModelPool(["openai/gpt-4.1-nano", Model("openai/gpt-4.1", tier="strong")])

    def test_keys_are_in_no_error_and_no_repr(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            Model("m", api_key="sk-very-secret-key", output_price=-1)
        assert "secret" not in str(raised.value)
        assert "secret" not in repr(Model("m", api_key="sk-very-secret-key"))


class TestThePool:
    def test_is_a_collection(self) -> None:
        pool = ModelPool(["a", Model("b")])
        assert pool.names == ("a", "b")
        assert len(pool) == 2
        assert [m.name for m in pool] == ["a", "b"]
        assert "a" in pool
        assert pool["b"].name == "b"

    def test_one_model_may_be_a_member_twice_under_two_names(self) -> None:
        pool = ModelPool(["openai/gpt-4.1", Model("backup", model="openai/gpt-4.1", api_base="x")])
        assert pool["backup"].output_price == 8.0

    def test_is_frozen(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            ModelPool(["a"]).models = ()  # type: ignore[misc]

    def test_a_changed_copy_keeps_nothing_of_what_the_original_worked_out(self) -> None:
        original = Model("small", model="openai/small", api_base="http://one")
        assert original.runnable.api_base == "http://one"  # type: ignore[attr-defined]
        changed = original.model_copy(update={"api_base": "http://two"})
        assert changed.runnable.api_base == "http://two"  # type: ignore[attr-defined]

    def test_arrays_say_nan_for_unknown(self) -> None:
        arrays = ModelPool(["openai/gpt-4.1", "nobody/knows"]).arrays
        assert arrays.output_price[0] == pytest.approx(8e-6)
        assert np.isnan(arrays.output_price[1])
