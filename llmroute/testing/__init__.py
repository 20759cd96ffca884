"""A scripted provider on loopback: test chains and routers without a network.

The provider is a real HTTP server, so a test goes through the client, the parser and the timeouts
that production goes through. It speaks OpenAI's protocol and Anthropic's, and refuses what they
refuse. Models answer by script; faults do on the wire what failing providers do::

    from langchain_openai import ChatOpenAI
    from llmroute.testing import Fault, Question, Reply, ScriptedModel, ScriptedProvider

    provider = ScriptedProvider(
        [
            ScriptedModel("small", input_price=0.1, output_price=0.4, ability=0.3),
            ScriptedModel("big", input_price=2, output_price=8, ability=0.9),
            ScriptedModel("shy", reply="No comment."),
            ScriptedModel("echo", reply=lambda request: Reply(request.last_user, confidence=0.9)),
        ],
        questions=[Question("What is 17 * 23?", answer="391", wrong=["401"], difficulty=0.3)],
    )

    with provider:
        provider.fail("small", Fault.server_error(), Fault.hang(seconds=30))
        chat = ChatOpenAI(base_url=provider.base_url, api_key="any", model="big")
        assert chat.invoke("What is 17 * 23?").content == "391"
        assert provider.requests[-1].status == 200

Clients of Anthropic's protocol take ``base_url=provider.anthropic_url``.

It needs the standard library only, and imports nothing else of llmroute.
"""

from llmroute.testing.client_request import ChatRequest
from llmroute.testing.faults import Fault
from llmroute.testing.journal import RequestLog
from llmroute.testing.models import ScriptedModel
from llmroute.testing.provider import ScriptedProvider
from llmroute.testing.questions import Question
from llmroute.testing.reply import Reply, ToolCall

__all__ = [
    "ChatRequest",
    "Fault",
    "Question",
    "Reply",
    "RequestLog",
    "ScriptedModel",
    "ScriptedProvider",
    "ToolCall",
]
