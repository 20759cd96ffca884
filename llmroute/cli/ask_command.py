"""`llmroute ask`: route a prompt, show the answer, and say on stderr what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.config_option import config_option, router_in
from llmroute.cli.options import (
    escalation_options,
    json_option,
    read_prompt,
    router_from,
    routing_options,
)

if TYPE_CHECKING:
    from pathlib import Path

    from llmroute.chain import RouterChain


@click.command(short_help="Ask the model that suits the prompt.")
@click.argument("prompt")
@config_option
@routing_options
@escalation_options
@click.option("--api-base", metavar="URL", help="Where all the models are served.")
@json_option
def ask(
    prompt: str, as_json: bool, config: Path | None, api_base: str | None, **routing: Any
) -> None:
    """Ask the model that suits PROMPT (- reads stdin), and print its answer.

    Providers' keys come from the environment, as LiteLLM reads them: OPENAI_API_KEY,
    ANTHROPIC_API_KEY, … The bill goes to stderr.
    """
    text = read_prompt(prompt)
    if config is not None:
        router = router_in(config, asks=True)
    else:
        router = router_from(api_base=api_base, **routing)
    if as_json:
        from llmroute.cli.render import print_json

        message = router.invoke(text)
        record = message.response_metadata["llmroute"]
        print_json({"answer": str(message.text), "record": record})
    else:
        record = _stream(router, text)
    click.echo(bill(record), err=True)


def _stream(router: RouterChain, text: str) -> dict[str, Any]:
    """Print the answer as it comes, and return its record."""
    whole: Any = None
    try:
        for chunk in router.stream(text):
            click.echo(chunk.text, nl=False)
            whole = chunk if whole is None else whole + chunk
    finally:
        if whole is not None:  # also when it breaks off: the error then has a line of its own
            click.echo()
    record: dict[str, Any] = whole.response_metadata["llmroute"]
    return record


def bill(record: dict[str, Any]) -> str:
    """One line: who answered, tokens, cost and saving.

    Args:
        record: What stands in `response_metadata["llmroute"]`.
    """
    from llmroute.cli.render import money

    given, taken = record["total_prompt_tokens"], record["total_completion_tokens"]
    tokens = f"{given} + {taken} tokens"
    parts = [
        record["answered_by"],
        tokens if None not in (given, taken) else "tokens not reported",
        money(record["cost_usd"]) if record["cost_usd"] is not None else "cost unknown",
    ]
    saved = record["saved_usd"]
    if saved is not None and record["answered_by"] != record["strongest"]:
        word = "saved" if saved >= 0 else "more by"
        parts.append(f"{word} {money(abs(saved))} against {record['strongest']}")
    failed = [f"{call['model']} {call['status']}" for call in record["calls"][:-1]]
    if failed:
        parts.append(f"after {', '.join(failed)}")
    return " · ".join(parts)
