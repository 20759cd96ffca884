"""Options that commands share, and the router they describe."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from llmroute.chain import RouterChain
    from llmroute.policies import Policy
    from llmroute.pool import ModelPool

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

#: A file, or a folder, to write.
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
#: What exists already.
EXISTING = click.Path(exists=True, path_type=Path)


#: What is stated of a model on the command line: name, and USD per million tokens.
ModelArgument = dict[str, Any]
#: One provider's three sizes: a single key is enough to use them.
DEFAULT_MODELS = tuple(
    {"name": f"openai/{name}"} for name in ("gpt-4.1-nano", "gpt-4.1-mini", "gpt-4.1")
)


def read_model(text: str) -> ModelArgument:
    """`NAME`, or `NAME=INPUT/OUTPUT` with prices; BadParameter where these cannot be read."""
    name, equals, prices = text.rpartition("=")
    if not equals:
        return {"name": text}
    try:
        input_price, output_price = (float(part) for part in prices.split("/"))
        if not (name and 0 <= input_price < float("inf") and 0 <= output_price < float("inf")):
            raise ValueError
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: prices are written NAME=INPUT/OUTPUT, USD per million tokens, 0 or more, "
            "such as ollama/llama3.2=0/0."
        ) from None
    return {"name": name, "input_price": input_price, "output_price": output_price}


def pool_of(models: Iterable[ModelArgument], api_base: str | None = None) -> ModelPool:
    """The pool of some models, all served at `api_base` where that is stated."""
    from llmroute.pool import Model, ModelPool

    return ModelPool([Model(each["name"], **each, api_base=api_base) for each in models])


def models_option(default: str = "", *, required: bool = False) -> _Decorator:
    """`--model`, as many as there are models."""
    return click.option(
        "--model",
        "-m",
        "models",
        type=read_model,
        metavar="NAME[=IN/OUT]",
        multiple=True,
        required=required,
        help="A model, by its LiteLLM name; repeat it for each. Prices in USD per million tokens "
        f"may be stated: ollama/llama3.2=0/0.{default}",
    )


def scorer_option(help_text: str | None = None) -> _Decorator:
    """`--scorer`, the bundled one by default."""
    return click.option("--scorer", default="static", metavar="NAME|FOLDER", help=help_text)


api_base_option = click.option("--api-base", metavar="URL", help="Where all the models are served.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@dataclass(frozen=True)
class RoutingOptions:
    """The router that a command line describes; what a command does not take has a default."""

    models: tuple[ModelArgument, ...]
    quality: float | None
    threshold: float | None
    willingness: float | None
    max_cost: float | None
    max_latency: float | None
    scorer: str
    escalation: str = "none"
    calibration: str | None = None
    api_base: str | None = None
    config: Path | None = None

    def policy(self) -> Policy:
        """The policy that the options describe; UsageError where they exclude each other."""
        from llmroute.policies import BestWithin, CheapestAbove, Threshold, WillingnessToPay

        limits = {"cost": self.max_cost, "latency": self.max_latency}
        policies: dict[str, tuple[Callable[..., Policy], dict[str, float | None]]] = {
            "--quality": (CheapestAbove, {"quality": self.quality}),
            "--threshold": (Threshold, {"threshold": self.threshold}),
            "--willingness": (WillingnessToPay, {"usd": self.willingness}),
            "--max-cost/--max-latency": (BestWithin, limits),
        }
        chosen = [flag for flag, (_, values) in policies.items() if {*values.values()} != {None}]
        if not chosen:
            return CheapestAbove()
        if len(chosen) > 1:
            raise click.UsageError(
                f"{' and '.join(chosen)} are different ways to choose; give one of them."
            )
        policy, values = policies[chosen[0]]
        return policy(**values)

    def router(self, *, asks: bool) -> RouterChain:
        """The router that the options, or the file of `--config`, describe.

        Only where it `asks` models the keys are read that the file names. UsageError where options
        exclude each other.
        """
        if self.config is not None:
            from llmroute.chain import RouterChain
            from llmroute.config import read_router

            _refuse_beside_config()

            return read_router(RouterChain, self.config, asks=asks)
        two = self.threshold is not None
        models = self.models or (DEFAULT_MODELS[::2] if two else DEFAULT_MODELS)
        if len({model["name"] for model in models}) < len(models):
            raise click.UsageError("--model names a model twice; give each once.")
        if two and len(models) != 2:
            raise click.UsageError(
                f"--threshold chooses between two models and {len(models)} are given. Give --model "
                "twice, or use --quality for a larger pool."
            )
        policy = self.policy()
        from llmroute.chain import RouterChain
        from llmroute.escalation.escalation import Escalation
        from llmroute.scoring.registry import load_scorer

        auto = self.escalation == "auto"
        return RouterChain(
            pool=pool_of(models, self.api_base),
            policy=policy,
            scorer=load_scorer(self.scorer),
            escalation=Escalation("auto", calibration=self.calibration) if auto else None,
        )


#: The options by the names of `RoutingOptions`, in the order of the help.
_OPTIONS: dict[str, _Decorator] = {
    "config": click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A router's file (YAML or JSON), in place of the options that describe one.",
    ),
    "models": models_option("  [default: openai/gpt-4.1-nano, -mini and gpt-4.1]"),
    "quality": click.option(
        "--quality",
        type=click.FloatRange(0, 1),
        help="The cheapest model with this share of the best expected quality.  [default: 0.95]",
    ),
    "threshold": click.option(
        "--threshold",
        type=click.FloatRange(0, 1),
        help="Of two models the strong one, from this probability that it wins.",
    ),
    "willingness": click.option(
        "--willingness",
        type=click.FloatRange(0, min_open=True),
        metavar="USD",
        help="What one good answer is worth: the greatest value less cost.",
    ),
    "max_cost": click.option(
        "--max-cost",
        type=click.FloatRange(0),
        metavar="USD",
        help="The best model within this expected cost of a call.",
    ),
    "max_latency": click.option(
        "--max-latency",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="The best model within this expected time, where speeds are known.",
    ),
    "scorer": scorer_option("A bundled scorer, or a folder made by `llmroute train`."),
    "escalation": click.option(
        "--escalation",
        type=click.Choice(["auto", "none"]),
        default="auto",
        help="Plan drafts of cheaper models and checks of them, or choose by the prompt alone.",
    ),
    "calibration": click.option(
        "--calibration",
        metavar="FILE",
        help="For --escalation auto: a file made by `llmroute calibrate`.",
    ),
    "api_base": api_base_option,
}


def routing_options(*, without: Sequence[str] = ()) -> _Decorator:
    """Hand the options that describe a router, `without` some, to a command as `routing`."""
    names = [name for name in _OPTIONS if name not in without]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_routing(**values: Any) -> Any:
            stated = {name: values.pop(name) for name in names}
            return command(routing=RoutingOptions(**stated), **values)

        for name in reversed(names):
            _OPTIONS[name](with_routing)
        return with_routing

    return decorate


def _refuse_beside_config() -> None:
    """Raise UsageError where an option that describes a router stands beside `--config`."""
    context = click.get_current_context()
    beside = [
        option.opts[0]
        for option in context.command.params
        if option.name in _OPTIONS.keys() - {"config"}
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if beside:
        raise click.UsageError(
            f"--config describes the whole router, so {', '.join(beside)} cannot stand beside it; "
            "change the file, or leave --config out."
        )


def read_prompt(argument: str) -> str:
    """The prompt, from the argument or, for `-`, from stdin; UsageError where it is empty."""
    text = argument
    if argument == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        text = sys.stdin.read()
    if not text.strip():
        raise click.UsageError("the prompt is empty: give some text, or - and text on stdin.")
    return text
