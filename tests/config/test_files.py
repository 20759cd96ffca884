"""Routers in files: what is written is read again, keys never are, and mistakes have a place."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from llmroute import (
    BestWithin,
    Capabilities,
    CheapestAbove,
    CrossModel,
    Disagreement,
    Escalation,
    Margin,
    Model,
    ModelPool,
    Refine,
    RouterChain,
    SelfVerify,
    StrongShare,
    Threshold,
    WillingnessToPay,
    init_router,
)
from llmroute.config import read_router, router_schema
from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.policies import Pinned
from llmroute.testing import ScriptedProvider
from tests.conftest import KEY, PRICES, WordScorer

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Draft202012Validator(router_schema())
PAIR = "format: 1\npool: [openai/gpt-4.1-nano, openai/gpt-4.1]\n"


def read(path: Path, *, asks: bool = True, **options: Any) -> RouterChain:
    if not asks:
        return read_router(RouterChain, path, asks=False, **options)
    return RouterChain.from_file(path, **options)


def read_text(folder: Path, text: str, name: str = "router.yaml", **options: Any) -> RouterChain:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read(path, **options)


def mistakes(folder: Path, text: str, name: str = "router.yaml") -> list[str]:
    """The lines of the error, without the path."""
    with pytest.raises(ConfigurationError) as raised:
        read_text(folder, text, name)
    return [line.removeprefix(str(folder / name)) for line in str(raised.value).splitlines()]


def written(router: RouterChain, path: Path) -> Any:
    router.to_file(path)
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else _yaml(text)


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


def described(router: RouterChain) -> dict[str, Any]:
    """Everything about a router that a file can hold."""
    plain = ("timeout", "max_retries", "temperature", "max_tokens", "stop", "tags", "metadata")
    return {
        "pool": [{n: getattr(m, n) for n in Model.model_fields} for m in router.pool],
        "policy": router.policy.to_record(),
        "escalation": router.escalation and router.escalation.model_dump(),
        "rule": router.escalation and router.escalation.to_record(),
        "scorer": router.scorer,
        **{name: getattr(router, name) for name in plain},
        "conversation": router.conversation,
        "cooldown": router.cooldown,
    }


# ---- what is written is read again

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
shares = st.floats(0, 1)
amounts = st.floats(0, 1e6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
known = st.sampled_from(["openai/gpt-4.1", "openai/gpt-4.1-nano", "claude-sonnet-4-5", "x/y"])
capabilities = st.dictionaries(
    st.sampled_from(sorted(Capabilities.model_fields)), st.none() | st.booleans()
)


@st.composite
def models(draw: st.DrawFn, name: str) -> Model:
    optional = {
        "model": known,
        "input_price": amounts,
        "cached_input_price": amounts,
        "output_price": amounts,
        "context_window": st.integers(1, 10**7),
        "params": st.dictionaries(st.sampled_from(["temperature", "seed", "x y"]), values),
        "capabilities": capabilities,
        "ability": st.floats(-3, 3) | st.lists(st.floats(-3, 3), min_size=1, max_size=3),
        "verbosity": st.floats(0.1, 3),
        "tokens_per_s": st.floats(1, 100),
    }
    return Model(name, **draw(st.fixed_dictionaries({}, optional=optional)))


rules = st.recursive(
    st.builds(Margin, below=shares, of=st.sampled_from(["margin", "mean", "min"]))
    | st.builds(StrongShare, share=shares)
    | st.builds(Disagreement, temperature=st.none() | shares, samples=st.integers(2, 9))
    | st.builds(SelfVerify, below=shares)
    | st.just(CrossModel(model="b")),
    lambda inner: (
        st.builds(Refine, inner)
        | st.builds(lambda a, b: a | b, inner, inner)
        | st.builds(lambda a, b: a & b, inner, inner)
    ),
    max_leaves=4,
)
escalations = st.none() | st.builds(
    Escalation,
    rules | st.just("auto"),
    keep=st.booleans(),
    buys=st.sampled_from([(), ("verify",), ("verify", "sample")]),
    latency=st.none() | st.floats(0.1, 9),
)
policies = (
    st.builds(CheapestAbove, quality=shares)
    | st.builds(WillingnessToPay, usd=st.floats(1e-6, 1))
    | st.builds(BestWithin, cost=shares, latency=st.none() | st.floats(0.1, 9))
    | st.just(Threshold(threshold=0.3, strong="a", weak="b"))
    | st.just(Pinned(model="a"))
)


@st.composite
def routers(draw: st.DrawFn) -> RouterChain:
    optional = {
        "policy": policies,
        "escalation": escalations,
        "scorer": st.just("minilm"),
        "timeout": st.floats(0.1, 600),
        "max_retries": st.integers(0, 9),
        "temperature": st.none() | shares,
        "stop": st.lists(texts, max_size=2),
        "tags": st.lists(texts, max_size=2),
        "metadata": st.dictionaries(texts, values | texts, max_size=2),
        "conversation": st.fixed_dictionaries({}, optional={"pin_tool_loops": st.booleans()}),
        "cooldown": st.none() | st.fixed_dictionaries({"after": st.integers(1, 9)}),
    }
    pool = ModelPool([draw(models(name)) for name in "abc"])
    return RouterChain(pool=pool, **draw(st.fixed_dictionaries({}, optional=optional)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routers")


@given(router=routers(), suffix=st.sampled_from(["yaml", "yml", "json"]))
def test_a_router_is_the_same_after_a_round_trip(
    router: RouterChain, suffix: str, folder: Path
) -> None:
    path = folder / f"router.{suffix}"
    content = written(router, path)
    again = read(path)
    assert described(again) == described(router)
    SCHEMA.validate(content)
    assert written(again, path) == content


class TestWhatIsWritten:
    def test_only_what_was_set(self, tmp_path: Path) -> None:
        nano = Model("openai/gpt-4.1-nano")
        strong = Model("strong", model="openai/gpt-4.1", tier="strong")
        router = RouterChain(pool=[nano, strong], temperature=0, timeout=120)
        assert written(router, tmp_path / "router.yaml") == {
            "format": 1,
            "pool": [
                "openai/gpt-4.1-nano",
                {"name": "strong", "model": "openai/gpt-4.1", "tier": "strong"},
            ],
            "temperature": 0.0,
        }

    def test_of_capabilities_only_those_the_table_does_not_say(self, tmp_path: Path) -> None:
        stated = Capabilities(vision=False, tools=True, logprobs=None)
        model = Model("openai/gpt-4.1-nano", capabilities=stated)
        (member,) = written(RouterChain(pool=[model]), tmp_path / "router.json")["pool"]
        assert member["capabilities"] == {"vision": False, "logprobs": None}

    def test_a_price_the_table_has_too_is_kept_where_that_of_cached_input_is_not(
        self, tmp_path: Path
    ) -> None:
        model = Model("openai/gpt-4.1-nano", input_price=0.1)
        assert model.cached_input_price is None
        path = tmp_path / "router.yaml"
        (member,) = written(RouterChain(pool=[model]), path)["pool"]
        assert member == {"name": "openai/gpt-4.1-nano", "input_price": 0.1}
        assert read(path).pool[model.name].cached_input_price is None

    def test_policies_and_rules_under_their_names(self, tmp_path: Path) -> None:
        rule = Margin(below=0.3) | Refine(Disagreement(temperature=None))
        router = init_router(
            "openai/gpt-4.1-nano", "openai/gpt-4.1", quality=0.9, escalation=Escalation(rule)
        )
        content = written(router, tmp_path / "router.yaml")
        assert content["policy"] == {"name": "CheapestAbove", "quality": 0.9}
        assert content["escalation"]["rule"] == {
            "name": "Either",
            "rules": [
                {"name": "Margin", "below": 0.3},
                {"name": "Refine", "check": {"name": "Disagreement", "temperature": None}},
            ],
        }

    def test_an_escalation_of_the_usual_kind_is_one_word(self, tmp_path: Path) -> None:
        for given_, word in (("auto", "auto"), (None, None)):
            router = init_router("openai/gpt-4.1-nano", escalation=given_)
            assert written(router, tmp_path / "router.yaml")["escalation"] == word

    def test_a_file_that_cannot_be_written_leaves_the_older_one(self, tmp_path: Path) -> None:
        path = tmp_path / "router.yaml"
        init_router("openai/gpt-4.1").to_file(path)
        before = path.read_bytes()
        with pytest.raises(ConfigurationError):
            init_router("openai/gpt-4.1", scorer=WordScorer()).to_file(path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


class OwnPolicy(CheapestAbove):
    """A policy of the user's."""


