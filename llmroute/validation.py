"""Pydantic, with readable errors, and copies that do not keep what was worked out before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import Self

from llmroute.errors import ConfigurationError


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
