"""Prices, limits and capabilities from the table that LiteLLM ships, without importing it.

Importing LiteLLM takes seconds; its table is one JSON file of some megabytes inside the package.
Of that file only the entries that are asked for are parsed. No network is touched.
"""

from __future__ import annotations

import importlib.util
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

_TABLE_FILE = "model_prices_and_context_window_backup.json"
#: What stands between a key and the object it names.
_OBJECT = re.compile(r"\s*:\s*(?=\{)")
_MODES = {"chat", "responses", "completion"}

#: LangChain's name of a provider, as its chat models report it to traces → LiteLLM's.
_PROVIDERS = {
    "google_genai": "gemini",
    "google_vertexai": "vertex_ai",
    "mistralai": "mistral",
    "amazon_bedrock": "bedrock",
}

#: Our name for a capability → the table's.
_CAPABILITIES = {
    "tools": "supports_function_calling",
    "vision": "supports_vision",
    "audio": "supports_audio_input",
    "pdf": "supports_pdf_input",
    "json_schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
    "streaming": "supports_native_streaming",
}


#: What the table does not state and the providers do, by whether a model reasons: OpenAI's chat
#: models return log-probabilities and several answers a call, its reasoning models no
#: log-probabilities; Anthropic's have neither.
_STATED = {
    provider: {False: {"logprobs": True, "several": True}, True: {"logprobs": False}}
    for provider in ("openai", "azure")
}
_STATED["anthropic"] = {reasons: {"logprobs": False, "several": False} for reasons in (False, True)}


def lookup(name: str) -> dict[str, Any]:
    """What LiteLLM's packaged table knows of a model; empty when it does not know it.

    Args:
        name: A LiteLLM model name. `"openai/gpt-4.1-nano"` is found under `"gpt-4.1-nano"` too,
            because that entry is of the same provider; another provider's price is never taken.

    Returns:
        `input_price`, `cached_input_price` and `output_price` (USD per million tokens),
        `context_window` and `max_output_tokens` (tokens), each None when unknown, and
        `capabilities`, which holds only what the table states.
    """
    provider, slash, bare = name.partition("/")
    if not slash:
        return _entry(name)
    provider = _PROVIDERS.get(provider, provider)
    return _entry(f"{provider}/{bare}") or _entry(bare, provider)


@lru_cache(maxsize=1)
def _table_text() -> str:
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:  # a user may have vendored litellm out
        return ""
    path = Path(spec.origin).with_name(_TABLE_FILE)
    return path.read_text(encoding="utf-8") if path.is_file() else ""


@lru_cache(maxsize=1024)
def _entry(name: str, provider: str | None = None) -> dict[str, Any]:
    # Model names are keys of the outermost object only, so the first match is the entry. Parsing
    # all 4,000 of them would take more time and memory than the rest of a decision together.
    text, key = _table_text(), json.dumps(name)
    at = text.find(key)
    while at >= 0 and (start := _OBJECT.match(text, at + len(key))) is None:
        at = text.find(key, at + 1)  # the name is a value here
    if at < 0 or start is None:
        return {}
    entry, _ = json.JSONDecoder().raw_decode(text, start.end())
    if provider is not None and entry.get("litellm_provider") != provider:
        return {}
    return _facts(entry) if entry.get("mode") in _MODES else {}


def _facts(entry: dict[str, Any]) -> dict[str, Any]:
    reasons = entry.get("supports_reasoning") is True
    stated = _STATED.get(str(entry.get("litellm_provider")), {}).get(reasons, {})
    # A missing entry means unknown. An explicit false is the table's own "no".
    in_table = {
        ours: entry[theirs]
        for ours, theirs in _CAPABILITIES.items()
        if isinstance(entry.get(theirs), bool)
    }
    return {
        "input_price": _per_million(entry.get("input_cost_per_token")),
        "cached_input_price": _per_million(entry.get("cache_read_input_token_cost")),
        "output_price": _per_million(entry.get("output_cost_per_token")),
        "context_window": _whole(entry.get("max_input_tokens") or entry.get("max_tokens")),
        "max_output_tokens": _whole(entry.get("max_output_tokens")),
        "capabilities": {**stated, **in_table},
    }


def _per_million(per_token: object) -> float | None:
    # Rounded because 1e-7 × 1e6 is 0.09999999999999999, which no price list says.
    return round(per_token * 1e6, 9) if isinstance(per_token, int | float) else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
