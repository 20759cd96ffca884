"""The default scorer: a prompt's demands against a model's abilities.

success = σ(demand · ability − difficulty), a multidimensional item response model whose items are
prompts described by their text (after IRT-Router, 2506.01048, and EmbedLLM, 2410.02223). The graph
is run once for all models; one more model costs one dot product.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llmroute.errors import ArtifactError
from llmroute.numerics import Bools, Floats, Floats32
from llmroute.pool import ModelPool
from llmroute.records import Estimates
from llmroute.scoring.abilities import Ability, AbilityBook, AbilitySource
from llmroute.scoring.artifact import MODEL, TOKENIZER
from llmroute.scoring.latent_folder import Artifact
from llmroute.scoring.session import Session
from llmroute.scoring.surface import FEATURES, surface_row
from llmroute.scoring.text import CHARACTERS_PER_TOKEN, RoutingText, read_all

#: Input tokens that are billed for what is not text, where the provider does not say: an image of
#: 1024×1024 at OpenAI's high detail; a minute of audio at 10 tokens a second; a three-page file.
IMAGE_TOKENS, AUDIO_TOKENS, FILE_TOKENS = 765, 600, 1500
#: Padded ids in one run of the graph, so that a large batch stays in the processor's cache.
_RUN_IDS = 16_384
_POOLS_KEPT = 64
#: What the graph takes.
_INPUTS = {"token_ids": "tensor(int64)", "surface": "tensor(float)"}
#: Beyond it the exponential function of a float overflows.
_LARGEST_LOG = 700.0


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


@dataclass(frozen=True)
class Latent:
    """What the scorer thinks of P prompts before it knows the pool.

    Attributes:
        traits: (P, K + 3) what a pool's numbers are multiplied by: `demand`, `difficulty`,
            `prompt_tokens` and `tokens`, side by side.
        distance: (P,) how unlike the training prompts the text is.
        source: (P, S) probability that a prompt like it stands in each training source.
        unfamiliar: (P,) whether the distance is beyond the card's threshold.
    """

    traits: Floats
    distance: Floats
    source: Floats
    unfamiliar: Bools

    @property
    def demand(self) -> Floats:
        """(P, K) how much each ability counts."""
        return self.traits[:, :-3]

    @property
    def difficulty(self) -> Floats:
        """(P,) what abilities must outweigh."""
        return self.traits[:, -3]

    @property
    def prompt_tokens(self) -> Floats:
        """(P,) estimated tokens of the whole request."""
        return self.traits[:, -2]

    @property
    def tokens(self) -> Floats:
        """(P,) expected output tokens of a model of verbosity 1."""
        return self.traits[:, -1]


@dataclass(frozen=True)
class _PoolView:
    """What is worked out once for a pool."""

    names: tuple[str, ...]
    ability: Floats  # (M, K)
    weights: Floats  # (K + 3, 4 M): half the logit, tokens, output cost, cost of a prompt's traits
    is_general: bool  # only general ability is not zero
    shared: Floats  # (S,) 1 for the training sources that all members were measured on
    sources: tuple[AbilitySource, ...]
    prior: Floats


class LatentAbilityScorer:
    """Scores prompts with a router's folder. Thread-safe.

    Args:
        artifact: The router's folder, loaded.
        threads: Threads inside one run of the graph.

    Raises:
        ArtifactError: The graph or the tokenizer cannot be used.
    """

    def __init__(self, artifact: Artifact, threads: int = 1) -> None:
        self.card = artifact.card
        self.name = artifact.card.name
        self.version = artifact.card.version
        self._label = f"{self.name} {self.version}"
        self._session = shared_graph(artifact, threads)
        self._book = AbilityBook(artifact.card)
        self._typical = np.array(artifact.card.typical, dtype=np.float64)
        self._output_range = np.array(artifact.card.tokens.range, dtype=np.float64)
        self._views: dict[tuple[object, ...], _PoolView] = {}
        self._lock = threading.Lock()

    def estimate(self, prompts: Sequence[str | RoutingText], pool: ModelPool) -> Estimates:
        """Estimates for P prompts and the pool's M models.

        An unfamiliar prompt gets each model's prior as its quality.

        Args:
            prompts: Plain texts (one user turn each) or routing texts made from conversations.
            pool: The models a call may go to. Without a price a model's cost is NaN, without
                speeds its latency is.
        """
        return self.estimate_latent(self.latent(prompts), pool)

    def estimate_latent(self, latent: Latent, pool: ModelPool) -> Estimates:
        """Like `estimate`, of prompts whose `latent` is known, so that the graph is run once."""
        view = self._view(pool)
        # Small calls of numpy are what a decision waits for, so all that is linear is one product.
        product = _traits(latent, view) @ view.weights
        half_logit, tokens, output_cost, cost = product.reshape(-1, 4, len(pool)).swapaxes(0, 1)
        quality = _sigmoid_of_double(half_logit)
        if True in latent.unfamiliar.tolist():  # cheaper than any() on few
            quality[latent.unfamiliar] = view.prior
        speeds = pool.arrays
        return Estimates(
            models=view.names,
            quality=quality,
            cost=cost,
            tokens=tokens,
            latency=speeds.first_token_s + tokens / speeds.tokens_per_s,
            prompt_tokens=latent.prompt_tokens,
            unfamiliar=latent.unfamiliar,
            prior_quality=view.prior,
            scorer=self._label,
            output_cost=output_cost,
            output_range=self._output_range,
        )

    def latent(self, prompts: Sequence[str | RoutingText]) -> Latent:
        """What can be said of prompts without a pool; fitting abilities starts from it."""
        read = read_all(prompts)
        ids = self._session.tokenize([r.text for r in read]) if read else []
        graph = self._run(ids, [surface_row(r.text) for r in read])
        rows = zip(
            graph.demand.tolist(),
            graph.difficulty.tolist(),
            map(_request_tokens, read, map(len, ids)),
            map(self._expected_tokens, graph.log_tokens.tolist()),
            strict=True,
        )
        traits = np.array([[*demand, *numbers] for demand, *numbers in rows])
        distance = graph.distance.astype(np.float64)
        return Latent(
            traits=traits.reshape(len(read), self.card.dimensions + 3),
            distance=distance,
            source=graph.source.astype(np.float64),
            unfamiliar=distance > self.card.unfamiliar_above,
        )

    def abilities(self, pool: ModelPool) -> Floats:
        """The pool's ability vectors, (M, K), as estimates use them.

        Only general ability counts in a pool where it is all that is known of some member.
        """
        return self._view(pool).ability.copy()

    def ability_source(self, pool: ModelPool) -> tuple[AbilitySource, ...]:
        """Where each of the pool's M abilities came from."""
        return self._view(pool).sources

    def prior_quality(self, ability: Floats) -> Floats:
        """Mean success on the training prompts, as the card's typical rows stand for them.

        Args:
            ability: (M, K) ability vectors.

        Returns:
            (M,) probabilities.
        """
        logits = self._typical[:, :-1] @ ability.T - self._typical[:, -1:]
        success = _sigmoid_of_double(0.5 * logits)
        prior: Floats = success.mean(axis=0)
        return prior

    def _view(self, pool: ModelPool) -> _PoolView:
        key = pool.key
        view = self._views.get(key)
        if view is None:
            known = [self._book.of(model) for model in pool]
            ability = np.stack([each.vector for each in known])
            is_general = not all(each.is_full for each in known)
            if is_general:
                ability[:, 1:] = 0.0
            view = _PoolView(
                names=pool.names,
                ability=ability,
                weights=_weights(ability, pool),
                is_general=is_general,
                shared=self._shared(known),
                sources=tuple(a.source for a in known),
                prior=self.prior_quality(ability),
            )
            with self._lock:
                while len(self._views) >= _POOLS_KEPT:
                    self._views.pop(next(iter(self._views)))
                self._views[key] = view
        return view

    def _expected_tokens(self, log: float) -> float:
        """Output tokens of a model of verbosity 1, as the card corrects what the graph says."""
        calibration = self.card.tokens
        tokens = math.exp(min(log, _LARGEST_LOG)) * calibration.factor
        return min(max(tokens, calibration.low), calibration.high)

    def _shared(self, known: list[Ability]) -> Floats:
        names = [source.name for source in self.card.data]
        return np.array([float(all(name in a.measured for a in known)) for name in names])

    def _run(self, ids: list[list[int]], rows: list[list[float]]) -> GraphOutput:
        if len(ids) == 1:
            token_ids = np.array([ids[0] or [0]], dtype=np.int64)
            return GraphOutput(*self._session.run(token_ids, np.array(rows, dtype=np.float32)))
        return self._run_in_batches(ids, np.array(rows, np.float32).reshape(-1, len(FEATURES)))

    def _run_in_batches(self, ids: list[list[int]], surface: Floats32) -> GraphOutput:
        """Runs texts of like length together, to pad little, and restores their order."""
        total = len(ids)
        widths = {"demand": (self.card.dimensions,), "source": (len(self.card.data),)}
        result = GraphOutput(
            *(np.empty((total, *widths.get(name, ())), np.float32) for name in GraphOutput._fields)
        )
        order = sorted(range(total), key=lambda i: len(ids[i]), reverse=True)
        start = 0
        while start < total:
            longest = max(len(ids[order[start]]), 1)
            count = 1 if self._session.one_at_a_time else max(_RUN_IDS // longest, 1)
            chosen = order[start : start + count]
            block = np.zeros((len(chosen), longest), dtype=np.int64)
            for row, index in enumerate(chosen):
                block[row, : len(ids[index])] = ids[index]
            for whole, part in zip(result, self._session.run(block, surface[chosen]), strict=True):
                whole[chosen] = part
            start += len(chosen)
        return result


def _weights(ability: Floats, pool: ModelPool) -> Floats:
    """(K + 3, 4 M) what `Latent.traits` are multiplied by, NaN in the columns of unknown prices.

    By model: half the logit of success, output tokens, USD of the output, and USD of the call.
    """
    models, abilities = ability.shape
    prices = pool.arrays
    weights = np.zeros((abilities + 3, 4, models))
    weights[:abilities, 0] = 0.5 * ability.T
    weights[abilities, 0] = -0.5
    weights[-2, 3] = prices.input_price
    weights[-1, 1] = prices.verbosity
    weights[-1, 2:] = prices.verbosity * prices.output_price
    return weights.reshape(abilities + 3, 4 * models)


def _traits(latent: Latent, view: _PoolView) -> Floats:
    """(P, K + 3) traits; demands beside the general one count as far as the kind is known.

    How a model differs from its general ability is known only for prompts like those it was
    measured on. So each prompt's further demands are weighted by the probability that it is like
    the sources on which all members were measured; where that is none of them, general ability
    alone decides.
    """
    if view.is_general:
        return latent.traits  # the abilities beside the general one are zero
    traits = latent.traits.copy()
    traits[:, 1:-3] *= (latent.source @ view.shared)[:, None]
    return traits


def _request_tokens(read: RoutingText, tokens: int) -> float:
    """Tokens of the whole request, at the tokens per character of the part that was read."""
    per_character = tokens / len(read.text) if tokens else 1 / CHARACTERS_PER_TOKEN
    return (
        read.characters * per_character
        + read.images * IMAGE_TOKENS
        + read.audio * AUDIO_TOKENS
        + read.files * FILE_TOKENS
    )


def _sigmoid_of_double(half: Floats) -> Floats:
    # tanh is the logistic function that never overflows.
    result: Floats = np.tanh(half)
    result *= 0.5
    result += 0.5
    return result


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
    files = {name: artifact.folder / name for name in artifact.names}
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
