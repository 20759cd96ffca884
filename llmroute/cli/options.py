"""Options that commands share: which models, which policy, which scorer, and the prompt itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from llmroute.chain import RouterChain
    from llmroute.policies import Policy
    from llmroute.pool import Model, ModelPool

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Member(NamedTuple):
    """A model named on the command line, with its prices in USD per million tokens if stated."""

    name: str
    input_price: float | None = None
    output_price: float | None = None


#: One provider's three sizes: a single key is enough to use them.
DEFAULT_MODELS = (
    Member("openai/gpt-4.1-nano"),
    Member("openai/gpt-4.1-mini"),
    Member("openai/gpt-4.1"),
)


def read_member(text: str) -> Member:
    """Read one `--model`: `NAME`, or `NAME=INPUT/OUTPUT` with prices.

    Args:
        text: What stands on the command line.

    Raises:
        BadParameter: The prices cannot be read.
    """
    name, stated, prices = text.rpartition("=")
    if not stated:
        return Member(text)
    try:
        given, taken = (float(part) for part in prices.split("/"))
        if not (name and 0 <= given < float("inf") and 0 <= taken < float("inf")):
            raise ValueError
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: prices are written NAME=INPUT/OUTPUT, USD per million tokens, 0 or more, "
            "such as ollama/llama3.2=0/0."
        ) from None
    return Member(name, given, taken)


_ROUTING: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--model",
        "-m",
        "models",
        type=read_member,
        metavar="NAME[=IN/OUT]",
        multiple=True,
        help="A model, by its LiteLLM name; repeat it for each. Prices in USD per million tokens "
        "may be stated: ollama/llama3.2=0/0.  [default: openai/gpt-4.1-nano, -mini and gpt-4.1]",
    ),
    click.option(
        "--quality",
        type=click.FloatRange(0, 1),
        help="The cheapest model with this share of the best expected quality.  [default: 0.95]",
    ),
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1),
        help="Of two models the strong one, from this probability that it wins.",
    ),
    click.option(
        "--willingness",
        type=click.FloatRange(0, min_open=True),
        metavar="USD",
        help="What one good answer is worth: the greatest value less cost.",
    ),
    click.option(
        "--max-cost",
        type=click.FloatRange(0),
        metavar="USD",
        help="The best model within this expected cost of a call.",
    ),
    click.option(
        "--max-latency",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="The best model within this expected time, where speeds are known.",
    ),
    click.option(
        "--scorer",
        default="static",
        show_default=True,
        metavar="NAME|FOLDER",
        help="A bundled scorer, or a folder made by `llmroute train`.",
    ),
)


def routing_options(command: _Command) -> _Command:
    """Add the options that `router_from` takes.

    Args:
        command: The command's function.
    """
    for option in reversed(_ROUTING):
        command = option(command)
    return command


_ESCALATION: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--escalation",
        type=click.Choice(["auto", "none"]),
        default="auto",
        show_default=True,
        help="Plan drafts of cheaper models and checks of them, or choose by the prompt alone.",
    ),
    click.option(
        "--calibration",
        metavar="FILE",
        help="For --escalation auto: a file made by `llmroute calibrate`.",
    ),
)


def escalation_options(command: _Command) -> _Command:
    """Add the options that say what becomes of answers, which `router_from` takes too.

    Args:
        command: The command's function.
    """
    for option in reversed(_ESCALATION):
        command = option(command)
    return command


def json_option(command: _Command) -> _Command:
    """Add `--json`.

    Args:
        command: The command's function.
    """
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def read_prompt(argument: str) -> str:
    """The prompt, from the argument or, for `-`, from stdin.

    Args:
        argument: What stands on the command line.

    Raises:
        UsageError: There is no prompt in it.
    """
    text = argument
    if argument == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        text = sys.stdin.read()
    if not text.strip():
        raise click.UsageError("the prompt is empty: give some text, or - and text on stdin.")
    return text


def router_from(
    models: tuple[Member, ...],
    quality: float | None,
    threshold: float | None,
    willingness: float | None,
    max_cost: float | None,
    max_latency: float | None,
    scorer: str,
    api_base: str | None = None,
    escalation: str = "auto",
    calibration: str | None = None,
) -> RouterChain:
    """The router that the options describe.

    Args:
        models: The pool.
        quality: For `CheapestAbove`.
        threshold: For `Threshold`.
        willingness: For `WillingnessToPay`.
        max_cost: For `BestWithin`.
        max_latency: For `BestWithin`.
        scorer: Name or folder.
        api_base: Where all models are served, when not at their providers.
        escalation: `"auto"` or `"none"`.
        calibration: A file for `"auto"`.

    Raises:
        UsageError: Options that exclude each other.
        ConfigurationError: A pool that cannot work.
        ArtifactError: There is no such scorer.
    """
    members = models or (DEFAULT_MODELS[::2] if threshold is not None else DEFAULT_MODELS)
    names = [member.name for member in members]
    if len(set(names)) < len(names):
        raise click.UsageError("--model names a model twice; give each once.")
    if threshold is not None and len(members) != 2:
        raise click.UsageError(
            f"--threshold chooses between two models and {len(members)} are given. Give --model "
            "twice, or use --quality for a larger pool."
        )
    policy = policy_from(quality, threshold, willingness, max_cost, max_latency)
    from llmroute.chain import RouterChain
    from llmroute.escalation.escalation import Escalation
    from llmroute.scoring.registry import load_scorer

    return RouterChain(
        pool=pool_of(members, api_base),
        policy=policy,
        scorer=load_scorer(scorer),
        escalation=Escalation("auto", calibration=calibration) if escalation == "auto" else None,
    )


def pool_of(members: tuple[Member, ...], api_base: str | None = None) -> ModelPool:
    """The pool of some members.

    Args:
        members: The models.
        api_base: Where all models are served, when not at their providers.

    Raises:
        ConfigurationError: A pool that cannot work.
    """
    from llmroute.pool import ModelPool

    return ModelPool([_model(member, api_base) for member in members])


def _model(member: Member, api_base: str | None) -> Model:
    from llmroute.pool import Model

    stated = {
        "input_price": member.input_price,
        "output_price": member.output_price,
        "api_base": api_base,
    }
    return Model(
        member.name, **{name: value for name, value in stated.items() if value is not None}
    )


def policy_from(
    quality: float | None,
    threshold: float | None,
    willingness: float | None,
    max_cost: float | None,
    max_latency: float | None,
) -> Policy:
    """The policy that the options describe.

    Args:
        quality: For `CheapestAbove`.
        threshold: For `Threshold`.
        willingness: For `WillingnessToPay`.
        max_cost: For `BestWithin`.
        max_latency: For `BestWithin`.

    Raises:
        UsageError: Options that exclude each other.
    """
    limits = max_cost if max_cost is not None else max_latency
    given = {
        "--quality": quality,
        "--threshold": threshold,
        "--willingness": willingness,
        "--max-cost/--max-latency": limits,
    }
    chosen = [option for option, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise click.UsageError(
            f"{' and '.join(chosen)} are different ways to choose; give one of them."
        )
    from llmroute.policies import BestWithin, CheapestAbove, Threshold, WillingnessToPay

    if threshold is not None:
        return Threshold(threshold=threshold)
    if willingness is not None:
        return WillingnessToPay(usd=willingness)
    if limits is not None:
        return BestWithin(cost=max_cost, latency=max_latency)
    return CheapestAbove(quality=quality) if quality is not None else CheapestAbove()
