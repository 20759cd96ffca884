"""Anthropic's cache markers, taken out for the providers that refuse them.

LangChain's middleware sets them, and so do users: on blocks of content, on tools and among the
arguments of a call. A fallback to another provider then failed (LangChain issue #33709, PR #37867).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

MARKER = "cache_control"
#: Where LangChain keeps what a provider adds to a block or to a tool.
_INNER = ("extras", "metadata", "function")


def unmarked_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments without Anthropic's automatic caching, and its tools without markers.

    Args:
        arguments: As LangChain's caching middleware adds to them, for one.
    """
    unmarked = without_marker(arguments)
    if unmarked.get("tools"):
        unmarked["tools"] = unmarked_tools(unmarked["tools"])
    return unmarked


def unmarked_tools(tools: Sequence[Any]) -> list[Any]:
    """Tools without cache markers; those that have none are returned as they are.

    Args:
        tools: Tools as they are bound: LangChain's, functions, or dicts of any provider's.
    """
    return [_unmarked_tool(tool) for tool in tools]


def _unmarked_tool(tool: Any) -> Any:
    if isinstance(tool, BaseTool):
        if not tool.extras or MARKER not in tool.extras:
            return tool
        return tool.model_copy(update={"extras": without_marker(tool.extras) or None})
    return unmarked_block(tool) if is_marked(tool) else tool


def is_marked(block: object) -> bool:
    """Whether a block of content, or a tool given as a dict, has a marker.

    Args:
        block: The block; a string has none.
    """
    if not isinstance(block, dict):
        return False
    return MARKER in block or any(MARKER in inner for inner in _inner(block))


def unmarked_block(block: Any) -> Any:
    """A copy of a block, or of a tool given as a dict, without a marker.

    Args:
        block: The block; a string stays as it is.
    """
    if not isinstance(block, Mapping):
        return block
    return {
        name: without_marker(value) if name in _INNER and isinstance(value, Mapping) else value
        for name, value in block.items()
        if name != MARKER
    }


def _inner(block: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (block[name] for name in _INNER if isinstance(block.get(name), Mapping))


def without_marker(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without the marker itself.

    Args:
        mapping: Extras of a message or a tool, or arguments of a call.
    """
    return {name: value for name, value in mapping.items() if name != MARKER}
