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
    """One request, and how the scripted models fare on it.

    Attributes:
        category: What kind of request it is.
        messages: The conversation as (role, text), oldest first, the user's turn last.
        difficulty: 0..1 on the scale of `llmroute.testing.Question`; for the script only.
        tokens: About how long the scripted answer is; for the script only.
        answer: What a scripted model that gets it right says.
        tools: Tools to bind, in OpenAI's format.
        schema: Structured output to ask for, as OpenAI describes a function.
        trouble: What the scripted provider does to the first call.
    """

    category: str
    messages: list[tuple[Literal["system", "human", "ai"], Text]]
    difficulty: float
    tokens: int
    answer: str = "A good answer would stand here."
    tools: tuple[dict[str, Any], ...] = ()
    schema: dict[str, Any] | None = None
    trouble: Literal["rate_limit", "server_error"] | None = None

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.messages[-1][1]


PROMPTS = TypeAdapter(tuple[DemoPrompt, ...]).validate_json(
    files(__package__).joinpath("prompts.json").read_bytes()
)
