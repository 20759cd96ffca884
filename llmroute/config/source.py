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

#: The way to a value: names of fields and numbers of items.
Way: TypeAlias = tuple[str | int, ...]

YAML, JSON = (".yaml", ".yml"), (".json",)
#: What a scalar may be. Dates, sets, bytes and objects have no place in a router file.
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}

#: What is appended to the name of a field that holds a key, for the environment variable.
ENV = "_env"

#: Pydantic's words that speak of Python, in words that speak of a file.
_PLAINER = {
    "missing": "it is missing",
    "model_type": "an object with named fields was expected",
    "dict_type": "an object with named fields was expected",
    "mapping_type": "an object with named fields was expected",
    "tuple_type": "a list was expected",
    "list_type": "a list was expected",
    "string_type": "a text was expected; put it in quotes",
}


class MistakeInFile(ConfigurationError):
    """A mistake that is already told with its place in the file."""


@dataclass(frozen=True)
class Source:
    """A file that was read.

    Attributes:
        path: The file, as its user named it.
        content: What it holds, in plain types.
        marks: Line and column, from 1, of each value that has a name or a number.
        fields: Which fields an object may have, by the object's `id`, as far as it is known.
    """

    path: Path
    content: Any
    marks: Mapping[Way, tuple[int, int]]
    fields: dict[int, list[str]] = field(default_factory=dict)

    def mistake(self, way: Way, message: str) -> MistakeInFile:
        """The error of one mistake in one line: `file:line:column: field: what was wrong`.

        Args:
            way: The field; where it is missing, the object around it is pointed at.
            message: What was wrong, and what was expected.
        """
        return MistakeInFile(self._line(way, message))

    def _line(self, way: Way, message: str) -> str:
        mark = self._mark(way)
        place = "" if mark is None else ":{}:{}".format(*mark)
        return f"{self.path}{place}: {f'{spelt(way)}: ' if way else ''}{message}"

    def _mark(self, way: Way) -> tuple[int, int] | None:
        """Where the field stands, or what is nearest around it."""
        nearer = (way[:n] for n in range(len(way), -1, -1))
        return next((self.marks[near] for near in nearer if near in self.marks), None)

    @contextmanager
    def locating(self, *way: str | int) -> Iterator[None]:
        """Say of what goes wrong inside where in the file it stands.

        Args:
            way: The field that is being read.

        Raises:
            ConfigurationError: A line for each mistake, none with a value, which may be a key.
        """
        try:
            yield
        except ValidationError as report:
            raise MistakeInFile("\n".join(self._lines(way, report))) from None
        except (MissingExtra, MistakeInFile):
            raise
        except ConfigurationError as error:
            raise self.mistake(way, str(error)) from None

    def _lines(self, way: Way, report: ValidationError) -> list[str]:
        found: dict[Way, list[str]] = {}
        for error in report.errors(include_input=False, include_url=False):
            place = self._place([*way, *error["loc"]])
            if error["type"] == "missing":
                place = (*place, error["loc"][-1])
            elif error["type"].startswith("union_tag"):
                place = (*place, "name")
            message = _message(error)
            if error["type"] == "extra_forbidden":
                message = self._unknown(place)
            # Each alternative of a union has a complaint of its own.
            messages = found.setdefault(place, [])
            messages += [message] if message not in messages else []
        places = sorted(found, key=lambda place: self._mark(place) or (0, 0))
        return [self._line(place, "; or ".join(found[place])) for place in places]

    def _unknown(self, place: Way) -> str:
        around = self.content
        for step in place[:-1]:
            around = around[step]
        name, known = str(place[-1]), self.fields.get(id(around), [])
        if name + ENV in known:
            return f"no key stands in a file; {name + ENV} names its environment variable."
        return f"there is no such field; {did_you_mean(name, known)}"

    def _place(self, location: Sequence[str | int]) -> Way:
        """The way along a location of pydantic's, which has names of types in between."""
        way: list[str | int] = []
        value = self.content
        for step in location:
            is_item = isinstance(value, list) and isinstance(step, int) and step < len(value)
            if is_item or (isinstance(value, dict) and step in value):
                value = value[step]
                way.append(step)
        return tuple(way)


