"""Telling what may be a key, so that none gets into a file."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from llmroute.backends.provider_errors import redact, secrets_in, without_secrets

#: A variable of fewer letters holds no key; one that has the same few would be found by chance.
_SHORTEST_KEY = 8


def may_be_key(text: str) -> bool:
    """Whether a text looks like a key, holds one of the environment's, or is a URL with one."""
    if any(key in text for key in secrets_in({})):
        return True
    # By pairs of words: keys are known by their shape, or by the word before them.
    words = ["", *text.split(), ""]
    if any(redact(f"{a} {b}") != f"{a} {b}" for a, b in pairwise(words)):
        return True
    try:
        url = urlsplit(text)
    except ValueError:  # no URL
        return False
    query = dict(parse_qsl(url.query))
    return bool(url.scheme) and ("@" in url.netloc or without_secrets(query) != query)


def is_key(name: str, value: Any) -> bool:
    """Whether a setting is, or may be, a key, a token or a password; its name may be empty."""
    if isinstance(value, SecretStr):
        return True
    if value is None or isinstance(value, bool):
        return False
    return without_secrets({name: ""}) == {} or (isinstance(value, str) and may_be_key(value))


def variable_of(key: SecretStr) -> str | None:
    """The environment variable that holds this key, if there is one."""
    value = key.get_secret_value()
    if len(value) < _SHORTEST_KEY:
        return None
    holding = sorted(name for name, held in os.environ.items() if held == value)
    # Those first that are named like keys.
    return min(holding, key=lambda name: without_secrets({name: ""}) != {}, default=None)
