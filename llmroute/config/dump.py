"""From a router to its file: only what was set, and no key."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Set
from os import PathLike
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, SecretStr, ValidationError

from llmroute.config.load import InitModel
from llmroute.config.schema import (
    POLICIES,
    RULES,
    ConfigModel,
    EscalationConfig,
    ModelConfig,
    RouterConfig,
)
from llmroute.config.secrets import is_key, may_be_key, variable_of
from llmroute.config.source import JSON, Location, dotted, suffix_of
from llmroute.errors import ConfigurationError
from llmroute.escalation.escalation import AUTO, Escalation
from llmroute.escalation.rules import FunctionRule, Rule
from llmroute.files import write_atomically
from llmroute.policies import Policy
from llmroute.pool import Model
from llmroute.routing.router import Router

_AGAIN = "Write the router without it, and set it again on the one that is read."
#: Stated together: where the input's price is stated, the table's of cached input does not hold.
_PRICES = ("input_price", "cached_input_price")


def write_router(router: Router, path: str | PathLike[str]) -> None:
    """Write a router to a file, atomically, from which `read_router` makes it again.

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
    writer = _Writer(target.absolute().parent)
    content = writer.router(router)
    if suffix in JSON:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    else:
        text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    write_atomically(target, text)
    if writer.left_out:
        fields = ", ".join(map(dotted, writer.left_out))
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


