"""Pydantic's reports as one readable error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from llmroute.errors import ConfigurationError


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