class OwnRule(Margin):
    """A rule of the user's."""


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"escalation": lambda message: True}, "escalation.rule: a function"),
        ({"escalation": Refine(lambda message: True)}, "escalation.rule.check: a function"),
        ({"escalation": OwnRule(below=0.1)}, "escalation.rule: a OwnRule of your own"),
        (
            {"escalation": Escalation("auto", agreement=lambda a, b: True)},
            "escalation.agreement: a function",
        ),
        ({"policy": OwnPolicy()}, "policy: a OwnPolicy of your own"),
        ({"scorer": WordScorer()}, "scorer: a WordScorer"),
        ({"callbacks": []}, "callbacks: a list"),
        ({"metadata": {"when": object()}}, "metadata.when: a object"),
        ({"timeout": float("inf")}, "timeout: a number without end"),
        (
            {"pool": [Model("g", params={"logit_bias": {50256: -100}})]},
            r"pool\[0\].params.logit_bias: an object with names that are no text",
        ),
        (
            {"pool": [Model("g", litellm_router=object())]},
            r"pool\[0\].litellm_router: a litellm.Router",
        ),
    ],
)
def test_what_no_file_can_hold_is_named(
    settings: dict[str, Any], field: str, tmp_path: Path
) -> None:
    router = RouterChain(**{"pool": ["openai/gpt-4.1-nano", "openai/gpt-4.1"], **settings})
    with pytest.raises(ConfigurationError, match=f"^{field} has no place in a file. [A-Z]"):
        router.to_file(tmp_path / "router.yaml")
    assert not list(tmp_path.iterdir())


