"""An agent with two tools: every step is routed, and the state keeps who answered it.

    python examples/agent.py

The words of a rejected draft are in no message. That it was asked for and paid is in the record.
"""

from _models import bill, two_models
from langchain.agents import create_agent

from llmroute import CheapestAbove, RouterChain
from llmroute.middleware import RouterMiddleware
from llmroute.testing import ChatRequest, Reply, ToolCall


def temperature(city: str) -> str:
    """The temperature in a city, in °C."""
    return {"Oslo": "4", "Nairobi": "24"}.get(city, "unknown")


def fahrenheit(celsius: float) -> str:
    """A temperature in °F."""
    return f"{celsius * 9 / 5 + 32:.0f}"


# What the stand-ins do; real models call the tools as they see fit.
def strong(request: ChatRequest) -> Reply:
    results = [message["content"] for message in request.messages if message["role"] == "tool"]
    if not results:
        return Reply(tool_calls=[ToolCall("temperature", {"city": "Oslo"})])
    if len(results) == 1:
        return Reply(tool_calls=[ToolCall("fahrenheit", {"celsius": float(results[0])})])
    return Reply(f"It is {results[1]} °F in Oslo: wear a coat.")


def weak(request: ChatRequest) -> Reply:
    reply = strong(request)
    return reply if reply.tool_calls else Reply("I am not sure what to wear.")


with two_models(weak, strong) as pool:
    router = RouterChain(
        pool=pool,
        policy=CheapestAbove(quality=0.5),
        escalation=lambda answer: "not sure" in answer.text,
    )
    tools = [temperature, fahrenheit]
    agent = create_agent(router, tools, middleware=[RouterMiddleware(router=router)])
    result = agent.invoke({"messages": "How warm is it in Oslo, in °F, and what do I wear?"})

    for message in result["messages"]:
        calls = [f"{call['name']}({call['args']})" for call in getattr(message, "tool_calls", [])]
        print(f"{message.type:>5}: {message.text or ', '.join(calls)}")
    for number, record in enumerate(result["llmroute_decisions"], start=1):
        print(f"step {number}: {bill(record)}")
