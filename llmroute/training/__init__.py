"""Training: folders of recorded outcomes in, a router's folder out. Needs the extra `train`."""

from __future__ import annotations

import importlib.util

from llmroute.errors import MissingExtra

for _package in ("torch", "onnx", "pyarrow", "safetensors"):
    if importlib.util.find_spec(_package) is None:
        raise MissingExtra(f"Training a router ({_package})", "train")

from llmroute.scoring.progress import Progress  # noqa: E402
from llmroute.training.data import LEFT_OUT  # noqa: E402
from llmroute.training.settings import Settings  # noqa: E402
from llmroute.training.train import train  # noqa: E402

__all__ = ["LEFT_OUT", "Progress", "Settings", "train"]
