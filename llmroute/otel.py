"""An OpenTelemetry span for each request (extra `otel`).

    from llmroute.otel import Telemetry

    router = RouterChain(pool=pool, observers=(Telemetry(),))

There is one span for each request, however many calls it takes: the conventions ask for one logical
span over retries, and drafts, samples and fallbacks are a kind of retry. Each attempt is an event
of the span. Prompts, answers and keys are not recorded.

Source: OpenTelemetry semantic conventions for generative AI, "Inference" (status: development).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from llmroute._version import __version__
from llmroute.errors import MissingExtra
from llmroute.records import CallRecord, Decision

try:
    from opentelemetry import trace
    from opentelemetry.trace import SpanKind, Status, StatusCode, use_span
except ImportError as error:
    raise MissingExtra("llmroute.otel", "otel") from error

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

_Attributes = dict[str, Any]


class Telemetry:
    """An observer that makes a span of each request.

    Attributes beside the conventions' own (`gen_ai.request.model`, `gen_ai.response.model`,
    `gen_ai.usage.*`, `error.type`) begin with `llmroute.`: `chosen`, `answered_by`, `policy`,
    `reason`, `router`, `unfamiliar`, `decision_us`, `escalated`, `unchecked`, `attempts`,
    `cost_usd`, `saved_usd`.

    `gen_ai.request.model` is the chosen model's name in the pool. After a fallback or an escalation
    another model has answered: `llmroute.answered_by` is its name in the pool, and
    `gen_ai.response.model` its name at the provider. `gen_ai.provider.name` is the part of the
    chosen name before its slash, or `llmroute`. `gen_ai.usage.*` is that of the answering call;
    `llmroute.total_prompt_tokens` and `llmroute.total_completion_tokens` are sums over all calls.

    Args:
        tracer_provider: Receives the spans; by default the one that is set for the process.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._given = tracer_provider
        provider = tracer_provider or trace.get_tracer_provider()
        self._tracer = provider.get_tracer("llmroute", __version__)

    def __reduce__(self) -> tuple[type[Telemetry], tuple[TracerProvider | None]]:
        return Telemetry, (self._given,)

    def __deepcopy__(self, memo: dict[int, Any]) -> Telemetry:
        return self  # where spans go is the process's affair

    def begin(self, decision: Decision) -> _Request:
        """Open the span of a request."""
        provider, slash, _ = decision.chosen.partition("/")
        attributes: _Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider if slash else "llmroute",
            "gen_ai.conversation.id": decision.session,
            "gen_ai.request.model": decision.chosen,
            "llmroute.chosen": decision.chosen,
            "llmroute.policy": decision.policy["name"],
            "llmroute.reason": decision.reason,
            "llmroute.router": decision.router,
            "llmroute.unfamiliar": decision.unfamiliar,
            "llmroute.decision_us": decision.decision_us,
        }
        span = self._tracer.start_span(
            f"chat {decision.chosen}", kind=SpanKind.CLIENT, attributes=_known(attributes)
        )
        return _Request(span)


class _Request:
    """The span of one request."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def active(self) -> AbstractContextManager[object]:
        """The providers' own spans, where a client makes them, become children of this one."""
        return use_span(
            self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        )

    def ended(self, decision: Decision) -> None:
        """Write down what came of the request, and close the span."""
        self._tell_of(decision.calls)
        self._span.set_attributes(_known(_outcome(decision)))
        self._span.end()

    def failed(self, decision: Decision, error: BaseException) -> None:
        """Write down what went wrong, and close the span."""
        self._tell_of(getattr(error, "calls", ()))
        self._span.set_attribute("error.type", type(error).__name__)
        # An error's own words may quote the prompt.
        self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        self._span.end()

    def _tell_of(self, calls: Sequence[CallRecord]) -> None:
        for call in calls:
            self._span.add_event("llmroute.attempt", _known(_attempt(call)))


def _outcome(decision: Decision) -> _Attributes:
    answering = next((call for call in decision.calls if call.accepted), None)
    return {
        "gen_ai.response.model": answering and (answering.answered_by or answering.model),
        "gen_ai.usage.input_tokens": answering and answering.prompt_tokens,
        "gen_ai.usage.output_tokens": answering and answering.completion_tokens,
        "llmroute.answered_by": decision.answered_by,
        "llmroute.escalated": decision.escalated,
        "llmroute.unchecked": decision.unchecked,
        "llmroute.attempts": len(decision.calls),
        "llmroute.cost_usd": decision.cost_usd,
        "llmroute.saved_usd": decision.saved_usd,
        "llmroute.total_prompt_tokens": decision.total_prompt_tokens,
        "llmroute.total_completion_tokens": decision.total_completion_tokens,
    }


def _attempt(call: CallRecord) -> _Attributes:
    return {
        "gen_ai.request.model": call.model,
        "gen_ai.response.model": call.answered_by,
        "gen_ai.usage.input_tokens": call.prompt_tokens,
        "gen_ai.usage.output_tokens": call.completion_tokens,
        "llmroute.purpose": call.purpose,
        "llmroute.status": call.status,
        "llmroute.latency_s": call.latency_s,
        "llmroute.cost_usd": call.cost_usd,
        "http.response.status_code": call.http_status,
    }


def _known(attributes: _Attributes) -> _Attributes:
    return {name: value for name, value in attributes.items() if value is not None}
