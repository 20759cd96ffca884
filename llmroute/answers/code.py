"""Programs compared without being run: the tree of Python code, the bare text of any other."""

from __future__ import annotations

import ast
import re

#: Characters of a program that are read. A longer one is compared by its text.
_LONGEST = 20_000
#: Brackets inside one another, beyond which the parser's own stack is at risk.
_DEEPEST = 60

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+#.-]*)[^\n]*\n", re.MULTILINE)
_CLOSING = re.compile(r"^[ \t]*```", re.MULTILINE)
_STRING = r"\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"
_COMMENTS = {
    "#": re.compile(rf"(?P<kept>{_STRING})|#[^\n]*"),
    "//": re.compile(rf"(?P<kept>{_STRING})|//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?"),
    "--": re.compile(rf"(?P<kept>{_STRING})|--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?"),
}
_LANGUAGES = {
    "#": "python py python3 sh bash shell zsh ruby rb yaml yml r perl toml",
    "//": "c cpp c++ h cs csharp c# java js javascript ts typescript jsx tsx go rust rs swift "
    "kotlin scala php dart css scss",
    "--": "sql postgresql mysql sqlite haskell hs lua",
}
_MARK_OF = {name: mark for mark, names in _LANGUAGES.items() for name in names.split()}
_PYTHON = frozenset({"python", "py", "python3", ""})
_TOKEN = re.compile(rf"{_STRING}|\w+|[^\w\s]")


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a text as (language, program); the last may lack its closing fence."""
    fenced: list[tuple[str, str]] = []
    end = 0
    while opened := _FENCE.search(text, end):
        closed = _CLOSING.search(text, opened.end())
        stop = closed.start() if closed else len(text)
        fenced.append((opened[1].lower(), text[opened.end() : stop]))
        end = closed.end() if closed else len(text)
    return fenced


def program(language: str, source: str) -> str:
    """A program in the form in which it is compared.

    Two Python programs are the same when their trees are equal but for docstrings, annotations and
    the names of variables and parameters; names of functions, classes and attributes count. Any
    other language: without comments where its marks for them are known, and without blanks.

    Args:
        language: The fence's, in lower case; empty where it names none.
        source: The program.
    """
    if (
        language in _PYTHON
        and len(source) <= _LONGEST
        and nesting(source, "([{", ")]}") <= _DEEPEST
    ):
        # Deep or odd input makes the parser or the walk give up in one of these ways.
        try:
            return _tree(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    return _text(language, source)


def _tree(source: str) -> str:
    tree = _Bare().visit(ast.parse(source))
    if not tree.body:
        raise SyntaxError("no statement")
    nodes = _in_order(tree)
    parameters = {node.arg for node in nodes if isinstance(node, ast.arg)}
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.arg):
            names.setdefault(node.arg, f"_{len(names)}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, f"_{len(names)}")
    for node in nodes:
        # A keyword of someone else's function is no variable of this program.
        if not isinstance(node, ast.keyword) or node.arg in parameters:
            _rename(node, names)
    return ast.dump(tree)


class _Bare(ast.NodeTransformer):
    """Removes what changes nothing: docstrings, annotations, bare strings and constants."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return node  # a field of a class: its annotation is all there is of it
        plain = ast.Assign(targets=[node.target], value=node.value)
        return self.generic_visit(ast.copy_location(plain, node))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - named by ast


def _in_order(tree: ast.AST) -> list[ast.AST]:
    """All nodes, each before its children, in the order of the source. No recursion."""
    nodes: list[ast.AST] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting.extend(reversed(list(ast.iter_child_nodes(node))))
    return nodes


def _rename(node: ast.AST, names: dict[str, str]) -> None:
    if isinstance(node, ast.Name):
        node.id = names.get(node.id, node.id)
    elif isinstance(node, ast.arg) or (isinstance(node, ast.keyword) and node.arg):
        node.arg = names.get(str(node.arg), str(node.arg))
    elif isinstance(node, ast.Global | ast.Nonlocal):
        node.names = [names.get(name, name) for name in node.names]


def _text(language: str, source: str) -> str:
    mark = _MARK_OF.get(language)
    if mark:
        source = _COMMENTS[mark].sub(lambda m: m["kept"] or " ", source)
    return " ".join(_TOKEN.findall(source))


def nesting(source: str, opening: str, closing: str) -> int:
    """How deep the brackets of a source are inside one another."""
    depth = deepest = 0
    for character in source:
        if character in opening:
            depth += 1
            deepest = max(deepest, depth)
        elif character in closing:
            depth -= 1
    return deepest
