"""The error tree: everything llmroute raises on purpose.

    LLMRouteError
    ├── ConfigurationError        a pool, policy or option that cannot work (also a ValueError)
    │   └── MissingExtra          an optional dependency is not installed (also an ImportError)
    ├── ArtifactError             a router's folder is missing, damaged or of another version
    ├── NoEligibleModel           every model of the pool was ruled out for this request
    ├── AllModelsFailed           every eligible model was asked, and none answered
    └── ProviderError             one call to one model failed
        ├── RateLimited           429; says how long to wait when the provider said so
        ├── ProviderUnavailable   5xx, connection refused or reset
        ├── ProviderTimeout       no answer within the model's timeout
        ├── MalformedAnswer       an answer that is not what the protocol says
        ├── EmptyAnswer           an answer with neither text nor a tool call
        ├── StreamInterrupted     a stream that ended before its answer did; holds the partial text
        ├── AuthenticationFailed  401, 403
        ├── ModelNotFound         404
        └── InvalidRequest        400, 422: the request itself is at fault
            ├── ContextWindowExceeded
            ├── UnsupportedParameter
            └── ContentRefused    the provider's content policy

Which of them send the request on to another model is a property of the class, `falls_back`, and
which are worth another try on the same model is `retryable`; both are listed in
docs/fallback.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from llmroute.records import CallRecord


class LLMRouteError(Exception):
    """Base class of every error that llmroute raises on purpose."""


class ConfigurationError(LLMRouteError, ValueError):
    """A pool, policy or option that cannot work; the text says what is wrong and how to mend it."""


class MissingExtra(ConfigurationError, ImportError):
    """An optional dependency is needed and not installed.

    Args:
        feature: What was asked for, as the start of a sentence.
        extra: The extra that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed. "
            f"Install them with: pip install 'llmroute[{extra}]'"
        )
        self.feature = feature
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.feature, self.extra)


class ArtifactError(LLMRouteError):
    """A router's folder is missing, damaged, or made for another version of llmroute."""


class NoEligibleModel(LLMRouteError):
    """Every model of the pool was ruled out before any was called.

    Args:
        excluded: Why each model was ruled out, by name.
    """

    def __init__(self, excluded: Mapping[str, str]) -> None:
        listed = "\n".join(f"  - {name}: {why}" for name, why in excluded.items())
        super().__init__(
            f"No model of the pool can take this request:\n{listed}\n"
            "Add a model that can, relax the policy, or correct the model's stated limits."
        )
        self.excluded = dict(excluded)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.excluded,)


class ProviderError(LLMRouteError):
    """One call to one model failed.

    Args:
        message: The provider's message, without keys.
        model: The pool member that was asked.
        status: The HTTP status, when there was one.
        retry_after: Seconds the provider asked to wait, when it did.
    """

    #: Another try on the same model may succeed.
    retryable: ClassVar[bool] = False
    #: The request goes on to the next eligible model.
    falls_back: ClassVar[bool] = False
    #: The provider may have generated, and billed, tokens before the failure.
    may_be_billed: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.model = model
        self.status = status
        self.retry_after = retry_after
        #: Every attempt made for the request so far, filled in when the error leaves the router.
        self.calls: tuple[CallRecord, ...] = ()

    def __str__(self) -> str:
        return f"{self.model}: {self.message}" if self.model else self.message


class RateLimited(ProviderError):
    """429 or 402: too many requests, or a quota or balance that is used up."""

    retryable = True
    falls_back = True


class ProviderUnavailable(ProviderError):
    """The provider could not be reached or answered 5xx."""

    retryable = True
    falls_back = True


class ProviderTimeout(ProviderError):
    """No answer came within the model's timeout. Not tried again: the next model is asked."""

    falls_back = True
    may_be_billed = True


class MalformedAnswer(ProviderError):
    """The provider answered with something that is not a chat completion."""

    falls_back = True
    may_be_billed = True


class EmptyAnswer(ProviderError):
    """The model answered with neither text nor a tool call."""

    falls_back = True
    may_be_billed = True


class StreamInterrupted(ProviderError):
    """A stream ended before its answer did.

    Before the first token was handed out the next model is asked; afterwards this error ends the
    stream, because a second model's text cannot be joined to the first one's.

    Args:
        message: What was seen.
        partial: The text received before the cut.
        model: The pool member that was asked.
        status: The HTTP status, when there was one.
    """

    falls_back = True
    may_be_billed = True

    def __init__(
        self,
        message: str,
        *,
        partial: str = "",
        model: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, model=model, status=status)
        self.partial = partial


class AuthenticationFailed(ProviderError):
    """401 or 403. Raised at once: falling back would hide a wrong key."""


class ModelNotFound(ProviderError):
    """404: the provider does not have this model. Raised at once: it is a mistake in the pool."""


class InvalidRequest(ProviderError):
    """400 or 422: the request itself is at fault, so another model would refuse it too."""


class ContextWindowExceeded(InvalidRequest):
    """The prompt is longer than the model's context window; a model with a longer one may do."""

    falls_back = True


class UnsupportedParameter(InvalidRequest):
    """The model does not take a parameter of the request; another model may."""

    falls_back = True


class ContentRefused(InvalidRequest):
    """The provider's content policy refused the request.

    Raised at once, unless the router's `when_refused` names a model for this.
    """


class AllModelsFailed(LLMRouteError):
    """Every eligible model was asked, and none answered.

    Args:
        calls: Every attempt, in order.
        last: The error of the last attempt.
    """

    def __init__(self, calls: Sequence[CallRecord], last: ProviderError) -> None:
        failed = [c for c in calls if c.status != "ok"]  # a rejected draft answered
        listed = "\n".join(f"  - {c.model}: {c.status}: {c.error}" for c in failed)
        super().__init__(f"No model answered, after {len(calls)} attempts:\n{listed}")
        self.calls = tuple(calls)
        self.last = last

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.calls, self.last)
