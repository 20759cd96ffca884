"""Telling what may be a key, so that none gets into a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from llmroute.backends.provider_errors import redact, secrets_in, without_secrets
from llmroute.config.source import Way

#: A variable of fewer letters holds no key; one that has the same few would be found by chance.
_SHORTEST_KEY = 8


def may_be_key(text: str) -> bool:
    """Whether a text looks like a key, holds one of the environment's, or is a URL with one.

    Args:
        text: Any text.
    """
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


def is_named_like_key(name: str) -> bool:
    """Whether a setting of this name would be a key, a token or a password.

    Args:
        name: Its name.
    """
    return without_secrets({name: ""}) == {}


def variable_of(key: SecretStr) -> str | None:
    """The environment variable that holds this key, if there is one.

    Args:
        key: The key.
    """
    value = key.get_secret_value()
    if len(value) < _SHORTEST_KEY:
        return None
    holding = sorted(name for name, held in os.environ.items() if held == value)
    named_so = [name for name in holding if is_named_like_key(name)]
    return next(iter(named_so or holding), None)


def without_keys(value: Any, way: Way, left_out: list[Way]) -> Any:
    """Free settings without what may be a key.

    Args:
        value: Mappings, lists and plain values.
        way: Where they stand.
        left_out: Where something was left out is noted here.
    """
    if isinstance(value, Mapping):
        kept = {}
        for name, each in value.items():
            if isinstance(name, str) and may_be_key(name):
                left_out.append(way)
            elif _is_key(str(name), each):
                left_out.append((*way, name))
            else:
                kept[name] = without_keys(each, (*way, name), left_out)
        return kept
    if isinstance(value, list | tuple):
        kept_items = []
        for n, each in enumerate(value):
            if _is_key("", each):
                left_out.append((*way, n))
            else:
                kept_items.append(without_keys(each, (*way, n), left_out))
        return kept_items
    return value


def _is_key(name: str, value: Any) -> bool:
    if isinstance(value, SecretStr):
        return True
    if value is None or isinstance(value, bool):
        return False
    return is_named_like_key(name) or (isinstance(value, str) and may_be_key(value))
