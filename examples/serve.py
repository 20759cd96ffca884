r"""An endpoint that streams answers as server-sent events, and ends with what they cost.

    pip install fastapi uvicorn
    python examples/serve.py
    curl -N -d '{"text": "Who wrote Hamlet?"}' -H 'Content-Type: application/json' \
      http://127.0.0.1:8000/answers

A client that leaves closes the stream, and with it the call of the model.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from _models import two_models
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from langchain_core.messages import AIMessageChunk
from pydantic import BaseModel

from llmroute import CheapestAbove, LLMRouteError, RouterChain


class Question(BaseModel):
    """What a client sends."""

    text: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with two_models() as pool:
        # Without an escalation every word streams at once.
        policy = CheapestAbove(quality=0.8)
        app.state.router = RouterChain(pool=pool, policy=policy, escalation=None)
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/answers")
async def answers(question: Question, request: Request) -> StreamingResponse:
    chunks = request.app.state.router.astream(question.text)
    try:
        # Until the first word another model can be asked. So wait for it: when none has an answer,
        # the client still gets an error and no empty stream.
        first = await anext(chunks)
    except LLMRouteError as error:
        raise HTTPException(503, str(error)) from None
    return StreamingResponse(events(first, chunks), media_type="text/event-stream")


async def events(first: AIMessageChunk, rest: AsyncIterator[AIMessageChunk]) -> AsyncIterator[str]:
    whole = first
    yield event("words", first.text)
    try:
        async for chunk in rest:
            whole += chunk
            yield event("words", chunk.text)
    except LLMRouteError as error:  # the words so far stay
        yield event("error", str(error))
        return
    record = whole.response_metadata["llmroute"]
    yield event("record", {name: record[name] for name in ("answered_by", "reason", "cost_usd")})


def event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


if __name__ == "__main__":
    uvicorn.run(app, port=8000)