class _Writer:
    """What a router's file holds, and which keys were left out of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left_out: list[Location] = []

    def router(self, router: Router) -> dict[str, Any]:
        was_set = router.model_fields_set
        content: dict[str, Any] = {
            "format": 1,
            "pool": [self.member(("pool", n), each) for n, each in enumerate(router.pool)],
        }
        if "policy" in was_set:
            content["policy"] = self.plain(("policy",), router.policy)
        if "escalation" in was_set:
            content["escalation"] = self.escalation(router.escalation)
        if "scorer" in was_set:
            content["scorer"] = self.scorer(router.scorer)
        done = {*content, *("policy", "escalation", "scorer")}
        not_set = set(type(router).model_fields) - was_set
        usual = type(router)(pool=router.pool)
        content |= self.object((), router, usual, RouterConfig, done | not_set)
        _refuse_keys(content)
        try:
            RouterConfig.model_validate(content)
        except ValidationError as report:
            faults = "; ".join(f"{dotted(e['loc'])}: {e['msg']}" for e in report.errors())
            raise ConfigurationError(f"the router could not be read again: {faults}") from None
        return content

    def member(self, location: Location, model: Model) -> Any:
        if model.litellm_router is not None:
            todo = "Give its deployments as members, or write the pool without it."
            raise _no_place((*location, "litellm_router"), "a litellm.Router", todo)
        identity = {"model": model.model, "chat_model": model.chat_model}
        usual = Model(model.name, **identity)
        content: dict[str, Any] = {"name": model.name}
        if model.model is not None:
            content["model"] = model.model
        if isinstance(model, InitModel):
            content |= self.plain(location, model.made_by)
        elif model.chat_model is not None:
            content["chat_model"] = True
        prices = {name: getattr(model, name) for name in _PRICES}
        if prices != {name: getattr(usual, name) for name in _PRICES}:
            content |= {name: price for name, price in prices.items() if price is not None}
        done = {"name", *identity, "made_by", *_PRICES}
        content |= self.object(location, model, usual, ModelConfig, done)
        _check_unknowns(location, model, content)
        return model.name if set(content) == {"name"} else content

    def escalation(self, escalation: Escalation | None) -> Any:
        if escalation is None:
            return None
        location = ("escalation",)
        rule = AUTO if escalation.is_auto else self.plain((*location, "rule"), escalation.rule)
        content = self.object(location, escalation, None, EscalationConfig, {"rule"})
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

    def object(
        self,
        location: Location,
        value: BaseModel,
        usual: Any = None,
        config: type[ConfigModel] | None = None,
        done: Set[str] = frozenset(),
    ) -> dict[str, Any]:
        """Those of an object's fields, but for `done`, that are not as usual, in plain types.

        Usual is another of its class, or the defaults. Without a `config` a file can hold all.
        """
        content: dict[str, Any] = {}
        for name, info in type(value).model_fields.items():
            if name in done:
                continue
            now, field = getattr(value, name), info.alias or name
            ordinary = info.get_default(call_default_factory=True)
            if isinstance(value, type(usual)):
                ordinary = getattr(usual, name)
            if now == ordinary:
                continue
            if isinstance(now, SecretStr):
                content |= self._key((*location, field), now)
            elif config is not None and field not in config.model_fields:
                raise _no_place((*location, field), f"a {type(now).__name__}", _AGAIN)
            else:
                content[field] = self.plain((*location, field), now, ordinary)
        return content

    def _key(self, location: Location, key: SecretStr) -> dict[str, str]:
        if variable := variable_of(key):
            return {f"{location[-1]}_env": variable}
        self.left_out.append(location)
        return {}

    def plain(
        self, location: Location, value: Any, usual: Any = None, *, is_free: bool = False
    ) -> Any:
        """A value in plain types; of an object or mapping only what is not as usual.

        Within a mapping names are free, and what may be a key is left out.
        """
        kind = type(value)
        if isinstance(value, Policy | Rule):
            if {**POLICIES, **RULES}.get(kind.__name__) is not kind:
                is_function = isinstance(value, FunctionRule)
                what = "a function" if is_function else f"a {kind.__name__} of your own"
                raise _no_place(location, what, _AGAIN)
            return {"name": kind.__name__, **self.object(location, value)}
        if isinstance(value, BaseModel):
            return self.object(location, value, usual)
        if isinstance(value, Mapping):
            known = usual if isinstance(usual, Mapping) else {}
            kept = {
                name: self.plain((*location, name), each, is_free=True)
                for name, each in value.items()
                if (name not in known or known[name] != each)
                and not self._leaves_out((*location, name), str(name), each)
            }
            if any(not isinstance(name, str) for name in kept):
                what = "an object with names that are no text"
                raise _no_place(location, what, "Make texts of them.")
            return kept
        if isinstance(value, list | tuple):
            return [
                self.plain((*location, n), each, is_free=is_free)
                for n, each in enumerate(value)
                if not (is_free and self._leaves_out((*location, n), "", each))
            ]
        if isinstance(value, float) and not math.isfinite(value):
            raise _no_place(location, "a number without end", "Give a finite one.")
        if value is None or kind in (bool, int, float, str):
            return value
        raise _no_place(location, f"a {kind.__name__}", "Give a text, a number, or a list.")

    def _leaves_out(self, location: Location, name: str, value: Any) -> bool:
        """Whether a setting may be a key; where it stands is noted then, but no key as its name."""
        if may_be_key(name):
            self.left_out.append(location[:-1])
        elif is_key(name, value):
            self.left_out.append(location)
        else:
            return False
        return True


def _check_unknowns(location: Location, model: Model, content: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where the table would fill in what the member says is unknown."""
    stated = {name: content[name] for name in content if name in Model.model_fields}
    read = Model(stated.pop("name"), **{**stated, "chat_model": model.chat_model})
    for name in set(Model.model_fields) - {"api_key", "params"}:
        if getattr(read, name) != getattr(model, name):
            raise ConfigurationError(
                f"{dotted((*location, name))}: it is unknown here, and LiteLLM's table knows it, "
                "which a file cannot tell from nothing being stated. State a value."
            )


def _refuse_keys(value: Any, location: Location = ()) -> None:
    """Raise ConfigurationError where a key may be left in what cannot do without."""
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for step, each in entries:
            _refuse_keys(each, (*location, step))
    elif isinstance(value, str) and may_be_key(value):
        raise ConfigurationError(
            f"{dotted(location)}: this may hold a key, and no key is written to a file. Give keys "
            "by api_key, and URLs without them."
        )


def _no_place(location: Location, what: str, todo: str) -> ConfigurationError:
    return ConfigurationError(f"{dotted(location)}: {what} has no place in a file. {todo}")