def read_source(path: Path) -> Source:
    """Read a file; JSON if it is named so, otherwise YAML without anchors, merges and tags.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It cannot be read, or is neither.
    """
    is_json = suffix_of(path) in JSON
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"no router can be read from {path}: {why}.") from None
    content, marks = _read_json(path, text) if is_json else _read_yaml(path, text)
    return Source(path, content, marks)


def _read_json(path: Path, text: str) -> tuple[Any, Mapping[Way, tuple[int, int]]]:
    try:
        content = json.loads(text)
        # JSON is YAML, but for tabs; YAML's reader says where things stand.
        with suppress(yaml.YAMLError):
            return content, _Nodes(path, text.replace("\t", " ")).read()[1]
        return content, {}  # but for some odd characters, too
    except json.JSONDecodeError as fault:
        place = f"{path}:{fault.lineno}:{fault.colno}"
        raise ConfigurationError(f"{place}: this is no JSON: {fault.msg}.") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is nested too deep to be a router.") from None


def _read_yaml(path: Path, text: str) -> tuple[Any, Mapping[Way, tuple[int, int]]]:
    try:
        return _Nodes(path, text).read()
    except yaml.MarkedYAMLError as fault:
        at = fault.problem_mark or fault.context_mark
        place = f":{at.line + 1}:{at.column + 1}" if at else ""
        why = fault.problem or fault.context
        raise ConfigurationError(f"{path}{place}: this is no YAML: {why}.") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{path} has a character that YAML forbids.") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is nested too deep to be a router.") from None


def suffix_of(path: Path) -> str:
    """The suffix by which a file's format is known.

    Args:
        path: The file.

    Raises:
        ConfigurationError: It is none of those that are known.
    """
    suffix = path.suffix.lower()
    if suffix not in (*YAML, *JSON):
        known = ", ".join((*YAML, *JSON))
        raise ConfigurationError(f"a router's file ends in one of {known}; {path} does not.")
    return suffix


def spelt(way: Way) -> str:
    """A way as it is written: `pool[1].input_price`.

    Args:
        way: Names of fields and numbers of items.
    """
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in way)
    return "".join(steps).removeprefix(".")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A hint for a misspelt name, or which names there are.

    Args:
        name: What was written.
        known: What could have been.
    """
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}."


def _message(error: Any) -> str:
    """What was wrong, without the value."""
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        context = error["ctx"]
        expected = str(context.get("expected_tags", "")).replace("'", "").split(", ")
        if "tag" in context:
            return f"there is nothing of this name; {did_you_mean(context['tag'], expected)}"
        return "it is missing"
    message: str = _PLAINER.get(error["type"], error["msg"])
    return message.removeprefix("Value error, ")


class _Nodes:
    """Walks YAML's nodes, which know their places."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.marks: dict[Way, tuple[int, int]] = {}
        self.seen: set[int] = set()
        self.loader = yaml.SafeLoader("")  # resolves scalars; reads nothing

    def read(self) -> tuple[Any, Mapping[Way, tuple[int, int]]]:
        node = yaml.compose(self.text, Loader=yaml.SafeLoader)
        if node is None:
            raise ConfigurationError(f"{self.path} is empty; a router has at least a pool.")
        self._mark((), node)
        return self._value(node, ()), self.marks

    def _mark(self, way: Way, node: yaml.Node) -> None:
        self.marks[way] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def _wrong(self, node: yaml.Node, way: Way, message: str) -> NoReturn:
        self._mark(way, node)
        raise Source(self.path, None, self.marks).mistake(way, message)

    def _value(self, node: yaml.Node, way: Way) -> Any:
        if id(node) in self.seen:  # also keeps a small file from meaning an endless one
            self._wrong(node, way, "aliases (*name) are not read; write the value out.")
        self.seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._item(each, (*way, n)) for n, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._fields(node, way)
        if node.tag not in _SCALARS:
            self._wrong(node, way, "a text, a number, true, false or null was expected.")
        return self.loader.construct_object(node)

    def _item(self, node: yaml.Node, way: Way) -> Any:
        self._mark(way, node)
        return self._value(node, way)

    def _fields(self, node: yaml.MappingNode, way: Way) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                self._wrong(key, way, "a field's name is a text; put it in quotes.")
            if key.value in fields:
                self._wrong(key, (*way, key.value), "it is given twice.")
            self._mark((*way, key.value), key)
            fields[key.value] = self._value(value, (*way, key.value))
        return fields
