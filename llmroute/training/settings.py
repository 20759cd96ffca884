"""Settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Settings of a training run. The defaults were chosen on validation prompts.

    Attributes:
        members: Networks that are trained from different seeds and averaged in one graph.
        dimensions: Length of an ability vector in one of them.
        hidden: Width of all hidden layers together, which is the width of the token table.
        vector_size: Principal components kept of the starting token vectors.
        layers: MiniLM layers the starting token vectors have been through.
        epochs: Passes over the training prompts, at most.
        patience: Epochs without a better validation loss before training stops.
        batch: Prompts in a step.
        rate: Highest learning rate of the dense layers.
        weight_decay: Of the dense layers.
        ability_shrinkage: Penalty on the squares of the abilities beside the general one.
        refit_shrinkage: Prior precision of the same when they are fitted exactly after training.
        source_rate: Learning rate of what belongs to sources: how much harder each is than its
            prompts look, and which of them a prompt seems to be from.
        centring: Penalty on the squared mean of the further demands in each source. Without it they
            explain which source a prompt is from, in place of general ability.
        dropout: Of the hidden layer.
        token_dropout: Part of the tokens left out of a prompt in an epoch; of the encoder's vector
            with the encoder `minilm`.
        tokens_weight: Weight of the output-token loss beside the log loss.
        win_weight: Weight of the log loss of "the source's best model is right where its worst is
            wrong", which is what a choice between two turns on, beside that of single answers.
        tuned_layers: With the encoder `minilm`, how many of its layers, from the last, are
            fine-tuned together with the heads; 0 leaves the encoder as it is. On the bundled
            router's data it was no better on validation (docs/router.md).
        tuning_epochs: Passes over the training prompts in which they are, at most; the first that
            is worse on validation prompts is the last.
        tuning_batch: Prompts in a step of these.
        tuning_rate: Highest learning rate of the layers.
        tuning_head_rate: Highest learning rate of the heads meanwhile.
        loss: `"log"`, or `"squared"` for the ablation.
    """

    members: int = 2
    dimensions: int = 5
    hidden: int = 128
    vector_size: int = 192
    layers: int = 3
    epochs: int = 15
    patience: int = 3
    batch: int = 256
    rate: float = 2e-3
    weight_decay: float = 1e-3
    ability_shrinkage: float = 0.02
    refit_shrinkage: float = 20.0
    centring: float = 0.03
    source_rate: float = 5e-3
    dropout: float = 0.2
    token_dropout: float = 0.15
    tokens_weight: float = 0.1
    win_weight: float = 0.0
    tuned_layers: int = 0
    tuning_epochs: int = 1
    tuning_batch: int = 64
    tuning_rate: float = 2e-4
    tuning_head_rate: float = 5e-4
    loss: Literal["log", "squared"] = "log"
