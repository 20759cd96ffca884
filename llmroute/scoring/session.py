"""The ONNX graph and the tokenizer of a router: loaded once a process, checked, thread-safe.

onnxruntime and tokenizers are imported at the first use, so that `import llmroute.scoring` is
cheap. Both release the GIL while they work, and neither changes while it does.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats32, Ints
from llmroute.scoring.artifact import Artifact
from llmroute.scoring.surface import FEATURES

if TYPE_CHECKING:
    from tokenizers import Tokenizer


_INPUTS = {"token_ids": "tensor(int64)", "surface": "tensor(float)"}
#: Text on which BERT's tokeniser does no more than split and look up: printable ASCII without the
#: names of its special tokens, and what such text is split into.
_PLAIN = re.compile(r"[\t\n\r -~]*")
_SPECIAL = re.compile(r"\[(?:CLS|SEP|UNK|PAD|MASK)\]")
_WORDS = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")
#: Words, and words with the marks around them, kept with their ids, and the longest one kept:
#: enough for a language, some megabytes.
_WORDS_KEPT, _LONGEST_KEPT = 50_000, 40
_OUTPUTS = ("demand", "difficulty", "log_tokens", "distance", "source")


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


class Session:
    """One router's graph and tokenizer.

    Args:
        artifact: The router's folder.
        threads: Threads inside one run of the graph. The work is too small to share.

    Attributes:
        one_at_a_time: Whether the graph takes a single text in a run.

    Raises:
        ArtifactError: The graph or the tokenizer cannot be read, or has other inputs or outputs.
    """

    def __init__(self, artifact: Artifact, threads: int = 1) -> None:
        self._graph = _open_graph(artifact, threads)
        self.one_at_a_time = self._graph.get_inputs()[0].shape[0] == 1
        self._tokenizer = _open_tokenizer(artifact)
        self._words: dict[str, list[int]] = {}

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without special tokens.

        Args:
            texts: Texts, already cut: the tokenizer reads all it is given.
        """
        if len(texts) == 1:
            # The batch call starts a thread pool, which costs more than one text and is unsafe
            # after a fork.
            return [self._ids(texts[0])]
        readable = [_readable(text) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(readable, add_special_tokens=False)
        return [one.ids for one in encoded]

    def _ids(self, text: str) -> list[int]:
        """Ids of one text. What stands between blanks is looked up among what was met before.

        The tokeniser takes each word by itself, so its answer for a word holds wherever the word
        stands; asking it once a word is several times faster than once a text.
        """
        if _PLAIN.fullmatch(text) is None or ("[" in text and _SPECIAL.search(text)):
            readable = _readable(text)
            whole: list[int] = self._tokenizer.encode(readable, add_special_tokens=False).ids
            return whole
        known = self._words
        found = [known.get(part) or self._learn(part) for part in text.lower().split()]
        return list(chain.from_iterable(found))

    def _learn(self, part: str) -> list[int]:
        """Ids of what stands between blanks: a word, with the marks around it."""
        words = _WORDS.findall(part)
        ids: list[int]
        if len(words) > 1:
            ids = list(chain.from_iterable(self._words.get(w) or self._learn(w) for w in words))
        else:
            ids = self._tokenizer.encode(part, add_special_tokens=False).ids
        if len(part) <= _LONGEST_KEPT:
            if len(self._words) >= _WORDS_KEPT:
                self._words.clear()
            self._words[part] = ids
        return ids

    def run(self, token_ids: Ints, surface: Floats32) -> GraphOutput:
        """Runs the graph.

        Args:
            token_ids: (B, L) ids, rows padded with 0, which the graph does not count. B is 1
                where the graph takes one text at a time.
            surface: (B, F) surface features.
        """
        return GraphOutput(*self._graph.run(_OUTPUTS, {"token_ids": token_ids, "surface": surface}))


def _readable(text: str) -> str:
    """The text without halves of surrogate pairs, which a cut or a wrong encoding leaves."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _open_graph(artifact: Artifact, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        graph = onnxruntime.InferenceSession(
            str(artifact.model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as fault:  # onnxruntime's errors share no base class of their own
        raise ArtifactError(
            f"{artifact.model} cannot be read by onnxruntime: {fault}. Train the router again."
        ) from fault
    inputs = {i.name: i.type for i in graph.get_inputs()}
    outputs = {o.name: o.shape for o in graph.get_outputs()}
    if inputs != _INPUTS or not set(_OUTPUTS) <= set(outputs):
        raise ArtifactError(
            f"{artifact.model} has inputs {inputs} and outputs {sorted(outputs)}; expected "
            f"{_INPUTS} and {list(_OUTPUTS)}. Train the router again with this version."
        )
    width = next(i.shape[1] for i in graph.get_inputs() if i.name == "surface")
    card = artifact.card
    found = width, outputs["demand"][1], outputs["source"][1]
    expected = len(FEATURES), card.dimensions, len(card.data)
    if found != expected:
        raise ArtifactError(
            f"{artifact.model} has {found} surface features, demands and sources; expected "
            f"{expected}. "
            "Train the router again with this version."
        )
    return graph


def _open_tokenizer(artifact: Artifact) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(artifact.tokenizer))
    except Exception as fault:  # tokenizers raises bare Exception
        raise ArtifactError(
            f"{artifact.tokenizer} cannot be read: {fault}. Copy the whole folder again."
        ) from fault
    # Texts are cut before and padded after, both for speed.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


_sessions: dict[tuple[str, str, str, int], Session] = {}
_lock = threading.Lock()


def shared_session(artifact: Artifact, threads: int = 1) -> Session:
    """The process's one session for a router, opened at the first call.

    Args:
        artifact: The router's folder. A folder that was replaced since has other hashes, and gets
            a session of its own.
        threads: Threads inside one run of the graph.
    """
    hashes = artifact.card.sha256
    key = (str(artifact.folder), hashes["model.onnx"], hashes["tokenizer.json"], threads)
    with _lock:
        session = _sessions.get(key)
        if session is None:
            session = _sessions[key] = Session(artifact, threads)
    return session
