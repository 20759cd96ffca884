"""Scorers by name, or from a folder, whichever kind of router it holds."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from pkgutil import resolve_name

from llmroute.errors import ArtifactError
from llmroute.scoring.artifact import CARD
from llmroute.scoring.latent import LatentAbilityScorer
from llmroute.scoring.latent_folder import Artifact, load
from llmroute.scoring.scorer import Scorer

_BUNDLED = Path(__file__).parent / "bundled"

#: The bundled `static` and `minilm` together, and the weight of `static` in their log odds, chosen
#: on validation prompts: docs/routers.md.
_ENSEMBLE, _STATIC_WEIGHT = "ensemble", 0.25

#: The file that tells a folder of `LocalScorer`.
LOCAL_CARD = "local.json"
#: What makes the ensemble, and what loads a folder of another kind of router than the bundled ones.
#: By dotted names: most processes need none of them, and some of these modules build on this one.
_LOADERS = {
    "ensemble": "llmroute.scoring.ensemble_scorer:EnsembleScorer",
    "local": "llmroute.scoring.local:LocalScorer.load",
    "trained": "llmroute.routers.folder_loader:load",
}


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
    name = str(name_or_path)
    if name == _ENSEMBLE:
        return _ensemble()
    loader = None if name in _bundled_names() else _loader(Path(name_or_path))
    scorer: Scorer = resolve_name(loader)(name_or_path) if loader else load_latent(name_or_path)
    return scorer


def _loader(folder: Path) -> str | None:
    """What loads a folder; None for a latent-ability router's, and for what is no router's."""
    if (folder / LOCAL_CARD).is_file():
        return _LOADERS["local"]
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # `load` says what is wrong with it
        return None
    return _LOADERS["trained"] if isinstance(card, dict) and "router" in card else None


def load_latent(name_or_path: str | Path = "static") -> LatentAbilityScorer:
    """`load_scorer` where a latent-ability scorer is needed, for its demands and difficulties.

    Raises:
        ArtifactError: No such router, one of another kind, or a folder that cannot be used.
    """
    bundled = _bundled_names()
    if str(name_or_path) in bundled:
        return _bundled(str(name_or_path))
    if not Path(name_or_path).is_dir():
        raise ArtifactError(
            f"no router {str(name_or_path)!r}: bundled are {', '.join(bundled) or 'none'}, and it "
            "is not a folder. Give one of those names, or the folder `llmroute train` wrote."
        )
    if _loader(Path(name_or_path)) is not None:
        raise ArtifactError(
            f"{name_or_path} holds another kind of router and is no latent-ability router, whose "
            "abilities are needed here. Give a bundled one, or train one without `--router`."
        )
    return LatentAbilityScorer(load(name_or_path))


@lru_cache
def _ensemble() -> Scorer:
    make = resolve_name(_LOADERS["ensemble"])
    scorer: Scorer = make(_bundled("static"), _bundled("minilm"), _STATIC_WEIGHT)
    return scorer


def bundled_artifact(name: str) -> Artifact:
    """The folder of a bundled router, checked.

    Raises:
        ArtifactError: No such router is bundled, or its folder is damaged.
    """
    return load(_BUNDLED / name)


def _bundled_names() -> list[str]:
    return sorted(p.name for p in _BUNDLED.iterdir()) if _BUNDLED.is_dir() else []


@lru_cache
def _bundled(name: str) -> LatentAbilityScorer:
    # Its files belong to the package and do not change, so `route()` need not read them each time.
    return LatentAbilityScorer(bundled_artifact(name))
