import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

if not all(importlib.util.find_spec(p) for p in ("torch", "onnx")):
    pytest.skip("torch or onnx is not installed (extra `train`)", allow_module_level=True)

import onnx
import onnxruntime
import torch

import llmroute.scoring
from llmroute.scoring.surface import FEATURES, surface_row
from llmroute.training.export import export
from llmroute.training.familiarity import (
    CHARACTERS_PER_TOKEN,
    Familiarity,
    mean_tokens,
    standardised_surface,
)
from llmroute.training.fit import Fitted
from llmroute.training.int8_tables import QuantisedTable, mean_nodes, quantise
from llmroute.training.network import LatentNetwork

BUNDLED = Path(llmroute.scoring.__file__).parent / "bundled"
HIDDEN, COLUMNS, VOCABULARY = 8, 2, 40
OUTPUTS = ("demand", "difficulty", "log_tokens", "distance", "source")
TEXTS = ("", "hi", "What is 2 + 2?", "Καλημέρα κόσμε, τι κάνεις;", "x" * 900, "Prove it. " * 60)


class Trained:
    """A small network with everything that a graph is made of, at random."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        torch.manual_seed(0)

        def draw(*shape: int) -> npt.NDArray[np.float32]:
            return random.normal(size=shape).astype(np.float32)

        mean, scale = draw(len(FEATURES)), np.abs(draw(len(FEATURES))) + np.float32(0.05)
        self.network = LatentNetwork(
            HIDDEN, mean, scale, models=3, dimensions=3, hidden=HIDDEN, dropout=0.5, sources=2
        )
        # Of a static router the table holds what the first layer makes of the vectors.
        torch.nn.init.eye_(self.network.project.weight)
        self.network.eval()
        self.fitted = Fitted(self.network, np.zeros((3, 3)), 0.9, 0.25, 5.0, 1)
        self.familiarity = Familiarity(
            directions=draw(HIDDEN + COLUMNS + len(FEATURES), 6),
            centre=draw(6),
            between=np.abs(draw(6)) + 1,
            within=np.abs(draw(6)),
        )
        self.table: QuantisedTable = quantise(draw(VOCABULARY, HIDDEN + COLUMNS))
        self.ids = [random.integers(1, VOCABULARY, len(text.split())) for text in TEXTS]
        self.surface = np.array([surface_row(text) for text in TEXTS], dtype=np.float32)

    def graph(self) -> bytes:
        return export(self.fitted, self.familiarity, lambda graph: mean_nodes(graph, self.table))

    def expected(self) -> dict[str, npt.NDArray[np.float32]]:
        means = mean_tokens(self.table.restored(), self.ids)
        with torch.no_grad():
            heads = self.network(
                torch.from_numpy(means[:, :HIDDEN]), torch.from_numpy(self.surface)
            )
        demand = heads.demand.numpy()
        demand[:, 0] = self.fitted.general_demand
        return {
            "demand": demand,
            "difficulty": heads.difficulty.numpy() + self.fitted.difficulty_shift,
            "log_tokens": heads.log_tokens.numpy() + self.fitted.log_tokens_mean,
            "distance": self._distance(means),
            "source": torch.softmax(heads.source, dim=1).numpy(),
        }

    def _distance(self, means: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        features = np.concatenate([means, standardised_surface(self.surface, self.network)], axis=1)
        known = self.familiarity
        away = features @ known.directions - known.centre
        characters = np.exp(self.surface[:, FEATURES.index("log_characters")])
        lengths = [max(len(one), 1) for one in self.ids]
        tokens = np.maximum(lengths, characters / CHARACTERS_PER_TOKEN)[:, None]
        found: npt.NDArray[np.float32] = np.mean(
            away**2 / (known.between + known.within / tokens), axis=1
        )
        return found


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained()


def test_the_graph_says_what_network_and_distance_say(trained: Trained) -> None:
    session = onnxruntime.InferenceSession(trained.graph(), providers=["CPUExecutionProvider"])
    longest = max(len(one) for one in trained.ids)
    padded = np.stack([np.pad(one, (0, longest - len(one))) for one in trained.ids])
    found = session.run(OUTPUTS, {"token_ids": padded, "surface": trained.surface})
    expected = trained.expected()
    for name, values in zip(OUTPUTS, found, strict=True):
        np.testing.assert_allclose(values, expected[name], rtol=2e-5, atol=2e-5, err_msg=name)


def test_one_prompt_starts_few_nodes(trained: Trained) -> None:
    """Starting a node costs a single prompt more than what the node computes."""
    bundled = (BUNDLED / "static" / "model.onnx").read_bytes()
    for content in (trained.graph(), bundled):
        assert len(onnx.load_from_string(content).graph.node) <= 25
