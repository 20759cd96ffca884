"""What the demo's prompts are made of: longer texts, documents, tools and schemas."""

from __future__ import annotations

import random

from pydantic import BaseModel, Field

EMAIL = """Summarise this email in two sentences for someone who was on holiday.

Hi all, the Rotterdam shipment left the plant on Tuesday with 18 of 20 pallets. The two that stayed
behind failed the seal test; quality repeats it on Friday. The customer accepts a partial delivery
if the rest arrives by the 14th. Carla books the second truck, Imran updates the invoice, and please
send nothing to the customer before legal has looked at the penalty clause. Best, Joost"""

BUG = """This returns the wrong average when a list contains None. Find the bug and fix it.

def average(values):
    total = 0
    for value in values:
        if value:
            total += value
    return total / len(values)"""

RACE = """Our payment worker sometimes charges twice. Find the race and propose a fix that survives
a crash between the two writes.

async def settle(order_id):
    order = await db.fetch_one("SELECT * FROM orders WHERE id = $1", order_id)
    if order["status"] == "paid":
        return
    charge = await gateway.charge(order["card"], order["amount"])
    await db.execute("UPDATE orders SET status = 'paid', charge = $2 WHERE id = $1",
                     order_id, charge.id)"""

EXPLAIN = """Explain what this does, line by line, to someone who knows Python but not generators.

def chunks(stream, size):
    block = []
    for item in stream:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block"""

LOGIC = """Five runners finished a race. Ana beat Bo but not Cy. Dee finished right after Bo. Eli
was neither first nor last. Cy did not win. In which order did they finish?"""

_SERVICES = ("checkout", "search", "auth", "mailer", "db-1", "db-2", "db-3")
_EVENTS = (
    "request served in {n} ms",
    "cache refreshed, {n} entries",
    "connection pool at {n} of 400",
    "retrying job {n}",
    "garbage collection took {n} ms",
)
_PEOPLE = ("Priya", "Marco", "Aiko", "Tomasz", "Leila")
_TOPICS = ("the new warehouse", "the pricing page", "data retention", "the autumn fair", "hiring")


def server_log(lines: int = 420) -> str:
    """A log of a few thousand words with a question at the end, the same every time.

    Args:
        lines: How many lines it has.
    """
    chance = random.Random(7)
    rows = []
    for number in range(lines):
        clock = f"2025-03-04T02:{number // 60:02d}:{number % 60:02d}Z"
        event = chance.choice(_EVENTS).format(n=chance.randint(2, 390))
        rows.append(f"{clock} {chance.choice(_SERVICES)} INFO {event}")
    for number in range(300, lines, 9):  # from here on one service after the other fails
        service = "db-3" if number < 345 else chance.choice(_SERVICES)
        rows[number] = f"{rows[number][:20]} {service} ERROR connection pool exhausted"
    log = "\n".join(rows)
    return f"{log}\n\nWhich service failed first in this log, and what followed from it?"


def meeting_minutes(items: int = 90) -> str:
    """Minutes of a long meeting with a question at the end, the same every time.

    Args:
        items: How many items were discussed.
    """
    chance = random.Random(11)
    parts = []
    for number in range(1, items + 1):
        first, second = chance.sample(_PEOPLE, 2)
        topic = chance.choice(_TOPICS)
        parts.append(
            f"{number}. {first} reports on {topic}. {second} asks what it would cost to wait until "
            f"next quarter. After some discussion {first} will bring figures to the next meeting."
        )
    parts[items // 2] = (
        f"{items // 2 + 1}. The supplier contract ends in July. Priya negotiates the renewal and "
        "reports by 14 June."
    )
    minutes = "\n".join(parts)
    return (
        f"Minutes of the meeting.\n\n{minutes}\n\nWho negotiates the supplier contract, until when?"
    )


def weather(city: str) -> str:
    """Today's weather in a city.

    Args:
        city: The city's name.
    """
    return f"Sunny in {city}."


def calculator(expression: str) -> str:
    """Work out an arithmetic expression.

    Args:
        expression: Such as "(3 + 4) * 12".
    """
    return expression


class Invoice(BaseModel):
    """An invoice."""

    number: str = Field(description="The invoice's number.")
    seller: str = Field(description="Who wrote it.")
    total: float = Field(description="Total with tax.")
    due: str = Field(description="Date it is due.")


class Ticket(BaseModel):
    """A support ticket."""

    title: str = Field(description="What happened, in a few words.")
    urgent: bool = Field(description="Whether it has to be answered today.")
    component: str = Field(description="Part of the product.")
