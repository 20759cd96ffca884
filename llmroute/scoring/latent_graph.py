"""The graph of a latent-ability router: what it says of texts, and one session of it a process."""

from __future__ import annotations

import threading
from typing import NamedTuple

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats32
from llmroute.scoring.artifact import MODEL, TOKENIZER
from llmroute.scoring.latent_folder import Artifact
from llmroute.scoring.session import Session
from llmroute.scoring.surface import FEATURES

_INPUTS = {"token_ids": "tensor(int64)", "surface": "tensor(float)"}


class GraphOutput(NamedTuple):
    """What the graph says of B texts.

    Attributes:
        demand: (B, K) how much each ability counts.
        difficulty: (B,) what abilities must outweigh.
        log_tokens: (B,) natural logarithm of the expected output tokens.
        distance: (B,) how unlike the training prompts the text is.
        source: (B, S) probability that a prompt like it stands in each training source.
    """

    demand: Floats32
    difficulty: Floats32
    log_tokens: Floats32
    distance: Floats32
    source: Floats32


_sessions: dict[tuple[str, str, str, int], Session] = {}
_lock = threading.Lock()


def shared_graph(artifact: Artifact, threads: int = 1) -> Session:
    """The process's one session for a router, whose runs give the fields of `GraphOutput`.

    Args:
        artifact: The router's folder. A folder that was replaced since has other hashes, and gets
            a session of its own.
        threads: Threads inside one run of the graph.

    Raises:
        ArtifactError: The graph or the tokenizer cannot be read, or has other inputs or outputs.
    """
    hashes = artifact.card.sha256
    key = (str(artifact.folder), hashes[MODEL], hashes[TOKENIZER], threads)
    with _lock:
        session = _sessions.get(key)
        if session is None:
            session = _sessions[key] = _opened(artifact, threads)
    return session


def _opened(artifact: Artifact, threads: int) -> Session:
    files = {MODEL: artifact.folder / MODEL, TOKENIZER: artifact.files[TOKENIZER]}
    session = Session(files, GraphOutput._fields, threads=threads, where=artifact.folder)
    given, made = session.graph.get_inputs(), session.graph.get_outputs()
    inputs, shapes = {i.name: i.type for i in given}, {o.name: o.shape for o in (*given, *made)}
    if inputs != _INPUTS:
        raise ArtifactError(
            f"{MODEL} of {artifact.folder} has inputs {inputs}; expected {_INPUTS}. Train the "
            "router again with this version."
        )
    expected = [len(FEATURES), artifact.card.dimensions, len(artifact.card.data)]
    found = [shapes[name][1:] for name in ("surface", "demand", "source")]
    if found != [[width] for width in expected]:
        raise ArtifactError(
            f"{MODEL} of {artifact.folder} has {found} surface features, demands and sources; "
            f"expected {expected}. Train the router again with this version."
        )
    return session
