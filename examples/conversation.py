"""A chat of several turns, in which every turn is routed and all models read the whole of it.

    python examples/conversation.py

A turn goes to the model that suits it. The conversation goes with it, in a form that the next model
can read, whatever wrote it. Naming the conversation (`session_id`, or LangGraph's `thread_id`) lets
the router count that the model which answered last has it in its prompt cache.
"""

from _models import bill, two_models
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage

from llmroute import CheapestAbove, RouterChain

TURNS = (
    "Good morning! I am Anna.",
    "Please prove that the square root of two is irrational.",
    "Thank you! Do you still know my name?",
)


# What the stand-ins say: that they have the whole conversation before them.
def script(request) -> str:
    if "prove" in request.last_user:
        return "If √2 = a/b in lowest terms, then a² = 2b², so a and b are both even: impossible."
    told = [message["content"] for message in request.messages if message["role"] == "user"]
    name = told[0].removesuffix(".").split()[-1]
    return f"Of course, {name}." if len(told) > 1 else f"Good morning, {name}!"


with two_models(script, script) as pool:
    router = RouterChain(pool=pool, policy=CheapestAbove(quality=0.75), escalation=None)
    config = {"configurable": {"session_id": "anna-1"}}
    chat: list[AnyMessage] = [SystemMessage("You are a friendly teacher of mathematics.")]
    for words in TURNS:
        chat.append(HumanMessage(words))
        answer = router.invoke(chat, config)
        chat.append(answer)
        print(f"Anna: {words}\n  {answer.text}\n  {bill(answer.response_metadata['llmroute'])}")

    costs = [m.response_metadata["llmroute"]["cost_usd"] for m in chat if m.type == "ai"]
    print(f"The conversation has cost {sum(costs):.6f} USD.")