def test_a_price_that_was_made_unknown_cannot_be_told_from_one_not_stated(tmp_path: Path) -> None:
    pool = ModelPool(["openai/gpt-4.1-nano"]).without_prices()
    with pytest.raises(ConfigurationError, match=r"^pool\[0\].\w+_price: .* State a value."):
        RouterChain(pool=pool).to_file(tmp_path / "router.yaml")


# ---- keys

secrets = st.text(st.characters(categories=["L", "N"]), min_size=12, max_size=40)
shaped = st.from_regex(r"\A(sk|gsk|hf|xai)-[a-zA-Z]{4}[0-9][a-zA-Z0-9]{12}\Z")
places = st.sampled_from(
    [
        lambda key: {"api_key": key},
        lambda key: {"extra_headers": {"Authorization": f"Bearer {key}", "x": "y"}},
        lambda key: {"extra_headers": [{"X-Auth-Token": key}, {"password": [key, {"a": key}]}]},
        lambda key: {"a": {"b": {"client_secret": SecretStr(key)}, "secret": {"inner": key}}},
    ]
)
anywhere = st.sampled_from(
    [
        lambda key: {"seed": key},
        lambda key: {"note": f"the key is {key}, and"},
        lambda key: {"list": ["x", [key]]},
        lambda key: {key: 1},
    ]
)


