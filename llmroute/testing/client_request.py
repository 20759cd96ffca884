"""What a client asks, in one shape whatever the protocol: OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmroute.testing.tokens import count_prompt


class RequestError(Exception):
    """A request the provider turns down.

    Attributes:
        param: The part of the request at fault, or None.
        code: OpenAI's machine-readable code, or None.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.code = param, code


def require(
    is_fine: object, message: str, *, param: str | None = None, code: str | None = None
) -> None:
    """Raise a :class:`RequestError` unless a part of the request is as it should be."""
    if not is_fine:
        raise RequestError(message, param=param, code=code)


@dataclass(frozen=True)
class ChatRequest:
    """One chat request, as a scripted model's ``reply`` callable sees it.

    Attributes:
        model: The model asked for.
        messages: The conversation, OpenAI-shaped.
        tools: The tools offered, OpenAI-shaped; empty when there are none.
        body: The whole request body, for anything not named here.
        sample: Which sample of this prompt to give. The choices of one request with ``n`` > 1 are
            numbered from 0. With a temperature above 0 the numbers go on from one request for the
            same prompt to the next (or start at ``seed``, where the request has one), so asking
            again may get another answer; without one, every request starts at 0.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    body: Mapping[str, Any]
    sample: int = 0

    @cached_property
    def last_user(self) -> str:
        """The text of the last user message; empty when there is none."""
        content = next((m["content"] for m in reversed(self.messages) if m["role"] == "user"), "")
        if isinstance(content, str):
            return content
        texts = (part.get("text") for part in content)
        return "\n".join(text for text in texts if isinstance(text, str))

    @property
    def last_role(self) -> str:
        """Who spoke last: system, user, assistant or tool."""
        return str(self.messages[-1]["role"])

    @property
    def temperature(self) -> float:
        """The temperature asked for; 0 when the request names none, so that tests repeat."""
        return float(self.body.get("temperature") or 0)

    @property
    def n(self) -> int:
        """How many choices are asked for."""
        return int(self.body.get("n") or 1)

    @property
    def stream(self) -> bool:
        """Whether the answer is to be streamed."""
        return bool(self.body.get("stream"))

    @property
    def stop(self) -> tuple[str, ...]:
        """The strings at which an answer ends."""
        stop = self.body.get("stop")
        return (stop,) if isinstance(stop, str) else tuple(stop or ())

    @property
    def max_tokens(self) -> int | None:
        """The most tokens an answer may have, or None."""
        limits = [self.body.get(key) for key in ("max_tokens", "max_completion_tokens")]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def tool_choice(self) -> str:
        """``"auto"``, ``"none"``, ``"required"``, or ``"named"`` (see :attr:`named_tool`)."""
        choice = self.body.get("tool_choice") or "auto"
        if isinstance(choice, Mapping):
            return "named"
        return "required" if choice == "any" else str(choice)

    @property
    def named_tool(self) -> str | None:
        """The tool the client insists on, or None."""
        choice = self.body.get("tool_choice")
        if not isinstance(choice, Mapping):
            return None
        function = choice.get("function")
        return str(function.get("name")) if isinstance(function, Mapping) else ""

    @cached_property
    def prompt_tokens(self) -> int:
        """What the prompt costs in tokens; the rule is in :mod:`llmroute.testing.tokens`."""
        return count_prompt(self.messages, self.tools)
