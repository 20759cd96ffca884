"""Chat models of your own as members: a class of ten lines, and a LangChain integration's.

    python examples/own_chat_models.py

Whatever LangChain can call can be a member, and need not be a language model: here a table answers
first where it can, for nothing, and what it does not know goes on to a model.
"""

from typing import Any

from _models import bill, two_chat_models
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from llmroute import CheapestAbove, Model, RouterChain

NOT_HERE = "That is not in the table."
TABLE = {"When do you open?": "At nine.", "Do you sell tea?": "Yes, and coffee."}


class Table(BaseChatModel):
    """Answers the questions that come every day."""

    @property
    def _llm_type(self) -> str:
        return "table"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(TABLE.get(messages[-1].text, NOT_HERE))
        return ChatResult(generations=[ChatGeneration(message=message)])


def strong(request) -> str:
    return "Earl Grey has oil of bergamot, and caffeine as other black tea has."


with two_chat_models(strong=strong) as (_, chat_model):
    router = RouterChain(
        pool=[
            Model("table", chat_model=Table(), input_price=0, output_price=0, ability=-3),
            # For a model in LiteLLM's table of prices leave these out.
            Model("large", chat_model=chat_model, input_price=2, output_price=8, ability=1),
        ],
        policy=CheapestAbove(quality=0),  # the cheapest first, always: its answers are looked at
        escalation=lambda answer: answer.text == NOT_HERE,
    )
    for question in ("Do you sell tea?", "Is there caffeine in Earl Grey?"):
        answer = router.invoke(question)
        print(f"{question}\n  {answer.text}\n  {bill(answer.response_metadata['llmroute'])}")
