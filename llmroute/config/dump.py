"""From a router to its file: only what was set, and no key."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, SecretStr, ValidationError

from llmroute.config.load import MadeMember
from llmroute.config.schema import FORMAT, POLICIES, RULES, EscalationForm, MemberForm, router_form
from llmroute.config.secrets import may_be_key, variable_of, without_keys
from llmroute.config.source import ENV, JSON, Way, spelt, suffix_of
from llmroute.errors import ConfigurationError
from llmroute.escalation.escalation import AUTO, Escalation
from llmroute.escalation.rules import FunctionRule, Rule
from llmroute.files import write_whole
from llmroute.pool import Model
from llmroute.routing.router import Router

_AGAIN = "Write the router without it, and set it again on the one that is read."


def write_router(router: Router, path: str | PathLike[str]) -> None:
    """Write a router to a file, whole or not at all, from which `read_router` makes it again.

    What was not set is left out, so that prices and limits go on following LiteLLM's table. Of a
    key the name of its environment variable is written, where one holds it.

    Args:
        router: The router.
        path: A `.yaml`, `.yml` or `.json` file. An older one is replaced.

    Raises:
        ConfigurationError: Something in it has no place in a file: the text names the field, and
            says what to do.
        OSError: The file cannot be written.

    Warns:
        UserWarning: Keys were left out, and which.
    """
    target = Path(path)
    suffix = suffix_of(target)
    recording = _Recording(target.absolute().parent)
    content = recording.router(router)
    if suffix in JSON:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    else:
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    write_whole(target, text)
    if recording.left_out:
        fields = ", ".join(spelt(way) for way in recording.left_out)
        warnings.warn(
            f"left out of {target}, because they may be keys: {fields}. Put the key of a member "
            "into an environment variable, and name it in the file as api_key_env.",
            stacklevel=3,
        )


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Texts with line breaks and other signs that cannot be seen are written with escapes."""


def _represent(dumper: yaml.SafeDumper, text: str) -> Any:
    # Written plainly, some of YAML's many line breaks do not come back.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent)


