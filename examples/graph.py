"""A LangGraph graph in which the nodes share one router, each on its own terms.

    python examples/graph.py

One node writes, and the cheapest model will do; one reviews, and the strongest is to do it; what
it sends back is written again. The words are shown as they come, with the node that says them.
"""

from typing import TypedDict

from _models import two_models
from langgraph.graph import END, START, StateGraph

from llmroute import CheapestAbove, RouterChain


class Work(TypedDict, total=False):
    """What the nodes hand on."""

    task: str
    text: str
    review: str
    rounds: int


# What the stand-ins say; real models write and review as they like.
def weak(request) -> str:
    again = "Review:" in request.last_user
    return "Bees make honey of nectar." if again else "Bees make honey of pollen."


def strong(request) -> str:
    return "Wrong: honey is made of nectar." if "of pollen" in request.last_user else "Good."


with two_models(weak, strong) as pool:
    # Without an escalation every word streams at once.
    router = RouterChain(pool=pool, policy=CheapestAbove(quality=0.5), escalation=None)
    weakest, strongest = pool.names

    def write(work: Work) -> Work:
        asked = f"{work['task']}\nReview: {work['review']}" if "review" in work else work["task"]
        return {"text": router.invoke(asked).text, "rounds": work.get("rounds", 0) + 1}

    def review(work: Work) -> Work:
        asked = f"Say Good, or what is wrong with this sentence: {work['text']}"
        terms = {"configurable": {"llmroute_models": [strongest]}}
        return {"review": router.invoke(asked, terms).text}

    def enough(work: Work) -> str:
        return END if work["review"].startswith("Good") or work["rounds"] == 3 else "write"

    graph = StateGraph(Work)
    graph.add_node(write)
    graph.add_node(review)
    graph.add_edge(START, "write")
    graph.add_edge("write", "review")
    graph.add_conditional_edges("review", enough)

    speaker = None
    task = {"task": "Write one sentence on what bees make honey of."}
    for chunk, about in graph.compile().stream(task, stream_mode="messages"):
        if (about["langgraph_node"], about["langgraph_step"]) != speaker:
            speaker = about["langgraph_node"], about["langgraph_step"]
            print(f"\n{speaker[0]} ({about['llmroute_model']}): ", end="")
        print(chunk.text, end="", flush=True)
    print()