@given(
    router_key=secrets,
    member_key=secrets,
    param=st.tuples(places, secrets) | st.tuples(anywhere, shaped),
    noted=st.tuples(places, secrets) | st.tuples(anywhere, shaped),
    suffix=st.sampled_from(["yaml", "json"]),
)
def test_no_key_is_ever_written_or_said(
    router_key: str, member_key: str, param: Any, noted: Any, suffix: str, folder: Path
) -> None:
    (in_params, param_key), (in_metadata, noted_key) = param, noted
    model = Model("m", api_key=member_key, params={**in_params(param_key), "temperature": 0})
    router = RouterChain(pool=[model], api_key=router_key, metadata=in_metadata(noted_key))
    path = folder / f"keys.{suffix}"
    with warnings.catch_warnings(record=True) as observed:
        warnings.simplefilter("always")
        router.to_file(path)
    text = path.read_text(encoding="utf-8")
    text += json.dumps(json.loads(text), ensure_ascii=False) if suffix == "json" else ""
    (warning,) = observed
    for key in (router_key, member_key, param_key, noted_key):
        assert key not in text
        assert key not in str(warning.message)
    assert "api_key" in str(warning.message)
    assert "pool[0].params" in str(warning.message)
    assert read(path).pool["m"].params["temperature"] == 0  # the rest is there


@pytest.mark.parametrize(
    "url",
    ["https://user:hunter2@host/v1", "https://host/v1?key=hunter2", "https://host/sk-abcdef123456"],
)
def test_a_url_with_a_key_is_not_written(url: str, tmp_path: Path) -> None:
    router = RouterChain(pool=[Model("m", api_base=url)])
    with pytest.raises(ConfigurationError, match=r"^pool\[0\].api_base: this may hold") as raised:
        router.to_file(tmp_path / "router.yaml")
    assert "hunter2" not in str(raised.value)
    assert not list(tmp_path.iterdir())


class TestKeysOfTheEnvironment:
    def test_the_variable_is_named_and_read_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_OWN_KEY", KEY)
        monkeypatch.setenv("A_COPY", KEY)
        path = tmp_path / "router.yaml"
        content = written(RouterChain(pool=[Model("m", api_key=KEY)], api_key=KEY), path)
        assert content["pool"] == [{"name": "m", "api_key_env": "MY_OWN_KEY"}]
        assert content["api_key_env"] == "MY_OWN_KEY"
        again = read(path)
        assert again.pool["m"].api_key == again.api_key == SecretStr(KEY)

    def test_a_variable_that_is_not_set_is_a_mistake_and_no_reason_for_another_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.delenv("NOT_THERE", raising=False)
        text = "format: 1\npool:\n  - name: openai/x\n    api_key_env: NOT_THERE\n"
        (mistake,) = mistakes(tmp_path, text)
        assert mistake.startswith(":4:5: pool[0].api_key_env: this environment variable is not")
        assert read(tmp_path / "router.yaml", asks=False).pool["openai/x"].api_key is None

    def test_a_key_in_a_file_is_refused_and_not_repeated(self, tmp_path: Path) -> None:
        text = f"format: 1\npool:\n- name: a\n  api_key: {KEY}\napi_key: {KEY}\n"
        first, second = mistakes(tmp_path, text)
        assert first.startswith(":4:3: pool[0].api_key: no key stands in a file; api_key_env")
        assert second.startswith(":5:1: api_key: no key stands in a file; api_key_env")
        assert KEY not in first + second


