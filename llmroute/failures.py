"""What went wrong at a provider, in the project's own errors, with keys taken out.

Chat models raise the errors of their own SDKs. They have in common, more or less, an HTTP status,
headers and a telling class name; that is what is read here, so no SDK has to be imported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from llmroute.decision import Status
from llmroute.errors import (
    AuthenticationFailed,
    ContentRefused,
    ContextWindowExceeded,
    EmptyAnswer,
    InvalidRequest,
    LLMRouteError,
    MalformedAnswer,
    ModelNotFound,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    StreamInterrupted,
)

_STATUS: dict[type[ProviderError], Status] = {
    RateLimited: "rate_limited",
    ProviderUnavailable: "unavailable",
    ProviderTimeout: "timeout",
    MalformedAnswer: "malformed",
    EmptyAnswer: "empty",
    StreamInterrupted: "interrupted",
    AuthenticationFailed: "authentication",
    ModelNotFound: "not_found",
    ContextWindowExceeded: "context_window",
    ContentRefused: "content_refused",
    InvalidRequest: "invalid_request",
    ProviderError: "failed",
}

_MESSAGE_LIMIT = 500
# What keys look like on the wire and in careless error messages.
_KEY_SHAPES = re.compile(
    r"(?i)\b(bearer\s+)\S+"
    r"|\b(?:sk|pk|rk|gsk|xai|hf|ghp|r8|pplx|nvapi)[-_](?=[\w\-]*\d)[\w\-]{8,}"
    r"|\bAIza[\w\-]{20,}"
)
_CONTEXT = re.compile(
    r"context[_ ]length|context window|maximum context|too many tokens|prompt is too long|"
    r"input is too long|exceeds? the (?:maximum|limit).{0,40}token",
    re.IGNORECASE,
)
# "litellm.RateLimitError: RateLimitError: OpenAIException - " says nothing the record does not.
_NOISE = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)(?::| -)\s*)+")
# SDKs refuse to call without a key, with whatever class comes to hand.
_NO_KEY = re.compile(r"missing credentials|api[_ ]key\b.{0,40}\b(?:must be|not) set", re.I)
_CONTENT = re.compile(r"content[_ ]policy|content[_ ]filter|responsible ai|safety system", re.I)


def status_of(error: ProviderError | None) -> Status:
    """The word a call record has for how a call ended."""
    if error is None:
        return "ok"
    return next(_STATUS[t] for t in type(error).__mro__ if t in _STATUS)


def redact(text: str, *secrets: str | None) -> str:
    """The text without keys: neither those given nor anything that looks like one.

    Args:
        text: A provider's message.
        secrets: Keys known to have been sent.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    text = _KEY_SHAPES.sub(lambda m: f"{m.group(1) or ''}[key]", text)
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"


def translate(error: BaseException, model: str, *secrets: str | None) -> ProviderError | None:
    """A chat model's error as one of ours, or None when it is no provider's failure but a bug.

    Args:
        error: What the chat model raised.
        model: The pool member that was asked.
        secrets: Keys to take out of the message.
    """
    if isinstance(error, ProviderError):
        error.model = model  # the pool's name for it, which may not be the backend's
        return error
    kind = _kind(error)
    if kind is None:
        return None
    text = _NOISE.sub("", str(error)).partition(" Original exception:")[0]
    message = redact(text or type(error).__name__, *secrets)
    status = _status_code(error)
    if kind is StreamInterrupted:
        return StreamInterrupted(message, model=model, status=status)
    return kind(message, model=model, status=status, retry_after=_retry_after(error))


def _kind(error: BaseException) -> type[ProviderError] | None:
    names = _family(error)
    if re.search("MidStreamFallback|RemoteProtocolError|IncompleteRead", names):
        return StreamInterrupted
    # A timeout and a lost connection are told by their class: SDKs give them made-up statuses.
    if "Timeout" in names:
        return ProviderTimeout
    if re.search("APIConnection|ConnectionError|TransportError", names):
        return ProviderUnavailable
    # What lies below is looked at too: LiteLLM calls an answer that is no JSON a server error.
    below = " ".join(map(_family, _causes(error)))
    if re.search("JSONDecodeError|ResponseValidation", f"{names} {below}"):
        return MalformedAnswer
    if "ContextWindow" in names:
        return ContextWindowExceeded
    if re.search("ContentPolicy|ContentFilter", names):
        return ContentRefused
    if _NO_KEY.search(str(error)):
        return AuthenticationFailed
    status = _status_code(error)
    if status is not None:
        return _kind_by_status(status, str(error))
    if "APIError" in names:  # an SDK's word for an error event inside a stream
        return ProviderUnavailable
    # A chat model that trips over an answer it did not expect (no choices, a web page, text that
    # does not parse) raises one of these. Other errors are bugs, and are raised as they are.
    if isinstance(error, (ValueError, LookupError)) and not isinstance(error, LLMRouteError):
        return EmptyAnswer if "No generation chunks" in str(error) else MalformedAnswer
    return None


def _family(error: BaseException) -> str:
    """The names of an error's classes: no SDK has to be imported to recognise its errors."""
    return " ".join(c.__name__ for c in type(error).__mro__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    below = error.__cause__ or error.__context__
    while below is not None:
        yield below
        below = below.__cause__ or below.__context__


def _kind_by_status(status: int, text: str) -> type[ProviderError]:
    if status == 429:
        return RateLimited
    if status in (401, 403):
        return AuthenticationFailed
    if status == 404:
        return ModelNotFound
    if status == 408:
        return ProviderTimeout
    if status >= 500:
        return ProviderUnavailable
    if 200 <= status < 300:
        return MalformedAnswer
    if _CONTEXT.search(text):
        return ContextWindowExceeded
    if _CONTENT.search(text):
        return ContentRefused
    return InvalidRequest


def _status_code(error: BaseException) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for attribute in ("status_code", "http_status", "code"):
            value = getattr(holder, attribute, None)
            if isinstance(value, int) and 100 <= value < 600:
                return value
    return None


def _retry_after(error: BaseException) -> float | None:
    """Seconds from a retry-after header: a number, milliseconds, or a date."""
    headers: Any = getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    if headers is None:
        return None
    try:
        if (ms := headers.get("retry-after-ms")) is not None:
            return max(float(ms) / 1000.0, 0.0)
        if (value := headers.get("retry-after")) is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", str(value)):
            return float(value)
        return max(parsedate_to_datetime(str(value)).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):  # a header nobody can read is no header
        return None
