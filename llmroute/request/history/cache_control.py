"""Anthropic's cache markers, taken out for the providers that refuse them.

LangChain's middleware sets them, and so do users: on blocks of content, on tools and among the
arguments of a call. A fallback to another provider then failed (LangChain issue #33709, PR #37867).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

MARKER = "cache_control"
#: Where LangChain keeps what a provider adds to a block or to a tool.
_INNER = ("extras", "metadata", "function")


def unmarked_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments without Anthropic's automatic caching, and its tools without markers.

    LangChain's caching middleware adds both, for one.
    """
    unmarked = without_marker(arguments)
    if unmarked.get("tools"):
        unmarked["tools"] = unmarked_tools(unmarked["tools"])
    return unmarked


def unmarked_tools(tools: Sequence[Any]) -> list[Any]:
    """Tools (LangChain's, functions, or any provider's dicts) without cache markers.

    Those that have none are returned as they are.
    """
    return [_unmarked_tool(tool) for tool in tools]


def _unmarked_tool(tool: Any) -> Any:
    if isinstance(tool, BaseTool):
        if not tool.extras or MARKER not in tool.extras:
            return tool
        return tool.model_copy(update={"extras": without_marker(tool.extras) or None})
    return unmarked_block(tool) if is_marked(tool) else tool


def is_marked(block: object) -> bool:
    """Whether a block of content, or a tool given as a dict, has a marker; a string has none."""
    if not isinstance(block, dict):
        return False
    inner = [block[name] for name in _INNER if isinstance(block.get(name), Mapping)]
    return MARKER in block or any(MARKER in mapping for mapping in inner)


def unmarked_block(block: Any) -> Any:
    """A copy of a block, or of a tool given as a dict, without a marker; a string as it is."""
    if not isinstance(block, Mapping):
        return block
    return {
        name: without_marker(value) if name in _INNER and isinstance(value, Mapping) else value
        for name, value in block.items()
        if name != MARKER
    }


def without_marker(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Extras of a message or a tool, or arguments of a call, without the marker itself."""
    return {name: value for name, value in mapping.items() if name != MARKER}