# ---- mistakes have a place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pool: [a]\n", [":1:1: format: it is missing"]),
        ("format: 2\npool: [a]\n", [":1:1: format: Input should be 1"]),
        ("format: 1\n", [":1:1: pool: it is missing"]),
        ("format: 1\npool: []\n", [":2:1: pool: List should have at least 1 item"]),
        ("format: 1\npool: a\n", [":2:1: pool: a list was expected"]),
        ("- a\n", [":1:1: an object with named fields was expected"]),
        ("format: 1\npool:\n- a\n- 5\n", [":4:3: pool[1]: an object with named fields"]),
        ("format: 1\npool:\n- a\n- no\n", [":4:3: pool[1]: an object with named fields"]),
        (
            "format: 1\npool:\n- name: a\n  input_prise: 3\n",
            [":4:3: pool[0].input_prise: there is no such field; did you mean 'input_price'?"],
        ),
        (
            "format: 1\npool:\n- name: a\n  input_price: -2\n",
            [":4:3: pool[0].input_price: a price is USD per million tokens, 0 or more"],
        ),
        (
            "format: 1\npool:\n- {name: a, capabilities: {visoin: true}}\n",
            [":3:28: pool[0].capabilities.visoin: there is no such field; did you mean 'vision'?"],
        ),
        ("format: 1\npool: [a, b, a]\n", [":2:1: pool: two models share the name 'a'"]),
        (
            "format: 1\npool:\n- {name: a, init: {}, timeout: 3, chat_model: true}\n",
            [":3:13: pool[0].init: a chat model is given (chat_model) or made (init), not both"],
        ),
        (PAIR + "timeout: -1\n", [":3:1: timeout: Input should be greater than 0"]),
        (PAIR + "stop: x\n", [":3:1: stop: a list was expected"]),
        (
            PAIR + "policy: {name: Cheapest}\n",
            [":3:10: policy.name: there is nothing of this name; did you mean 'CheapestAbove'?"],
        ),
        (PAIR + "policy: {quality: 1}\n", [":3:1: policy.name: it is missing"]),
        (
            PAIR + "policy: {name: CheapestAbove, quality: 2}\n",
            [":3:31: policy.quality: Input should be less than or equal to 1"],
        ),
        (
            PAIR + "policy:\n  name: Threshold\n  threshold: 0.3\n  strong: x\n",
            [":3:1: policy: Threshold names 'x', which is not in the pool"],
        ),
        (PAIR + "policy: {name: BestWithin}\n", [":3:1: policy: BestWithin needs a limit"]),
        (PAIR + "escalation: automatic\n", [":3:1: escalation: Input should be 'auto'"]),
        (
            PAIR + "escalation:\n  rule:\n    name: Either\n    rules:\n"
            "    - {name: Margin, below: 0.3}\n    - {name: Disagreement, samples: 1}\n",
            [":8:28: escalation.rule.rules[1].samples: Input should be greater than or equal to 2"],
        ),
        (
            PAIR + "escalation: {rule: {name: Disagreement, styles: [x]}}\n",
            [":3:41: escalation.rule.styles: styles are some of"],
        ),
        (
            PAIR + "escalation: {rule: {name: CrossModel}}\n",
            [":3:1: escalation: CrossModel compares two cheap models"],
        ),
        (PAIR + "scorer: ./nowhere\n", [":3:1: scorer: there is no such folder"]),
        (PAIR + "cooldown: {after: 0}\n", [":3:12: cooldown.after: Input should be greater than"]),
        (
            PAIR + "when_refused: x\n",
            [":1:1: when_refused is 'x', which is not in the pool"],
        ),
        (
            PAIR + "max_retries: x\ntimeot: 3\npolicy: {name: Pinned}\n",  # all of them at once
            [":3:1: max_retries", ":4:1: timeot", ":5:1: policy.model: it is missing"],
        ),
        (PAIR + "timeout: 1\ntimeout: 2\n", [":4:1: timeout: it is given twice"]),
        (PAIR + "tags: &t [a]\nstop: *t\n", [":3:7: stop: aliases (*name) are not read"]),
        (PAIR + "tags: [2020-01-01]\n", [":3:8: tags[0]: a text, a number, true, false or null"]),
        (PAIR + "tags: [!!python/name:os.system x]\n", [":3:8: tags[0]: a text, a number"]),
        (PAIR + "max_retries: !!int x\n", [":3:14: max_retries: a text, a number"]),
        (PAIR + "verbose: !!bool x\n", [":3:10: verbose: a text, a number"]),
        (PAIR + "1: x\n", [":3:1: a field's name is a text; put it in quotes"]),
        (PAIR + "tags: [a\n", [":4:1: this is no YAML: "]),
        ("", [" is empty; a router has at least a pool"]),
        ("a: \x07", [" has a character that YAML forbids"]),
        ("[" * 5000, [" is nested too deep"]),
    ],
)
def test_each_mistake_is_a_line_with_its_place(
    text: str, expected: list[str], tmp_path: Path
) -> None:
    found = mistakes(tmp_path, text)
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{\n\t"format": 1,\n\t"pool": ["a"],\n\t"timeot": 3\n}', ":4:2: timeot: there is no"),
        ('{"format": 1, "pool": ["a"], "timeout": 1e-3, "tags": [3]}', ":1:56: tags[0]: a text"),
        ('{"format": 1,\n "format": 1}', ":2:2: format: it is given twice"),
        ('{"format": 1,\n "pool": [}', ":2:11: this is no JSON: Expecting value"),
        ('{"format": 1, "pool": ["\x7f"], "tags": 1}', " tags: a list was expected"),
        ("[" * 100_000, " is nested too deep"),
    ],
)
def test_json_has_places_too(text: str, expected: str, tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, text, "router.json")
    assert line.removeprefix(":").startswith(expected.removeprefix(":"))


