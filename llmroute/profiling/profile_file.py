"""Profiles on disk: one JSON file for any number of models. No key, and no answer unless asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from llmroute.errors import ConfigurationError
from llmroute.files import write_atomically
from llmroute.pool import ModelPool
from llmroute.scoring.artifact import Section
from llmroute.scoring.registry import load_latent
from llmroute.validation import read_json

FORMAT = 1


class Graded(Section):
    """One anchor's graded answer.

    Attributes:
        score: 1 right, 0 wrong.
        prompt_tokens: As the provider counted them, or None.
        completion_tokens: Likewise.
        first_token_s: Seconds to the first token.
        latency_s: Seconds to the whole answer.
        cost_usd: USD, or None where the price is unknown.
        said: The answer's text, where it was asked to be kept.
    """

    score: float = Field(ge=0, le=1)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first_token_s: float | None = None
    latency_s: float
    cost_usd: float | None = None
    said: str | None = None


class Profile(Section):
    """What was measured of one model.

    Attributes:
        scorer: Name of the scorer under which the ability was fitted.
        scorer_sha256: Hashes of its files: under another scorer an ability means something else.
        ability: (K,) ability vector; the first entry is general ability.
        deviation: (K,) standard deviation of each entry.
        answers: How many graded answers it rests on.
        right: Share of them that were right.
        verbosity: Output tokens relative to what the scorer expects of the average model.
        first_token_s: Median seconds to the first token.
        tokens_per_s: Output tokens per second after it.
        cost_usd: What asking cost, USD, or None where the price is unknown.
        graded: Anchor id → graded answer.
    """

    scorer: str
    scorer_sha256: dict[str, str]
    ability: tuple[float, ...]
    deviation: tuple[float, ...]
    answers: int = Field(ge=0)
    right: float | None = Field(default=None, ge=0, le=1)
    verbosity: float | None = Field(default=None, gt=0)
    first_token_s: float | None = Field(default=None, ge=0)
    tokens_per_s: float | None = Field(default=None, gt=0)
    cost_usd: float | None = Field(default=None, ge=0)
    graded: Mapping[str, Graded] = Field(default_factory=dict)


class Profiles(Section):
    """The content of a profile file: the format's version, and profiles by the models' names."""

    format: int = FORMAT
    models: dict[str, Profile] = Field(default_factory=dict)


def read_profiles(path: str | Path) -> Profiles:
    """Reads a profile file.

    Args:
        path: A file written by `llmroute profile` or `write_profiles`.

    Raises:
        ConfigurationError: It is missing, not a profile file, or of another format.
    """
    return read_json(
        Path(path),
        Profiles,
        FORMAT,
        missing="{path} is no profile file: {fault}. `llmroute profile` writes one.",
        anew="Profile the models again with this version.",
        copy="Profile again.",
        error=ConfigurationError,
    )


def write_profiles(path: str | Path, profiles: Profiles) -> None:
    """Writes a profile file atomically.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        write_atomically(path, profiles.model_dump_json(indent=1, exclude_none=True) + "\n")
    except OSError as fault:
        raise ConfigurationError(f"cannot write {path}: {fault}.") from fault


def with_profiles(pool: ModelPool, path: str | Path, *, scorer: str | Path = "static") -> ModelPool:
    """The pool with what a profile file says of its models; what a model states itself stays.

    Args:
        pool: The models; those that the file does not know stay as they are.
        path: The profile file.
        scorer: Name or folder of the scorer the pool is used with.

    Raises:
        ConfigurationError: The file cannot be used, or its abilities were fitted under another
            scorer.
    """
    profiles = read_profiles(path).models
    hashes = load_latent(scorer).card.sha256
    members = []
    for model in pool:
        profile = profiles.get(model.name) or profiles.get(model.litellm_name)
        if profile is None:
            members.append(model)
            continue
        if profile.scorer_sha256 != hashes:
            raise ConfigurationError(
                f"{path} has abilities fitted under another scorer ({profile.scorer}) than "
                f"{str(scorer)!r}. Run `llmroute profile` again with this scorer; answers that are "
                "there already are not asked again."
            )
        found = {"ability": profile.ability, "verbosity": profile.verbosity}
        found |= {"first_token_s": profile.first_token_s, "tokens_per_s": profile.tokens_per_s}
        stated = model.model_fields_set
        members.append(
            model.model_copy(
                update={k: v for k, v in found.items() if v is not None and k not in stated}
            )
        )
    return ModelPool(members)
