"""What went wrong at a provider, in the project's own errors, with keys taken out.

Chat models raise the errors of their own SDKs. They have in common, more or less, an HTTP status,
headers and a telling class name; that is what is read here, so no SDK has to be imported.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from traceback import walk_tb
from typing import Any

from pydantic import SecretStr, ValidationError

from llmroute.errors import (
    AuthenticationFailed,
    ContentRefused,
    ContextWindowExceeded,
    EmptyAnswer,
    InvalidRequest,
    MalformedAnswer,
    ModelNotFound,
    ProviderError,
    ProviderTimeout,
    ProviderUnavailable,
    RateLimited,
    StreamInterrupted,
    UnsupportedParameter,
)
from llmroute.records import Status

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
    UnsupportedParameter: "unsupported_parameter",
    InvalidRequest: "invalid_request",
    ProviderError: "failed",
}

_DOES_NOT_PARSE = "JSONDecodeError|ResponseValidation|OutputParser|ValidationError"
#: What is in the names of an error's classes, whether those of its causes count too, and the kind;
#: the first that fits. A timeout and a lost connection are told by their class because SDKs give
#: them made-up statuses.
_KINDS: tuple[tuple[str, bool, type[ProviderError]], ...] = (
    ("MidStreamFallback|RemoteProtocolError|IncompleteRead", False, StreamInterrupted),
    ("Timeout", False, ProviderTimeout),
    ("APIConnection|ConnectionError|TransportError|gaierror|SSLError", False, ProviderUnavailable),
    (_DOES_NOT_PARSE, True, MalformedAnswer),  # LiteLLM calls an answer that is no JSON a 500
    ("ContextWindow", False, ContextWindowExceeded),
    ("ContentPolicy|ContentFilter", False, ContentRefused),
    ("UnsupportedParams", False, UnsupportedParameter),
    ("UnicodeEncodeError", True, InvalidRequest),  # the prompt holds what no encoding can carry
)
_STATUS_KINDS: dict[int, type[ProviderError]] = {
    401: AuthenticationFailed,
    402: RateLimited,  # a balance is used up
    403: AuthenticationFailed,
    404: ModelNotFound,
    408: ProviderTimeout,
    413: ContextWindowExceeded,
    429: RateLimited,
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
_TAIL = re.compile(r" Original exception:|[,.]? Received:? ")
_SECRET_NAME = re.compile(r"(?i)(key|token|secret|password|authorization)$")
_NO_KEY = re.compile(r"missing credentials|api[_ ]key\b.{0,40}\b(?:must be|not) set", re.I)
_CONTENT = re.compile(r"content[_ ]policy|content[_ ]filter|responsible ai|safety system", re.I)


def status_of(error: ProviderError | None) -> Status:
    """The word a call record has for how a call ended."""
    if error is None:
        return "ok"
    return next(_STATUS[t] for t in type(error).__mro__ if t in _STATUS)


def redact(text: str, *secrets: str | None) -> str:
    """A provider's message without keys: neither those given nor what looks like one."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[key]")
    text = _KEY_SHAPES.sub(lambda m: f"{m.group(1) or ''}[key]", text)
    return text if len(text) <= _MESSAGE_LIMIT else text[: _MESSAGE_LIMIT - 1] + "…"


def secrets_in(settings: Mapping[str, Any]) -> list[str]:
    """Keys, tokens and passwords among a call's or a chat model's settings, by their names.

    Those in the environment are always among them.

    Args:
        settings: Names and values; mappings inside (headers, for one) are looked through too.
    """
    secrets = [v for n, v in os.environ.items() if len(v) >= 8 and _SECRET_NAME.search(n)]
    for name, value in settings.items():
        if isinstance(value, SecretStr):
            secrets.append(value.get_secret_value())
        elif isinstance(value, Mapping):
            secrets += secrets_in(value)
        elif isinstance(value, str) and _SECRET_NAME.search(name):
            secrets += [value, value.removeprefix("Bearer ")]
    return sorted(set(secrets), key=len, reverse=True)


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that `secrets_in` would find."""
    return {
        name: without_secrets(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if not isinstance(value, SecretStr)
        and not (isinstance(value, str) and _SECRET_NAME.search(name))
    }


def translate(
    error: BaseException, model: str, *secrets: str | None, handling: BaseException | None = None
) -> ProviderError | None:
    """A chat model's error as a ProviderError, or None when it is no provider's failure but a bug.

    Args:
        error: What the chat model raised.
        model: The pool member that was asked.
        secrets: Keys to take out of the message.
        handling: The error the caller was handling when it made the call: it stands behind the
            chat model's error in the chain, and is no cause of it.
    """
    if isinstance(error, ProviderError):
        error.model = model  # the pool's name for it, which may not be the backend's
        return error
    causes = list(_causes(error, handling))
    kind = _kind(error, causes)
    if kind is None:
        return None
    message = redact(_message(error, causes), *secrets)
    status = _status_code(error)
    if kind is StreamInterrupted:
        return StreamInterrupted(message, model=model, status=status)
    return kind(message, model=model, status=status, retry_after=_retry_after(error))


def _message(error: BaseException, causes: Sequence[BaseException]) -> str:
    """What to say of an error: the provider's words, but none of the prompt's or the answer's."""
    report = next((e for e in (error, *causes) if isinstance(e, ValidationError)), None)
    if report is not None or re.search(_DOES_NOT_PARSE, _family(error)):
        faults = report.errors(include_input=False, include_url=False) if report else []
        listed = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['type']}" for f in faults)
        return f"the answer does not fit the schema{': ' if listed else ''}{listed}"
    text = _NOISE.sub("", str(error))
    return _TAIL.split(text)[0] or type(error).__name__


def _kind(error: BaseException, causes: Sequence[BaseException]) -> type[ProviderError] | None:
    names, text = _family(error), str(error)
    all_names = " ".join([names, *map(_family, causes)])
    for pattern, of_causes_too, kind in _KINDS:
        if re.search(pattern, all_names if of_causes_too else names):
            return kind
    if _NO_KEY.search(text):
        return AuthenticationFailed
    status = _status_code(error)
    if status is not None:
        return _kind_by_status(status, text)
    if "APIError" in names:  # an SDK's word for an error event inside a stream
        return ProviderUnavailable
    if isinstance(error, (ValueError, LookupError)) and _raised_by_integration(error):
        return EmptyAnswer if "No generation chunks" in text else MalformedAnswer
    return None


def _raised_by_integration(error: BaseException) -> bool:
    """Whether LangChain itself, or an integration of it, tripped over an answer.

    That is how they meet an answer without choices or a web page. The same error out of anyone
    else's code is a bug there.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("langchain")


def _family(error: BaseException) -> str:
    """The names of an error's classes: no SDK has to be imported to recognise its errors."""
    return " ".join(c.__name__ for c in type(error).__mro__)


def _causes(error: BaseException, handling: BaseException | None) -> Iterator[BaseException]:
    seen = {id(error), id(handling)}
    below = error.__cause__ or error.__context__
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or below.__context__


def _kind_by_status(status: int, text: str) -> type[ProviderError]:
    if status in _STATUS_KINDS:
        return _STATUS_KINDS[status]
    if status >= 500:
        return ProviderUnavailable
    if 200 <= status < 300:
        return MalformedAnswer
    if _CONTEXT.search(text):
        return ContextWindowExceeded
    return ContentRefused if _CONTENT.search(text) else InvalidRequest


def _status_code(error: BaseException) -> int | None:
    for source in (error, getattr(error, "response", None)):
        for attribute in ("status_code", "http_status", "code"):
            value = getattr(source, attribute, None)
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
