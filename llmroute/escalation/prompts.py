"""What a model is asked about its answer."""

from __future__ import annotations

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

#: Ways to ask the same thing, by name. Mixing them tells more than asking one way again
#: (cascades by disagreement, arXiv 2310.03094): mistakes of one way are not those of another.
STYLES = {
    "": "",
    "steps": "Think step by step. Then give the final answer alone on the last line, after "
    '"Answer:".',
    "program": "Solve this by writing a short Python program and working out by hand what it "
    'prints. Then give the final answer alone on the last line, after "Answer:".',
}

_VERIFY = "Is your answer above correct and complete? Reply with one word: Yes or No."
_CRITIQUE = (
    "Look for mistakes in your answer above: in facts, in reasoning, in arithmetic, in what was "
    "asked for. Then write the answer again, corrected where needed. Write only the answer itself, "
    "in the form that was asked for, and nothing about the changes."
)


def verifying(messages: list[BaseMessage], answer: AIMessage) -> tuple[BaseMessage, ...]:
    """The conversation in which a model says whether its answer is right."""
    return (*map(_without_tools, messages), _plain(answer), HumanMessage(_VERIFY))


def refining(messages: list[BaseMessage], answer: AIMessage) -> tuple[BaseMessage, ...]:
    """The conversation in which a model corrects its answer (arXiv 2310.07611)."""
    return (*messages, _plain(answer), HumanMessage(_CRITIQUE))


def _without_tools(message: BaseMessage) -> BaseMessage:
    """A turn of a tool loop as text: the question is asked without tools."""
    if isinstance(message, ToolMessage):
        return HumanMessage(f"Result of {message.name or 'the tool'}: {message.text}")
    if isinstance(message, AIMessage) and message.tool_calls:
        return _plain(message)
    return message


def _plain(answer: AIMessage) -> AIMessage:
    # Results must follow tool calls, and there are none: the calls become text.
    text = str(answer.text)
    for call in answer.tool_calls:
        text += f"\n{call['name']}({call['args']})"
    return AIMessage(text.strip())
