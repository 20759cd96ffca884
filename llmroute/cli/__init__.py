"""The command line: `llmroute decide`, `ask`, `demo`, `train`, … (extra `cli`)."""

from __future__ import annotations

import importlib.util
import io
import sys


def main() -> None:
    """Run the command line; the entry point `llmroute`."""
    if any(importlib.util.find_spec(package) is None for package in ("click", "rich")):
        sys.stderr.write("The command line needs: pip install 'llmroute[cli]'\n")
        raise SystemExit(1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A pipe may have an encoding without bars and ticks, which is no reason to fail.
            stream.reconfigure(errors="replace")
    from llmroute.cli.app import cli

    cli(prog_name="llmroute")
