"""A YAML or JSON file as plain values, and where in it each of them stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from llmroute.errors import ConfigurationError, MissingExtra

#: Where a value stands: names of fields and numbers of items, from the file's own object inwards.
Location: TypeAlias = tuple[str | int, ...]

YAML, JSON = (".yaml", ".yml"), (".json",)
#: What a scalar may be. Dates, sets, bytes and objects have no place in a router file.
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}

#: Pydantic's words that speak of Python, in words that speak of a file.
_PLAINER = {
    "missing": "it is missing",
    "union_tag_not_found": "it is missing",
    **dict.fromkeys(("model_type", "dict_type"), "an object with named fields was expected"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list was expected"),
    "string_type": "a text was expected; put it in quotes",
}


class MistakeInFile(ConfigurationError):
    """A mistake whose text already says where in the file it is."""


@dataclass(frozen=True)
class Source:
    """A file that was read."""

    path: Path  # as its user named it
    content: Any  # in plain types
    #: Line and column, from 1, of each value that has a name or a number.
    positions: Mapping[Location, tuple[int, int]]
    #: Which fields an object may have, by the object's `id`, as far as it is known.
    fields: dict[int, list[str]] = field(default_factory=dict)

    def mistake(self, location: Location, message: str) -> MistakeInFile:
        """The error of one mistake, in one line: `file:line:column: field: what was wrong`."""
        return MistakeInFile(self._line(location, message))

    def _line(self, location: Location, message: str) -> str:
        position = self._position(location)
        place = "" if position is None else ":{}:{}".format(*position)
        return f"{self.path}{place}: {f'{dotted(location)}: ' if location else ''}{message}"

    def _position(self, location: Location) -> tuple[int, int] | None:
        """Where the field stands, or what is nearest around it."""
        around = (location[:n] for n in range(len(location), -1, -1))
        return next((self.positions[near] for near in around if near in self.positions), None)

    @contextmanager
    def locating(self, *location: str | int) -> Iterator[None]:
        """Say of what goes wrong inside where in the file it stands, without any value."""
        try:
            yield
        except ValidationError as report:
            raise MistakeInFile("\n".join(self._lines(location, report))) from None
        except (MissingExtra, MistakeInFile):
            raise
        except ConfigurationError as error:
            raise self.mistake(location, str(error)) from None

    def _lines(self, location: Location, report: ValidationError) -> list[str]:
        messages: dict[Location, list[str]] = {}
        for error in report.errors(include_input=False, include_url=False):
            place = self._in_content([*location, *error["loc"]])
            if error["type"] == "missing":
                place = (*place, error["loc"][-1])
            elif error["type"].startswith("union_tag"):
                place = (*place, "name")
            # Each alternative of a union has a complaint of its own.
            at_place = messages.setdefault(place, [])
            if (message := self._message(error, place)) not in at_place:
                at_place.append(message)
        places = sorted(messages, key=lambda place: self._position(place) or (0, 0))
        return [self._line(place, "; or ".join(messages[place])) for place in places]

    def _in_content(self, steps: Sequence[str | int]) -> Location:
        """A location of pydantic's without the names of types that stand in between."""
        location: Location = ()
        value = self.content
        for step in steps:
            is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
            if is_item or (isinstance(value, dict) and step in value):
                value = value[step]
                location = (*location, step)
        return location

    def _message(self, error: Any, place: Location) -> str:
        """What was wrong, without the value."""
        if error["type"] == "extra_forbidden":
            around = self.content
            for step in place[:-1]:
                around = around[step]
            name, known = str(place[-1]), self.fields.get(id(around), [])
            if f"{name}_env" in known:
                return f"no key stands in a file; {name}_env names its environment variable."
            return f"there is no such field; {did_you_mean(name, known)}"
        if error["type"] == "union_tag_invalid":
            names = error["ctx"]["expected_tags"].replace("'", "").split(", ")
            return f"there is nothing of this name; {did_you_mean(error['ctx']['tag'], names)}"
        message: str = _PLAINER.get(error["type"], error["msg"])
        return message.removeprefix("Value error, ")


def read_source(path: Path) -> Source:
    """Read a file; JSON if it is named so, otherwise YAML without aliases, merges and tags.

    ConfigurationError where it cannot be read, or is neither.
    """
    is_json = suffix_of(path) in JSON
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"no router can be read from {path}: {why}.") from None
    walk = _Walk(path)
    try:
        if not is_json:
            return Source(path, walk.read(text), walk.positions)
        content = json.loads(text)
        # JSON is YAML, but for tabs and some odd characters; YAML's reader knows the positions.
        with suppress(yaml.YAMLError):
            walk.read(text.replace("\t", " "))
        return Source(path, content, walk.positions)
    except json.JSONDecodeError as fault:
        place = f"{path}:{fault.lineno}:{fault.colno}"
        raise ConfigurationError(f"{place}: this is no JSON: {fault.msg}.") from None
    except yaml.MarkedYAMLError as fault:
        at = fault.problem_mark or fault.context_mark
        place = f":{at.line + 1}:{at.column + 1}" if at else ""
        why = fault.problem or fault.context
        raise ConfigurationError(f"{path}{place}: this is no YAML: {why}.") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{path} has a character that YAML forbids.") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is nested too deep to be a router.") from None


class _Walk:
    """A walk over YAML's nodes, which know their positions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.positions: dict[Location, tuple[int, int]] = {}
        self.seen: set[int] = set()
        self.loader = yaml.SafeLoader("")  # resolves scalars; reads nothing

    def read(self, text: str) -> Any:
        """The content, in plain types."""
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ConfigurationError(f"{self.path} is empty; a router has at least a pool.")
        return self._value(node, ())

    def _wrong(self, node: yaml.Node, location: Location, message: str) -> NoReturn:
        raise Source(self.path, None, {location: _start(node)}).mistake(location, message)

    def _value(self, node: yaml.Node, location: Location) -> Any:
        if id(node) in self.seen:  # also keeps a small file from meaning an endless one
            self._wrong(node, location, "aliases (*name) are not read; write the value out.")
        self.seen.add(id(node))
        self.positions.setdefault(location, _start(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, (*location, n)) for n, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._object(node, location)
        with suppress(ValueError, KeyError):  # such as `!!int x`
            if node.tag in _SCALARS:
                return self.loader.construct_object(node)
        return self._wrong(node, location, "a text, a number, true, false or null was expected.")

    def _object(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                self._wrong(key, location, "a field's name is a text; put it in quotes.")
            if key.value in fields:
                self._wrong(key, (*location, key.value), "it is given twice.")
            self.positions[(*location, key.value)] = _start(key)
            fields[key.value] = self._value(value, (*location, key.value))
        return fields


def _start(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def suffix_of(path: Path) -> str:
    """The suffix by which a file's format is known; ConfigurationError where it is another."""
    suffix = path.suffix.lower()
    if suffix not in (*YAML, *JSON):
        known = ", ".join((*YAML, *JSON))
        raise ConfigurationError(f"a router's file ends in one of {known}; {path} does not.")
    return suffix


def dotted(location: Location) -> str:
    """A location as it is written: `pool[1].input_price`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A hint for a misspelt name, or which names there are."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}."
