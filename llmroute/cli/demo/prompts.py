"""Forty requests such as applications send, for the demo.

Difficulty, length and answer script the stand-in models only. The router sees what a router sees:
the messages, the tools and the schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmroute.cli.demo.material import (
    BUG,
    EMAIL,
    EXPLAIN,
    LOGIC,
    RACE,
    Invoice,
    Ticket,
    calculator,
    meeting_minutes,
    server_log,
    weather,
)

#: A conversation: (who, what), oldest first, the user's turn last.
Turns = Sequence[tuple[Literal["system", "human", "ai"], str]]


@dataclass(frozen=True)
class DemoPrompt:
    """One request, and how the scripted models fare on it.

    Attributes:
        category: What kind of request it is.
        turns: The text, or a whole conversation.
        difficulty: 0..1 on the scale of `llmroute.testing.Question`; for the script only.
        tokens: About how long the scripted answer is; for the script only.
        answer: What a scripted model that gets it right says.
        tools: Tools to bind.
        schema: Structured output to ask for.
        trouble: What the scripted provider does to the first call.
    """

    category: str
    turns: str | Turns
    difficulty: float
    tokens: int
    answer: str = "A good answer would stand here."
    tools: tuple[Any, ...] = ()
    schema: type | None = None
    trouble: Literal["rate_limit", "server_error"] | None = None

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The conversation, as a chat model takes it."""
        return [("human", self.turns)] if isinstance(self.turns, str) else list(self.turns)

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.messages[-1][1]


