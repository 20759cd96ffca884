"""`llmroute ask`: route a prompt, show the answer, and say on stderr what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from llmroute.cli.options import RoutingOptions, json_option, read_prompt, routing_options

if TYPE_CHECKING:
    from llmroute.chain import RouterChain


@click.command(short_help="Ask the model that suits the prompt.")
@click.argument("prompt")
@routing_options()
@json_option
def ask(prompt: str, routing: RoutingOptions, as_json: bool) -> None:
    """Ask the model that suits PROMPT (- reads stdin), and print its answer.

    Providers' keys come from the environment, as LiteLLM reads them: OPENAI_API_KEY,
    ANTHROPIC_API_KEY, … The bill goes to stderr.
    """
    text = read_prompt(prompt)
    router = routing.router(asks=True)
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
    """One line about `response_metadata["llmroute"]`: who answered, tokens, cost and saving."""
    from llmroute.cli.render import money

    tokens = record["total_prompt_tokens"], record["total_completion_tokens"]
    parts = [
        record["answered_by"],
        "tokens not reported" if None in tokens else f"{tokens[0]} + {tokens[1]} tokens",
        "cost unknown" if record["cost_usd"] is None else money(record["cost_usd"]),
    ]
    saved = record["saved_usd"]
    if saved is not None and record["answered_by"] != record["strongest"]:
        verb = "saved" if saved >= 0 else "more by"
        parts.append(f"{verb} {money(abs(saved))} against {record['strongest']}")
    failed = [f"{call['model']} {call['status']}" for call in record["calls"][:-1]]
    if failed:
        parts.append(f"after {', '.join(failed)}")
    return " · ".join(parts)