class _Recording:
    """What a router's file holds, and which keys were left out of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left_out: list[Way] = []

    def router(self, router: Router) -> dict[str, Any]:
        form = router_form(type(router))
        special = {"pool", "policy", "scorer", "escalation"}
        usual = type(router)(pool=router.pool)
        content: dict[str, Any] = {
            "format": FORMAT,
            "pool": [self.member(("pool", n), each) for n, each in enumerate(router.pool)],
        }
        if "policy" in router.model_fields_set:
            content["policy"] = self.named(("policy",), router.policy, POLICIES)
        if "escalation" in router.model_fields_set:
            content["escalation"] = self.escalation(router.escalation)
        if "scorer" in router.model_fields_set:
            content["scorer"] = self.scorer(router.scorer)
        content |= self.stated((), router, usual, form, special)
        _refuse_keys(content)
        try:
            form.model_validate(content)
        except ValidationError as report:
            faults = "; ".join(f"{spelt(e['loc'])}: {e['msg']}" for e in report.errors())
            raise ConfigurationError(f"the router could not be read again: {faults}") from None
        return content

    def stated(
        self,
        way: Way,
        value: BaseModel,
        usual: BaseModel,
        form: type[BaseModel],
        leave_out: set[str],
    ) -> dict[str, Any]:
        """The fields that were set to something unusual."""
        content: dict[str, Any] = {}
        for name in type(value).model_fields:
            now, ordinary = getattr(value, name), getattr(usual, name)
            if name in leave_out or name not in value.model_fields_set or now == ordinary:
                continue
            if name + ENV in form.model_fields:
                content |= self._key((*way, name), now)
            elif name in form.model_fields:
                content[name] = self._plain((*way, name), now, ordinary)
            else:
                raise _no_place((*way, name), f"a {type(now).__name__}", _AGAIN)
        return content

    def _key(self, way: Way, key: SecretStr | None) -> dict[str, str]:
        if key is None:
            return {}
        variable = variable_of(key)
        if variable is None:
            self.left_out.append(way)
            return {}
        return {f"{way[-1]}{ENV}": variable}

    def member(self, way: Way, model: Model) -> Any:
        if model.litellm_router is not None:
            todo = "Give its deployments as members, or write the pool without it."
            raise _no_place((*way, "litellm_router"), "a litellm.Router", todo)
        kept = {"model": model.model, "chat_model": model.chat_model}
        usual = Model(model.name, **kept)
        content: dict[str, Any] = {"name": model.name}
        if model.model is not None:
            content["model"] = model.model
        if isinstance(model, MadeMember):
            content |= self._plain(way, model.made_by)
        elif model.chat_model is not None:
            content["chat_model"] = True
        content |= _prices(model, usual)
        content |= self.stated(way, model, usual, MemberForm, {"name", *kept, *_PRICES})
        _check_unknowns(way, model, content)
        return model.name if set(content) == {"name"} else content

    def named(self, way: Way, value: Any, kinds: Mapping[str, type[Any]]) -> dict[str, Any]:
        """A policy or rule as its name and what is unusual of its settings."""
        kind = type(value)
        if kinds.get(kind.__name__) is not kind:
            what = (
                "a function"
                if isinstance(value, FunctionRule)
                else f"a {kind.__name__} of your own"
            )
            raise _no_place(way, what, _AGAIN)
        content: dict[str, Any] = {"name": kind.__name__}
        for name, info in kind.model_fields.items():
            now, field = getattr(value, name), info.alias or name
            if now != info.get_default(call_default_factory=True):
                content[field] = self._within((*way, field), now, kinds)
        return content

    def _within(self, way: Way, value: Any, kinds: Mapping[str, type[Any]]) -> Any:
        if isinstance(value, Rule):
            return self.named(way, value, kinds)
        if isinstance(value, tuple):
            return [self._within((*way, n), each, kinds) for n, each in enumerate(value)]
        return self._plain(way, value)

    def escalation(self, escalation: Escalation | None) -> Any:
        if escalation is None:
            return None
        way, usual = ("escalation",), Escalation("auto")
        rule: Any = AUTO
        if not escalation.is_auto:
            rule = self.named((*way, "rule"), escalation.rule, RULES)
        content = self.stated(way, escalation, usual, EscalationForm, {"rule"})
        if "calibration" in content:
            content["calibration"] = self._beside(content["calibration"])
        return {"rule": rule, **content} if content or rule != AUTO else AUTO

    def scorer(self, scorer: Any) -> str:
        if isinstance(scorer, str) and not any(mark in scorer for mark in "/\\"):
            return scorer
        if isinstance(scorer, str | PathLike):
            return self._beside(os.fspath(scorer))
        raise _no_place(("scorer",), f"a {type(scorer).__name__}", _AGAIN)

    def _beside(self, path: str) -> str:
        """A path as it is from the file's folder, so that both can be moved together."""
        whole = Path(path).absolute()
        try:
            relative = Path(os.path.relpath(whole, self.folder)).as_posix()
        except ValueError:  # on another drive
            return whole.as_posix()
        return relative if relative.startswith(".") else f"./{relative}"

    def _plain(self, way: Way, value: Any, usual: Any = None) -> Any:
        """A value in plain types; of an object only what differs from the usual one."""
        if isinstance(value, BaseModel):
            return self._object(way, value, usual)
        if isinstance(value, Mapping):
            known = usual if isinstance(usual, Mapping) else {}
            value = {k: v for k, v in value.items() if k not in known or known[k] != v}
            free = without_keys(value, way, self.left_out)
            if any(not isinstance(name, str) for name in free):
                raise _no_place(way, "an object with names that are no text", "Make texts of them.")
            return {name: self._plain((*way, name), each) for name, each in free.items()}
        if isinstance(value, list | tuple):
            return [self._plain((*way, n), each) for n, each in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            raise _no_place(way, "a number without end", "Give a finite one.")
        if value is None or type(value) in (bool, int, float, str):
            return value
        raise _no_place(way, f"a {type(value).__name__}", "Give a text, a number, or a list.")

    def _object(self, way: Way, value: BaseModel, usual: Any) -> dict[str, Any]:
        content = {}
        for name, info in type(value).model_fields.items():
            now, ordinary = getattr(value, name), info.get_default(call_default_factory=True)
            if type(usual) is type(value):
                ordinary = getattr(usual, name)
            if now != ordinary:
                content[info.alias or name] = self._plain((*way, name), now, ordinary)
        return content


#: Stated together: where the input's price is stated, the table's of cached input does not hold.
_PRICES = ("input_price", "cached_input_price")


def _prices(model: Model, usual: Model) -> dict[str, float]:
    prices = {name: getattr(model, name) for name in _PRICES}
    if prices == {name: getattr(usual, name) for name in _PRICES}:
        return {}
    return {name: price for name, price in prices.items() if price is not None}


def _check_unknowns(way: Way, model: Model, content: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where the table would fill in what the member says is unknown."""
    kept = {name: content[name] for name in content if name in Model.model_fields}
    kept["chat_model"] = model.chat_model
    read = Model(kept.pop("name"), **kept)
    for name in set(Model.model_fields) - {"api_key", "params"}:
        if getattr(read, name) != getattr(model, name):
            raise ConfigurationError(
                f"{spelt((*way, name))}: it is unknown here, and LiteLLM's table knows it, which "
                "a file cannot tell from nothing being stated. State a value."
            )


def _refuse_keys(value: Any, way: Way = ()) -> None:
    """Raise ConfigurationError where a key may be left in what cannot do without."""
    if isinstance(value, dict):
        for name, each in value.items():
            _refuse_keys(each, (*way, name))
    elif isinstance(value, list):
        for n, each in enumerate(value):
            _refuse_keys(each, (*way, n))
    elif isinstance(value, str) and may_be_key(value):
        raise ConfigurationError(
            f"{spelt(way)}: this may hold a key, and no key is written to a file. Give keys by "
            "api_key, and URLs without them."
        )


def _no_place(way: Way, what: str, todo: str) -> ConfigurationError:
    return ConfigurationError(f"{spelt(way)}: {what} has no place in a file. {todo}")
