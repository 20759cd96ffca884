"""From a router's file to the router."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, PrivateAttr, SecretStr, ValidationError

from llmroute.backends.provider_errors import redact, secrets_in
from llmroute.config.schema import POLICIES, RULES, VARIABLE, AnswerForm, router_form
from llmroute.config.source import ENV, Source, Way, read_source
from llmroute.errors import ConfigurationError, MissingExtra
from llmroute.escalation.escalation import AUTO, Escalation
from llmroute.pool import Model, ModelPool
from llmroute.routing.router import Router

_Kind = TypeVar("_Kind", bound=BaseModel)
_Router = TypeVar("_Router", bound=Router)
#: Fields of a file that are no plain settings of the router.
_OF_THEIR_OWN = {"schema_url", "format", "pool", "policy", "scorer", "escalation"}


class MadeMember(Model):
    """A member whose chat model was made as a file says, and which knows what the file said."""

    _made_by: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def made_by(self) -> Mapping[str, Any]:
        """The file's `init` and, where it had one, `api_key_env`."""
        return self._made_by


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
    form = router_form(kind)
    with source.locating():
        content: Any = form.model_validate(source.content, context=source.fields)
    reading = _Reading(source, chat_models or {}, asks)
    settings = reading.stated((), content, _OF_THEIR_OWN)
    pool = settings["pool"] = reading.pool(content.pool)
    if content.policy is not None:
        with source.locating("policy"):
            policy = reading.named(("policy",), content.policy, POLICIES)
            policy.check(pool.names)
            settings["policy"] = policy
    if "escalation" in content.model_fields_set:
        with source.locating("escalation"):
            escalation = settings["escalation"] = reading.escalation(content.escalation)
            if escalation is not None:
                escalation.check(pool.names)
    if "scorer" in content.model_fields_set:
        settings["scorer"] = reading.scorer(content.scorer)
    with source.locating():
        return made(kind, settings)


def made(kind: type[_Kind], settings: Mapping[str, Any]) -> _Kind:
    """An object of ours, whose mistakes are told with the fields they are in.

    The classes' own `__init__` makes one text of them, which does not say where they belong.

    Args:
        kind: Its class.
        settings: Its fields.

    Raises:
        ValidationError: Pydantic's own.
    """
    fresh = kind.__new__(kind)
    BaseModel.__init__(fresh, **settings)
    return fresh


@dataclass(frozen=True)
class _Reading:
    source: Source
    chat_models: Mapping[str, BaseChatModel]
    asks: bool

    def stated(self, way: Way, form: AnswerForm, leave_out: Set[str]) -> dict[str, Any]:
        """What a form says, as arguments of the class it was derived from."""
        settings: dict[str, Any] = {}
        for name, info in type(form).model_fields.items():
            if name in leave_out or name not in form.model_fields_set:
                continue
            value = getattr(form, name)
            if info.annotation == VARIABLE:
                settings |= self._key((*way, name), name.removesuffix(ENV), value)
            else:
                settings[info.alias or name] = _plain(value)
        return settings

    def _key(self, way: Way, name: str, variable: str | None) -> dict[str, Any]:
        if variable is None or not self.asks:
            return {}
        # Another variable would do for LiteLLM, and may be the key of another provider.
        if not (key := os.environ.get(variable)):
            raise self.source.mistake(way, "this environment variable is not set.")
        return {name: SecretStr(key)}

    def named(self, way: Way, form: Any, kinds: Mapping[str, type[_Kind]]) -> _Kind:
        """A policy or rule by its name; rules within rules too."""
        settings: dict[str, Any] = {}
        for name, info in type(form).model_fields.items():
            if name == "name" or name not in form.model_fields_set:
                continue
            field, value = info.alias or name, getattr(form, name)
            settings[field] = self._within((*way, field), value, kinds)
        with self.source.locating(*way):
            return made(kinds[form.name], settings)

    def _within(self, way: Way, value: Any, kinds: Mapping[str, type[_Kind]]) -> Any:
        if isinstance(value, AnswerForm):
            return self.named(way, value, kinds)
        if isinstance(value, tuple):
            return tuple(self._within((*way, n), each, kinds) for n, each in enumerate(value))
        return value

    def escalation(self, content: Any) -> Escalation | None:
        if content is None:
            return None
        if content == AUTO:
            return Escalation("auto")
        settings = self.stated(("escalation",), content, {"rule"})
        settings["rule"] = content.rule
        if content.rule != AUTO:
            settings["rule"] = self.named(("escalation", "rule"), content.rule, RULES)
        if settings.get("calibration") is not None:
            settings["calibration"] = self._beside(settings["calibration"])
        return made(Escalation, settings)

    def scorer(self, text: str) -> str:
        if not any(mark in text for mark in "/\\"):
            return text
        folder = self._beside(text)
        if not Path(folder).is_dir():
            message = "there is no such folder; it is looked for beside this file."
            raise self.source.mistake(("scorer",), message)
        return folder

    def _beside(self, text: str) -> str:
        """A path that is relative to the file."""
        return str(self.source.path.absolute().parent / text)

    def pool(self, members: list[Any]) -> ModelPool:
        models = []
        for n, member in enumerate(members):
            with self.source.locating("pool", n):
                models.append(Model(member) if isinstance(member, str) else self._member(n, member))
        marked = {m.name for m in members if not isinstance(m, str) and m.chat_model}
        if unasked := sorted(set(self.chat_models) - marked):
            raise self.source.mistake(
                ("pool",),
                f"a chat model is given for {', '.join(map(repr, unasked))}; no member of that "
                "name is marked `chat_model: true`.",
            )
        with self.source.locating("pool"):
            return made(ModelPool, {"models": tuple(models)})

    def _member(self, n: int, member: Any) -> Model:
        way = ("pool", n)
        settings = self.stated(way, member, {"chat_model", "init"})
        if member.chat_model and member.init is not None:
            message = "a chat model is given (chat_model) or made (init), not both; drop one."
            raise self.source.mistake((*way, "init"), message)
        if member.chat_model and member.name in self.chat_models:
            settings["chat_model"] = self.chat_models[member.name]
        elif member.chat_model and self.asks:
            message = f"give it: from_file(path, chat_models={{{member.name!r}: ...}})."
            raise self.source.mistake((*way, "chat_model"), message)
        if member.init is None:
            return made(Model, settings)
        if not self.asks:
            return made(Model, {"model": _litellm_name(member.init), **settings})
        return self._initialised((*way, "init"), member, settings)

    def _initialised(self, way: Way, member: Any, settings: dict[str, Any]) -> Model:
        key = {"api_key": settings.pop("api_key")} if "api_key" in settings else {}
        arguments = {**member.init, **key}
        settings["chat_model"] = _init_chat_model(self.source, way, arguments)
        model = made(MadeMember, settings)
        written = {"init": member.init, "api_key_env": member.api_key_env}
        model._made_by = {name: value for name, value in written.items() if value is not None}
        return model


def _init_chat_model(source: Source, way: Way, arguments: Mapping[str, Any]) -> Any:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise MissingExtra("A member with `init`", "langchain") from None
    with source.locating(*way):
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


def _plain(value: Any) -> Any:
    """Forms within as plain values: the class that takes them makes its own objects of them."""
    if isinstance(value, AnswerForm):
        return value.model_dump(exclude_unset=True, by_alias=True)
    return value
