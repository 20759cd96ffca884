"""A local model for what it can do, for nothing, and paid ones for the rest.

    python examples/local_model.py

    export LLMROUTE_LOCAL=llama3.2 LLMROUTE_LOCAL_URL=http://localhost:11434/v1
    LLMROUTE_WEAK=openai/gpt-4.1-nano LLMROUTE_STRONG=openai/gpt-4.1 python examples/local_model.py

The local member is called as OpenAI's API is, which Ollama, llama.cpp, vLLM and LM Studio all serve
under /v1. That is what the stand-in here serves too, so it is what is tried. LiteLLM also has names
such as "ollama_chat/llama3.2" for Ollama's other API; these are not tried here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from _models import bill, two_models

from llmroute import CheapestAbove, Model, ModelPool, RouterChain
from llmroute.testing import ScriptedModel, ScriptedProvider


@contextmanager
def local_server() -> Iterator[tuple[str, str, ScriptedProvider | None]]:
    """Name and address of the local model: the reader's, or a stand-in's, which can be stopped."""
    if name := os.environ.get("LLMROUTE_LOCAL"):
        yield name, os.environ["LLMROUTE_LOCAL_URL"], None
        return
    with ScriptedProvider([ScriptedModel("llama3.2", reply="Buenos días.")]) as server:
        yield "llama3.2", server.base_url, server


with local_server() as (name, url, server), two_models() as paid:
    local = Model(
        "local",
        model=f"openai/{name}",
        api_base=url,
        api_key="none",  # clients insist on a key; local servers do not read it
        input_price=0,  # 0 is free; a price that is left out is unknown
        output_price=0,
        ability=-0.5,  # a guess for a small model: `llmroute profile` measures it
        timeout=60,  # a local model may have to be loaded first
    )
    router = RouterChain(
        pool=ModelPool([local, *paid]),
        policy=CheapestAbove(quality=0.7),
        escalation=None,
    )

    def ask(prompt: str) -> None:
        record = router.invoke(prompt).response_metadata["llmroute"]
        print(f"{prompt}\n  {bill(record)}, saved {record['saved_usd']:.6f} USD")

    ask("Translate 'good morning' to Spanish.")
    ask("Prove that √2 is irrational.")
    if server is not None:
        server.stop()
        print("The local server has been stopped.")
        ask("Translate 'good morning' to Spanish.")
