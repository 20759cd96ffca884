"""The `llmroute` command: finds its subcommands, and says what went wrong in one message."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import click

from llmroute._version import __version__
from llmroute.errors import AuthenticationFailed, LLMRouteError

#: The commands, each in a module named after it. Imported when needed, so that
#: `llmroute --version` waits for nothing.
_COMMANDS = ("decide", "ask", "demo", "train", "profile", "calibrate", "eval", "download")
_KEY_HINT = (
    "\nSet the provider's key in the environment, such as OPENAI_API_KEY or ANTHROPIC_API_KEY; "
    "`llmroute demo` needs none."
)


class _Commands(click.Group):
    """A group whose commands are imported by name, and whose errors are messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"llmroute.cli.{cmd_name}_command")
        command: click.Command = getattr(module, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except LLMRouteError as error:
                # `from None`: what lies below may hold a key or the prompt.
                hint = _KEY_HINT if isinstance(error, AuthenticationFailed) else ""
                raise click.ClickException(f"{error}{hint}") from None


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any
) -> None:
    # Ours are written for users. Those of libraries are for their developers.
    if category is UserWarning and "llmroute" in filename:
        click.echo(f"Warning: {message}", err=True)


@click.group(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(__version__, prog_name="llmroute")
def cli() -> None:  # the backspace below is Click's sign for lines to be left as they are
    """Send each prompt to the cheapest model that will answer it well enough.

    \b
    llmroute demo                                  no key needed
    llmroute decide "Prove that √2 is irrational."
    llmroute ask "Prove that √2 is irrational."    needs OPENAI_API_KEY
    """  # noqa: D301
