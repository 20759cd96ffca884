"""A RAG chain: the weak model reads the passages, the strong one is asked when it gives up.

    python examples/rag.py

"I don't know" is easy to tell from an answer, so the weak model may try first.
"""

import re
from zlib import crc32

from _models import bill, two_models
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from llmroute import CheapestAbove, RouterChain

PASSAGES = [
    "The library opens at nine and closes at six, on Saturdays at one.",
    "A book may be kept for four weeks. For a book that is late we ask 0.50 USD a day.",
    "The reading room has forty seats. Drinks are allowed in closed bottles.",
]
PROMPT = ChatPromptTemplate.from_template(
    "Answer by these passages, or say: I don't know.\n\n{passages}\n\nQuestion: {question}"
)


class WordCounts(Embeddings):
    """Counts words in buckets. Enough for three passages; use a real embedding model for more."""

    def embed_query(self, text: str) -> list[float]:
        """One number a bucket."""
        counts = [0.0] * 512
        for word in re.findall(r"\w+", text.lower()):
            counts[crc32(word.encode()) % 512] += 1
        return counts

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The same for many texts."""
        return [self.embed_query(text) for text in texts]


def passages(documents: list[Document]) -> str:
    return "\n".join(document.page_content for document in documents)


# What the stand-ins say; real models say what they like.
def weak(request) -> str:
    return "It opens at nine." if "open" in request.last_user else "I don't know."


def strong(request) -> str:
    return "2.50 USD: five days at 0.50 USD each."


with two_models(weak, strong) as pool:
    store = InMemoryVectorStore.from_texts(PASSAGES, WordCounts())
    retriever = store.as_retriever(search_kwargs={"k": 2})
    router = RouterChain(
        pool=pool,
        policy=CheapestAbove(quality=0.5),
        escalation=lambda answer: "I don't know" in answer.text,
    )
    chain = {"passages": retriever | passages, "question": RunnablePassthrough()} | PROMPT | router

    for question in (
        "When does the library open?",
        "What do I owe you for a book that is five days late?",
    ):
        answer = chain.invoke(question)
        print(f"{question}\n  {answer.text}\n  {bill(answer.response_metadata['llmroute'])}")