PROMPTS: tuple[DemoPrompt, ...] = (
    DemoPrompt("small talk", "Good morning! How are you today?", 0.05, 20),
    DemoPrompt("small talk", "Thanks, that was really helpful. Have a nice weekend!", 0.05, 15),
    DemoPrompt(
        "writing", "Write a birthday message for my colleague Sam who loves hiking.", 0.1, 60
    ),
    DemoPrompt(
        "writing", "Write a sonnet about a lighthouse that is afraid of the dark.", 0.4, 180
    ),
    DemoPrompt("summary", EMAIL, 0.2, 60, trouble="rate_limit"),
    DemoPrompt(
        "extraction",
        "Extract name, date and amount as JSON: 'Received from Mira Olsen on "
        "3 March 2025 the sum of 1,250 EUR for the repair of a boiler.'",
        0.15,
        40,
    ),
    DemoPrompt(
        "translation",
        "Translate to German: 'The train to Hamburg leaves from platform 7.'",
        0.1,
        15,
        "Der Zug nach Hamburg fährt von Gleis 7 ab.",
    ),
    DemoPrompt(
        "translation",
        "Translate into Japanese, polite business style: 'We regret the delay "
        "and will cover the cost of express shipping for the missing parts.'",
        0.45,
        50,
    ),
    DemoPrompt(
        "classification",
        "Is this review positive, negative or mixed? 'The screen is lovely, "
        "but the battery is empty by noon.' Answer with one word.",
        0.1,
        2,
        "Mixed",
    ),
    DemoPrompt("trivia", "What is the capital of Australia?", 0.05, 8, "Canberra"),
    DemoPrompt(
        "trivia",
        "Who was emperor of Ethiopia when the country joined the League of Nations?",
        0.55,
        30,
        "Empress Zewditu, with Ras Tafari as regent.",
        trouble="server_error",
    ),
    DemoPrompt(
        "history",
        "Why did the Hanseatic League decline? Name the three causes historians "
        "weigh most, and where they disagree.",
        0.5,
        260,
    ),
    DemoPrompt("arithmetic", "What is 17 * 23?", 0.1, 4, "391"),
    DemoPrompt(
        "word problem",
        "A baker makes 12 trays of 8 rolls, sells three quarters of them, and "
        "gives a third of the rest away. How many rolls are left?",
        0.3,
        90,
        "16",
    ),
    DemoPrompt(
        "word problem",
        "Two pumps fill a tank in 6 and 9 hours; a leak empties it in 18. How "
        "long does it take with both pumps and the leak?",
        0.4,
        110,
        "4.5 hours",
    ),
    DemoPrompt(
        "competition maths",
        "How many ordered triples (a, b, c) of positive integers satisfy "
        "abc = 2310 with a < b < c?",
        0.8,
        420,
        "40",
    ),
    DemoPrompt(
        "competition maths",
        "Find the remainder when the sum of k·k! for k from 1 to 100 is divided by 101.",
        0.75,
        300,
        "99",
    ),
    DemoPrompt("proof", "Prove that the square root of 2 is irrational.", 0.5, 240),
    DemoPrompt(
        "proof",
        "Prove that every bounded sequence of real numbers has a convergent "
        "subsequence, without using the nested interval theorem.",
        0.75,
        480,
    ),
    DemoPrompt(
        "physics",
        "A 2 kg block slides 5 m down a 30° incline with friction coefficient 0.2. "
        "What is its speed at the bottom?",
        0.5,
        180,
        "5.66 m/s",
    ),
    DemoPrompt(
        "physics",
        "Derive the Schwarzschild radius from the vacuum field equations, and say "
        "which coordinate singularity is physical.",
        0.85,
        620,
    ),
    DemoPrompt(
        "law",
        "A tenant in Germany wants to move out early. Explain which notice periods "
        "apply and when a successor tenant must be accepted.",
        0.6,
        320,
    ),
    DemoPrompt(
        "medicine",
        "What are common side effects of ibuprofen, and when should someone see a "
        "doctor about them?",
        0.35,
        180,
    ),
    DemoPrompt(
        "medicine",
        "Which clinical findings distinguish nephritic from nephrotic syndrome, "
        "and which causes match each?",
        0.65,
        300,
    ),
    DemoPrompt("logic", LOGIC, 0.6, 160),
    DemoPrompt(
        "SQL",
        "Write a PostgreSQL query that returns, for each region, the three customers "
        "with the highest revenue in 2024, ties included.",
        0.4,
        120,
    ),
    DemoPrompt("code fix", BUG, 0.3, 120),
    DemoPrompt("code fix", RACE, 0.75, 420),
    DemoPrompt("code explanation", EXPLAIN, 0.25, 220),
    DemoPrompt(
        "algorithm design",
        "Design a data structure with insert, delete and uniform random "
        "pick in O(log n), where each item has a weight that may change.",
        0.7,
        480,
    ),
    DemoPrompt(
        "regular expression",
        "Write a regular expression for ISO 8601 dates like 2025-03-01 "
        "and say what it does not check.",
        0.3,
        110,
    ),
    DemoPrompt(
        "planning",
        "Plan three days in Porto for a family with a toddler and a grandmother "
        "who walks slowly; no car.",
        0.3,
        380,
    ),
    DemoPrompt("long context", server_log(), 0.55, 60, "db-3 ran out of connections first."),
    DemoPrompt("long context", meeting_minutes(), 0.35, 50, "Priya, by 14 June."),
    DemoPrompt(
        "tools",
        "Do I need an umbrella in Lisbon today?",
        0.15,
        0,
        "Lisbon",
        tools=(weather, calculator),
    ),
    DemoPrompt(
        "tools",
        "What is (1.07 ** 12 - 1) * 250000, to the cent?",
        0.25,
        0,
        "(1.07 ** 12 - 1) * 250000",
        tools=(calculator,),
    ),
    DemoPrompt(
        "structured output",
        "Invoice 2025-118 from Nordlys AS, 4 lamps at 890 NOK each plus "
        "25 % VAT, due on 30 June 2025.",
        0.25,
        0,
        "Nordlys AS",
        schema=Invoice,
    ),
    DemoPrompt(
        "structured output",
        "Customer writes: 'Since the update the app closes whenever I "
        "open a photo. I present it to my board tomorrow!'",
        0.2,
        0,
        "app closes on photos",
        schema=Ticket,
    ),
    DemoPrompt(
        "conversation",
        (
            ("system", "You are the assistant of a bicycle shop. Answer briefly."),
            ("human", "Hi, my chain skips when I pedal hard."),
            ("ai", "Does it skip on all sprockets or on one?"),
            ("human", "Only on the smallest two."),
        ),
        0.3,
        60,
    ),
    DemoPrompt(
        "conversation",
        (
            ("human", "I'm writing a compiler for a small functional language."),
            ("ai", "Nice! Which back end do you have in mind?"),
            ("human", "LLVM. It has closures and tail calls."),
            ("ai", "Then closure conversion and a calling convention come first."),
            (
                "human",
                "How do I guarantee proper tail calls between functions with different arity?",
            ),
        ),
        0.8,
        420,
    ),
)
