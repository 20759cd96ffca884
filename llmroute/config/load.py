"""From a router's file to the router."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, Field, SecretStr, ValidationError

from llmroute.backends.provider_errors import redact, secrets_in
from llmroute.config.schema import POLICIES, RULES, RouterConfig
from llmroute.config.source import Location, Source, read_source
from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.escalation.escalation import Escalation
from llmroute.pool import Model, ModelPool
from llmroute.routing.router import Router

_Made = TypeVar("_Made", bound=BaseModel)
_Router = TypeVar("_Router", bound=Router)


class InitModel(Model):
    """A member whose chat model LangChain made as a file says.

    Args:
        made_by: The file's `init` and, where it had one, `api_key_env`: what is written again.
    """

    made_by: Mapping[str, Any] = Field(repr=False, exclude=True)  # its `init` may hold a key


def read_router(
    kind: type[_Router],
    path: str | PathLike[str],
    *,
    chat_models: Mapping[str, BaseChatModel] | None = None,
    asks: bool = True,
) -> _Router:
    """The router that a file describes.

    Args:
        kind: `RouterChain`, or a class of its kind.
        path: A `.yaml`, `.yml` or `.json` file; docs/configuration.md says what it may hold.
        chat_models: The chat models of the members that are marked `chat_model: true`, by name.
        asks: Whether models will be asked. A router that only decides needs no keys, and none are
            read.

    Raises:
        ConfigurationError: The file cannot be read, or describes no router that can work. Each
            mistake is a line, `file:line:column: field: what was wrong`; values are not shown.
        MissingExtra: A member has `init`, and LangChain is not installed.
    """
    source = read_source(Path(path))
    with source.locating():
        config = RouterConfig.model_validate(source.content, context=source.fields)
    reader = _Reader(source, chat_models or {}, asks)
    settings = reader.with_key((), config.model_dump(by_alias=True, exclude_unset=True))
    for about_the_file in ("$schema", "format"):
        settings.pop(about_the_file, None)
    pool = settings["pool"] = reader.pool(settings["pool"])
    if (policy := settings.pop("policy", None)) is not None:
        with source.locating("policy"):
            settings["policy"] = reader.named(("policy",), policy)
            settings["policy"].check(pool.names)
    if isinstance(settings.get("escalation"), dict):
        with source.locating("escalation"):
            settings["escalation"] = reader.escalation(settings["escalation"])
            settings["escalation"].check(pool.names)
    if "scorer" in settings:
        settings["scorer"] = reader.scorer(settings["scorer"])
    with source.locating():
        return _made(kind, settings)


def _made(kind: type[_Made], settings: Mapping[str, Any]) -> _Made:
    """An object of ours, past its own `__init__`, which would not say where mistakes belong."""
    fresh = kind.__new__(kind)
    BaseModel.__init__(fresh, **settings)
    return fresh


@dataclass(frozen=True)
class _Reader:
    source: Source
    chat_models: Mapping[str, BaseChatModel]
    asks: bool

    def with_key(self, location: Location, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings with the key in place of its variable's name."""
        variable = settings.pop("api_key_env", None)
        if variable is None or not self.asks:
            return settings
        # Another variable would do for LiteLLM, and may be the key of another provider.
        if not (key := os.environ.get(variable)):
            message = "this environment variable is not set."
            raise self.source.mistake((*location, "api_key_env"), message)
        return {**settings, "api_key": SecretStr(key)}

    def named(self, location: Location, content: Mapping[str, Any]) -> Any:
        """A policy or rule by its name; rules within rules too."""
        settings = {f: self._setting((*location, f), v) for f, v in content.items() if f != "name"}
        with self.source.locating(*location):
            return _made({**POLICIES, **RULES}[content["name"]], settings)

    def _setting(self, location: Location, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(self._setting((*location, n), each) for n, each in enumerate(value))
        return self.named(location, value) if isinstance(value, dict) else value

    def escalation(self, settings: dict[str, Any]) -> Escalation:
        if isinstance(settings["rule"], dict):
            settings["rule"] = self.named(("escalation", "rule"), settings["rule"])
        if settings.get("calibration") is not None:
            settings["calibration"] = self._from_file(settings["calibration"])
        return _made(Escalation, settings)

    def scorer(self, text: str) -> str:
        if not any(mark in text for mark in "/\\"):
            return text
        folder = self._from_file(text)
        if not Path(folder).is_dir():
            message = "there is no such folder; it is looked for beside this file."
            raise self.source.mistake(("scorer",), message)
        return folder

    def _from_file(self, text: str) -> str:
        """A path that is relative to the file."""
        return str(self.source.path.absolute().parent / text)

    def pool(self, members: list[Any]) -> ModelPool:
        models = []
        for n, member in enumerate(members):
            with self.source.locating("pool", n):
                models.append(Model(member) if isinstance(member, str) else self._member(n, member))
        marked = {m["name"] for m in members if not isinstance(m, str) and m.get("chat_model")}
        if unasked := sorted(set(self.chat_models) - marked):
            raise self.source.mistake(
                ("pool",),
                f"a chat model is given for {', '.join(map(repr, unasked))}; no member of that "
                "name is marked `chat_model: true`.",
            )
        with self.source.locating("pool"):
            return _made(ModelPool, {"models": tuple(models)})

    def _member(self, n: int, content: Mapping[str, Any]) -> Model:
        location = ("pool", n)
        settings = self.with_key(location, dict(content))
        init, is_marked = settings.pop("init", None), settings.pop("chat_model", False)
        name = content["name"]
        if is_marked and init is not None:
            message = "a chat model is given (chat_model) or made (init), not both; drop one."
            raise self.source.mistake((*location, "init"), message)
        if is_marked and name in self.chat_models:
            settings["chat_model"] = self.chat_models[name]
        elif is_marked and self.asks:
            message = f"give it: from_file(path, chat_models={{{name!r}: ...}})."
            raise self.source.mistake((*location, "chat_model"), message)
        if init is None:
            return _made(Model, settings)
        if not self.asks:
            return _made(Model, {"model": _litellm_name(init), **settings})
        key = {"api_key": settings.pop("api_key")} if "api_key" in settings else {}
        settings["chat_model"] = self._init_chat_model((*location, "init"), {**init, **key})
        made_by = {"init": init, "api_key_env": content.get("api_key_env")}
        settings["made_by"] = {k: value for k, value in made_by.items() if value is not None}
        return _made(InitModel, settings)

    def _init_chat_model(self, location: Location, arguments: Mapping[str, Any]) -> Any:
        try:
            from langchain.chat_models import init_chat_model
        except ImportError:
            raise MissingExtra("A member with `init`", "langchain") from None
        with self.source.locating(*location):
            try:
                return init_chat_model(**arguments)
            except ValidationError:
                raise  # is told field by field
            except Exception as fault:  # whatever the integration trips over
                text = redact(" ".join(str(fault).split()), *secrets_in(arguments))
                raise ConfigurationError(f"LangChain cannot make it: {text}") from None


def _litellm_name(init: Mapping[str, Any]) -> str | None:
    """The name LiteLLM's table may know the model by, where no chat model is made."""
    provider, name = init.get("model_provider"), init.get("model")
    return f"{provider}/{name}" if provider else str(name).replace(":", "/", 1) if name else None
