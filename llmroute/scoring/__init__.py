"""Scoring: prompt and pool in, expected quality, tokens, cost and latency of each model out.

    scorer = load_scorer("static")            # or a folder made by `llmroute train`
    estimates = scorer.estimate(["Prove that √2 is irrational."], pool)

Importing this package imports neither onnxruntime nor tokenizers; the first scorer does.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmroute.scoring.artifact import Artifact
    from llmroute.scoring.base import Scorer as Scorer
    from llmroute.scoring.ensemble import EnsembleScorer as EnsembleScorer
    from llmroute.scoring.latent import LatentAbilityScorer as LatentAbilityScorer
    from llmroute.scoring.text import RoutingText as RoutingText
    from llmroute.scoring.text import routing_text as routing_text

_HOMES = {
    "EnsembleScorer": "ensemble",
    "Scorer": "base",
    "LatentAbilityScorer": "latent",
    "RoutingText": "text",
    "routing_text": "text",
}
_BUNDLED = Path(__file__).parent / "bundled"

#: The bundled `static` and `minilm` together, and the weight of `static` in their log odds, chosen
#: on validation prompts: docs/routers.md.
_ENSEMBLE, _STATIC_WEIGHT = "ensemble", 0.25

__all__ = [
    "EnsembleScorer",
    "LatentAbilityScorer",
    "RoutingText",
    "Scorer",
    "load_latent",
    "load_scorer",
    "routing_text",
]


def load_scorer(name_or_path: str | Path = "static") -> Scorer:
    """A scorer by name, or from a router's folder, whichever kind of router it holds.

    A bundled router is loaded once a process. Scorers of one folder share one ONNX session.

    Args:
        name_or_path: The name of a bundled router, `"ensemble"` for both together, or the path of a
            folder made by `llmroute train`.

    Raises:
        ArtifactError: No such router, or its folder is incomplete, damaged or of another version.
        MissingExtra: What the router needs is not installed.
    """
    from llmroute.scoring.artifact import kind_of

    if str(name_or_path) == _ENSEMBLE:
        return _ensemble()
    if (Path(name_or_path) / "local.json").is_file():
        from llmroute.scoring.local import LocalScorer

        return LocalScorer.load(name_or_path)
    if str(name_or_path) not in _bundled_names() and kind_of(name_or_path) is not None:
        from llmroute.routers import load

        return load(name_or_path)
    return load_latent(name_or_path)


def load_latent(name_or_path: str | Path = "static") -> LatentAbilityScorer:
    """`load_scorer` where a latent-ability scorer is needed, for its demands and difficulties.

    Args:
        name_or_path: The name of a bundled router, or the path of a folder.

    Raises:
        ArtifactError: No such router, one of another kind, or a folder that cannot be used.
    """
    from llmroute.errors import ArtifactError
    from llmroute.scoring.artifact import load
    from llmroute.scoring.latent import LatentAbilityScorer

    bundled = _bundled_names()
    if str(name_or_path) in bundled:
        return _bundled(str(name_or_path))
    if not Path(name_or_path).is_dir():
        raise ArtifactError(
            f"no router {str(name_or_path)!r}: bundled are {', '.join(bundled) or 'none'}, and it "
            "is not a folder. Give one of those names, or the folder `llmroute train` wrote."
        )
    return LatentAbilityScorer(load(name_or_path))


@lru_cache
def _ensemble() -> Scorer:
    from llmroute.scoring.ensemble import EnsembleScorer

    return EnsembleScorer(_bundled("static"), _bundled("minilm"), _STATIC_WEIGHT)


def bundled_artifact(name: str) -> Artifact:
    """The folder of a bundled router, checked.

    Args:
        name: Its name.

    Raises:
        ArtifactError: No such router is bundled, or its folder is damaged.
    """
    from llmroute.scoring.artifact import load

    return load(_BUNDLED / name)


def _bundled_names() -> list[str]:
    return sorted(p.name for p in _BUNDLED.iterdir()) if _BUNDLED.is_dir() else []


@lru_cache
def _bundled(name: str) -> LatentAbilityScorer:
    # Its files belong to the package and do not change, so `route()` need not read them each time.
    from llmroute.scoring.latent import LatentAbilityScorer

    return LatentAbilityScorer(bundled_artifact(name))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
