"""Forty requests such as applications send, read from `prompts.json`.

Difficulty, length and answer script the stand-in models only. The router sees what a router sees:
the messages, the tools and the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, TypeAdapter

#: A text; in the file a long one is a list of its lines.
Text = Annotated[str, BeforeValidator(lambda v: "\n".join(v) if isinstance(v, list) else v)]


@dataclass(frozen=True)
class DemoPrompt:
    """One request, and how the scripted models fare on it."""

    category: str
    messages: list[tuple[Literal["system", "human", "ai"], Text]]  # the user's turn is the last
    difficulty: float  # 0..1 on the scale of `llmroute.testing.Question`
    tokens: int  # about how long the scripted answer is
    answer: str = "A good answer would stand here."
    tools: tuple[dict[str, Any], ...] = ()  # to bind, in OpenAI's format
    schema: dict[str, Any] | None = None  # to ask for, as OpenAI describes a function
    trouble: Literal["rate_limit", "server_error"] | None = None  # of the first call

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.messages[-1][1]


PROMPTS = TypeAdapter(tuple[DemoPrompt, ...]).validate_json(
    files(__package__).joinpath("prompts.json").read_bytes()
)
