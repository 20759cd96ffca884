"""Checkpoints: what an interrupted training goes on from, in files of tensors and numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class State(NamedTuple):
    """What a checkpoint holds: tensors, and plain JSON values, by name."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """One file, written atomically.

    Attributes:
        path: Where it lies.
        run: Fingerprint of the run's data and settings. Another run's checkpoint is of no use and
            is passed over.
    """

    path: Path
    run: str

    def save(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Writes the file, in place of an earlier one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        # Cloned, because the format refuses tensors that share memory.
        kept = {name: t.detach().to("cpu").contiguous().clone() for name, t in tensors.items()}
        save_file(kept, str(draft), metadata={"run": self.run, "numbers": json.dumps(numbers)})
        draft.replace(self.path)

    def load(self, device: str = "cpu") -> State | None:
        """What was saved; None if there is no file, a damaged one, or one of another run."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(str(self.path), framework="pt", device=device) as stored:
                about = stored.metadata() or {}
                if about.get("run") != self.run:
                    return None
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                return State(tensors, json.loads(about["numbers"]))
        except (SafetensorError, OSError):  # damaged: begin anew
            return None

    def delete(self) -> None:
        """Removes the file, if there is one."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run's stages, in a folder of their own.

    Attributes:
        folder: Where they lie; made with the first of them.
        run: Fingerprint of the run's data and settings.
    """

    folder: Path
    run: str

    def stage(self, name: str) -> Checkpoint:
        """The checkpoint of the stage of that name."""
        return Checkpoint(self.folder / f"{name}.safetensors", self.run)

    def delete(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