def test_a_file_that_is_not_there_or_not_text_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read(tmp_path / "no.yaml")
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(tmp_path / "raw.yaml")
    for act in (lambda p: read(p), lambda p: init_router("a").to_file(p)):
        with pytest.raises(ConfigurationError, match=r"ends in one of .yaml, .yml, .json"):
            act(tmp_path / "router.toml")


@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_file_raises_anything_but_our_error(text: str, folder: Path) -> None:
    for name in ("any.yaml", "any.json"):
        with pytest.raises(ConfigurationError) as raised:
            read_text(folder, text, name)
        assert str(folder / name) in str(raised.value)


# ---- chat models, and paths


class TestChatModels:
    TEXT = "format: 1\npool:\n- openai/gpt-4.1\n- {name: mine, chat_model: true, output_price: 1}\n"

    def test_they_are_given_by_name(self, tmp_path: Path) -> None:
        mine = ChatOpenAI(model="gpt-4.1-nano", api_key="x")
        router = read_text(tmp_path, self.TEXT, chat_models={"mine": mine})
        assert router.pool["mine"].chat_model is mine
        assert written(router, tmp_path / "again.yaml")["pool"][1] == {
            "name": "mine",
            "chat_model": True,
            "output_price": 1.0,
        }

    def test_one_that_is_not_given_or_not_asked_for_is_a_mistake(self, tmp_path: Path) -> None:
        (missing,) = mistakes(tmp_path, self.TEXT)
        assert missing.startswith(":4:16: pool[1].chat_model: give it: from_file(path, chat_models")
        mine = ChatOpenAI(model="gpt-4.1-nano", api_key="x")
        with pytest.raises(ConfigurationError, match=r":2:1: pool: a chat model is given for 'm'"):
            read_text(tmp_path, self.TEXT, chat_models={"mine": mine, "m": mine})

    def test_a_router_that_only_decides_needs_none(self, tmp_path: Path) -> None:
        text = self.TEXT + "- {name: made, init: {model: 'openai:gpt-4.1-nano'}}\n"
        router = read_text(tmp_path, text, asks=False)
        assert router.pool["mine"].chat_model is None
        assert router.pool["made"].output_price == 0.4  # found under the name it will have

    def test_langchain_makes_them_from_a_description(
        self, tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_OWN_KEY", KEY)
        init = {"model": "openai:small", "base_url": provider.base_url, "max_retries": 0}
        member = {"name": "made", "api_key_env": "MY_OWN_KEY", "init": init}
        text = json.dumps({"format": 1, "pool": [member]})
        router = read_text(tmp_path, text, "router.json")
        assert "stand-in answer from small" in router.invoke("hello").text
        assert provider.requests[-1].headers["authorization"] == f"Bearer {KEY}"
        assert written(router, tmp_path / "again.json")["pool"] == [member]

    def test_what_it_was_made_by_is_not_shown_since_it_may_hold_a_key(self, tmp_path: Path) -> None:
        member = f"- {{name: made, init: {{model: 'openai:small', api_key: {KEY}}}}}\n"
        router = read_text(tmp_path, "format: 1\npool:\n" + member)
        assert KEY not in repr(router.pool) + str(router.pool["made"].model_dump())
        path = tmp_path / "again.yaml"
        with pytest.warns(UserWarning, match=r"pool\[0\].init.api_key\."):
            content = written(router, path)
        assert content["pool"] == [{"name": "made", "init": {"model": "openai:small"}}]
        assert KEY not in path.read_text(encoding="utf-8")

    def test_without_langchain_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
        text = "format: 1\npool:\n- {name: a, init: {model: 'openai:x'}}\n"
        with pytest.raises(MissingExtra, match=r"llmroute\[langchain\]"):
            read_text(tmp_path, text)

    def test_one_that_cannot_be_made_says_why_without_the_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_OWN_KEY", KEY)
        head = "format: 1\npool:\n- {name: a, api_key_env: MY_OWN_KEY, init: "
        (unknown,) = mistakes(tmp_path, head + "{model: x, model_provider: nobody}}\n")
        assert unknown.startswith(":3:38: pool[0].init: LangChain cannot make it: ")
        (invalid,) = mistakes(tmp_path, head + "{model: 'openai:x', temperature: hot}}\n")
        assert invalid.startswith(":3:64: pool[0].init.temperature: Input should be")
        assert KEY not in unknown + invalid


def test_scorer_and_calibration_are_found_from_the_file_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from llmroute import scoring

    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(Path(scoring.__file__).parent / "bundled" / "static", old / "mine")
    monkeypatch.chdir(old)
    router = init_router("openai/gpt-4.1-nano", "openai/gpt-4.1", scorer="./mine")
    assert written(router, old / "router.yaml")["scorer"] == "./mine"
    monkeypatch.chdir(tmp_path)
    old.rename(new)
    decision = read(new / "router.yaml").decide("hello")
    assert decision.router.startswith("static ")
    assert read(new / "router.yaml").scorer == str(new / "mine")
    above = read_text(tmp_path, PAIR + "scorer: ./new/mine\n")
    assert written(above, new / "sub" / "router.yaml")["scorer"] == "../mine"


# ---- subclasses


def test_a_router_of_the_users_own_class_is_read_as_one(tmp_path: Path) -> None:
    class Own(RouterChain):
        """A router of the user's."""

        patience: float | None = None

    path = tmp_path / "router.yaml"
    Own(pool=["openai/gpt-4.1"], timeout=7).to_file(path)
    again = Own.from_file(path)
    assert isinstance(again, Own)
    assert again.timeout == 7
    with pytest.raises(ConfigurationError, match=r"^patience: a float has no place in a file\."):
        Own(pool=["openai/gpt-4.1"], patience=2).to_file(path)


# ---- examples


def _examples() -> list[tuple[str, str]]:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert blocks
    files = [(p.name, p.read_text(encoding="utf-8")) for p in (ROOT / "examples").glob("*.yaml")]
    return [*files, *((f"docs {n}", block) for n, block in enumerate(blocks))]


@pytest.mark.parametrize(("name", "text"), _examples())
def test_the_examples_are_what_they_say(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in re.findall(r"_env: (\w+)", text):
        monkeypatch.setenv(variable, KEY)
    SCHEMA.validate(_yaml(text))
    assert read_text(tmp_path, text, asks=False).decide("What is 2 + 2?").chosen


# ---- in use


def test_a_router_from_a_file_answers(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_OWN_KEY", KEY)
    pool = [
        {
            "name": name,
            "model": f"openai/{name}",
            "api_base": provider.base_url,
            "api_key_env": "MY_OWN_KEY",
            "input_price": given_,
            "output_price": taken,
        }
        for name, (given_, taken) in PRICES.items()
    ]
    content = {"format": 1, "pool": pool, "policy": {"name": "Pinned", "model": "medium"}}
    router = read_text(tmp_path, json.dumps(content), "router.json")
    answer = router.invoke("hello")
    assert answer.response_metadata["llmroute"]["answered_by"] == "medium"
    assert provider.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert os.environ["MY_OWN_KEY"] not in (tmp_path / "router.json").read_text()
