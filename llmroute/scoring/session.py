"""An ONNX graph and the tokenizer of its texts: opened in one way, checked, thread-safe.

onnxruntime and tokenizers are imported at the first use, so that `import llmroute.scoring` is
cheap. Both release the GIL while they work, and neither changes while it does.

onnxruntime gives only what a graph declares as output. A value from its middle is made an output by
appending a few bytes: joined protobuf messages are one message with all their fields, so a graph
with one more output needs no package that edits graphs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmroute.errors import ArtifactError
from llmroute.numerics import Floats32, Ints
from llmroute.scoring.artifact import MODEL, TOKENIZER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Text on which BERT's tokeniser does no more than split and look up: printable ASCII without the
#: names of its special tokens, and what such text is split into.
_PLAIN = re.compile(r"[\t\n\r -~]*")
_SPECIAL = re.compile(r"\[(?:CLS|SEP|UNK|PAD|MASK)\]")
_WORDS = re.compile(r"[a-z0-9]+|[^a-z0-9\s]")
#: Words, and words with the marks around them, kept with their ids, and the longest one kept:
#: enough for a language, some megabytes.
_WORDS_KEPT, _LONGEST_KEPT = 50_000, 40
#: Field numbers of ONNX's protobuf: ModelProto.graph, GraphProto.output, ValueInfoProto.name and
#: .type, TypeProto.tensor_type, and `elem_type: FLOAT` as it stands in a tensor's type.
_GRAPH, _OUTPUT, _NAME, _TYPE, _TENSOR = 7, 12, 1, 2, 1
_FLOAT = bytes([1 << 3, 1])


class Session:
    """One router's graph and tokenizer.

    Args:
        files: Content of `model.onnx` and `tokenizer.json`, or their paths.
        outputs: What is read of the graph: its outputs, or one value from its middle.
        threads: Threads inside one run of the graph. The work is too small to share.
        where: Where the files lie, for error texts.

    Attributes:
        graph: The onnxruntime session.
        one_at_a_time: Whether the graph takes a single text in a run, because its activations are
            quantised by their range: in a batch a text's numbers would depend on its company.

    Raises:
        ArtifactError: A file is missing or cannot be read, or the graph computes no such value.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | Path],
        outputs: Sequence[str],
        *,
        threads: int = 1,
        where: object = "the router's folder",
    ) -> None:
        missing = [name for name in (MODEL, TOKENIZER) if name not in files]
        if missing:
            raise ArtifactError(f"the router has no {', '.join(missing)}. Train it again.")
        self.graph = open_graph(files[MODEL], outputs, threads=threads, where=where)
        self.one_at_a_time = self.graph.get_inputs()[0].shape[0] == 1
        self._outputs = list(outputs)
        self._tokenizer = open_tokenizer(files[TOKENIZER], where)
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
        encoded = self._tokenizer.encode_batch_fast(
            [readable(text) for text in texts], add_special_tokens=False
        )
        return [each.ids for each in encoded]

    def run(self, token_ids: Ints, surface: Floats32 | None = None) -> list[Floats32]:
        """The graph's outputs, in the order in which they were asked for.

        Args:
            token_ids: (B, L) ids, rows padded with 0, which the graph does not count. B is 1
                where the graph takes one text at a time.
            surface: (B, F) surface features, for a graph that takes them.
        """
        given: dict[str, Any] = {"token_ids": token_ids}
        if surface is not None:
            given["surface"] = surface
        found: list[Floats32] = self.graph.run(self._outputs, given)
        return found

    def rows(self, texts: Sequence[str], surface: Floats32 | None = None) -> Floats32:
        """(P, D) the first output for each text, one at a time.

        Args:
            texts: P texts, cut to what a scorer reads.
            surface: (P, F) surface features, for a graph that takes them.
        """
        found = []
        for row, text in enumerate(texts):
            token_ids = np.array([self._ids(text) or [0]], dtype=np.int64)
            given = None if surface is None else surface[row : row + 1]
            found.append(self.run(token_ids, given)[0][0])
        return np.array(found, dtype=np.float32)

    def _ids(self, text: str) -> list[int]:
        """Ids of one text. What stands between blanks is looked up among what was met before.

        The tokeniser takes each word by itself, so its answer for a word holds wherever the word
        stands; asking it once a word is several times faster than once a text.
        """
        if _PLAIN.fullmatch(text) is None or ("[" in text and _SPECIAL.search(text)):
            whole: list[int] = self._tokenizer.encode(readable(text), add_special_tokens=False).ids
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


def readable(text: str) -> str:
    """The text without halves of surrogate pairs, which a cut or a wrong encoding leaves."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def open_graph(
    content: bytes | Path, outputs: Sequence[str], *, threads: int = 1, where: object = "the router"
) -> Any:
    """A graph, as an onnxruntime session.

    Raises:
        ArtifactError: It cannot be read, or computes no such value.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3

    def opened(graph: bytes | str) -> Any:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    hidden: list[str] = []
    try:
        session = opened(str(content) if isinstance(content, Path) else content)
        declared = {output.name for output in session.get_outputs()}
        hidden = [name for name in outputs if name not in declared]
        if hidden:
            raw = content.read_bytes() if isinstance(content, Path) else content
            session = opened(raw + b"".join(map(_declared, hidden)))
    except Exception as fault:  # onnxruntime's errors share no base class of their own
        lacking = f"has no {', '.join(map(repr, hidden))}" if hidden else "cannot be read"
        raise ArtifactError(
            f"{MODEL} of {where} {lacking}, says onnxruntime: {fault}. Train the router again."
        ) from fault
    return session


def open_tokenizer(content: bytes | Path, where: object = "the router") -> Tokenizer:
    """A tokenizer that neither cuts nor pads: texts are cut before and padded after, for speed.

    Raises:
        ArtifactError: It cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        if isinstance(content, Path):
            tokenizer = Tokenizer.from_file(str(content))
        else:
            tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as fault:  # tokenizers raises bare Exception
        raise ArtifactError(
            f"{TOKENIZER} of {where} cannot be read: {fault}. Copy the whole folder again."
        ) from fault
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _declared(name: str) -> bytes:
    """What makes a value of a graph an output of it, appended to the graph's bytes."""
    value = _field(_NAME, name.encode()) + _field(_TYPE, _field(_TENSOR, _FLOAT))
    return _field(_GRAPH, _field(_OUTPUT, value))


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content
