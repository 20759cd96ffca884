"""Pydantic, with readable errors, and copies that do not keep what was worked out before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from llmroute.errors import ConfigurationError, LLMRouteError

_Content = TypeVar("_Content", bound=BaseModel)


class Frozen(BaseModel):
    """A frozen value whose cached properties are its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, as pydantic makes it, but without the original's cached properties."""
        copied = super().model_copy(update=update, deep=deep)
        for name in set(copied.__dict__) - set(type(self).model_fields):
            del copied.__dict__[name]
        return copied


@contextmanager
def readable_errors(what: str) -> Iterator[None]:
    """Turn a validation report into one sentence a fault, without the input, which may hold keys.

    Args:
        what: What is being made, as the start of the message.

    Raises:
        ConfigurationError: In place of pydantic's ValidationError.
    """
    try:
        yield
    except ValidationError as report:
        faults = [
            ": ".join([*map(str, e["loc"]), e["msg"].removeprefix("Value error, ")])
            for e in report.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise ConfigurationError(f"{what}: " + "; ".join(faults)) from None


def read_json(
    path: Path,
    content: type[_Content],
    version: int,
    *,
    missing: str,
    anew: str,
    copy: str = "Copy the folder again.",
    error: type[LLMRouteError],
) -> _Content:
    """The checked content of one of our JSON files, which state the version of their format.

    Args:
        path: The file.
        content: What it should hold.
        version: The version of its format that is read.
        missing: What to say and do when it cannot be read, such as `"no calibration at {path}:
            {fault}. …"`; both are filled in.
        anew: How to make it anew with this version.
        copy: What to do when it is damaged.
        error: What to raise.

    Raises:
        LLMRouteError: Of the kind `error`: it is missing, of another format, or damaged.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise error(missing.format(path=path, fault=fault)) from None
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != version:
        raise error(
            f"{path} has format {found!r}; this version of llmroute reads format {version}. {anew}"
        )
    try:
        return content.model_validate(raw)
    except ValidationError as fault:
        # Neither the input nor a link: a file may hold what nobody should see in a log.
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors())
        raise error(f"{path} is damaged: {faults}. {copy}") from None
