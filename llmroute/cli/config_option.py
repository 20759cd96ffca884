"""`--config`: a router from a file, in place of the options that describe one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from llmroute.chain import RouterChain

_Command = TypeVar("_Command", bound=Callable[..., Any])
#: What does not describe the router.
_BESIDE = {"prompt", "as_json", "config"}


def config_option(command: _Command) -> _Command:
    """Add `--config`.

    Args:
        command: The command's function.
    """
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A router's file (YAML or JSON), in place of the options that describe one.",
    )(command)


def router_in(config: Path, *, asks: bool) -> RouterChain:
    """The router that a file describes.

    Args:
        config: The file.
        asks: Whether models will be asked, which takes keys.

    Raises:
        UsageError: An option that describes a router stands beside it.
        ConfigurationError: The file cannot be used.
    """
    context = click.get_current_context()
    beside = [
        option.opts[0]
        for option in context.command.params
        if option.name is not None
        and option.name not in _BESIDE
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if beside:
        raise click.UsageError(
            f"--config describes the whole router, so {', '.join(beside)} cannot stand beside it; "
            "change the file, or leave --config out."
        )
    from llmroute.chain import RouterChain
    from llmroute.config import read_router

    return read_router(RouterChain, config, asks=asks)
