"""The package's rooms, layers and imports: what is in a circle, and the docs' picture and table.

    python -m examples.reproduce.architecture                # prints rooms and circles
    python -m examples.reproduce.architecture --write docs   # and writes the picture and the table

Every import counts, also those inside functions and under TYPE_CHECKING. The layers are those of
the contract in pyproject.toml, which `lint-imports` checks. Needs the extra `dev`.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import grimp
import networkx

ROOT = Path(__file__).parents[2]
PACKAGE = "llmroute"

#: By room, what a newcomer looks for there.
ROOMS = {
    "errors": "errors",
    "records": "what travels",
    "validation": "checked values",
    "files": "written atomically",
    "numerics": "logistic function",
    "_imports": "lazy names",
    "_version": "version",
    "testing": "a scripted provider",
    "backends": "who answers",
    "state": "what is remembered",
    "metrics": "the field's figures",
    "pool": "models and prices",
    "policies": "estimates → choice",
    "outcomes": "recorded answers",
    "scoring": "prompt → estimates",
    "request": "what was asked",
    "training": "the bundled router",
    "engine": "decision → answer",
    "answers": "what an answer says",
    "routers": "routers to train",
    "escalation": "not good enough?",
    "routing": "estimates → decision",
    "config": "routers in files",
    "evaluation": "replay and report",
    "chain": "RouterChain",
    "api": "route()",
    "middleware": "agents",
    "otel": "telemetry",
    "decision_model": "decision model",
    "profiling": "unknown models",
    "cli": "the command line",
}


def layers() -> list[list[str]]:
    """The layers from the top down, each the names of its rooms, out of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        c for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers"
    )
    return [[name.strip() for name in layer.split(":")] for layer in contract["layers"]]


def imports() -> networkx.DiGraph:
    """Who imports whom, by module."""
    found = grimp.build_graph(PACKAGE, exclude_type_checking_imports=False, cache_dir=None)
    graph = networkx.DiGraph()
    graph.add_nodes_from(found.modules)
    for module in found.modules:
        graph.add_edges_from((module, to) for to in found.find_modules_directly_imported_by(module))
    return graph


def circles(graph: networkx.DiGraph) -> list[list[str]]:
    """The strongly connected parts of more than one module."""
    parts = networkx.strongly_connected_components(graph)
    return sorted(sorted(part) for part in parts if len(part) > 1)


def lines_by_room() -> Counter[str]:
    """Lines of Python by room."""
    counts: Counter[str] = Counter()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        room = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")
        counts[room] += len(path.read_text(encoding="utf-8").splitlines())
    return counts


def drawn(rows: list[list[str]]) -> Iterator[str]:
    """The layers as an SVG picture, a line of it each time; it follows the reader's colours."""
    box, gap, label, width = 34, 10, 26, 960
    height = len(rows) * (box + gap) + gap
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    yield ' font-family="system-ui, sans-serif" font-size="12" role="img"'
    yield ' aria-label="The layers of llmroute: an import goes down">'
    yield "<style>rect{fill:#eef2f7;stroke:#8aa0b8}text{fill:#1c2733}.n{fill:#66788a}"
    yield "@media(prefers-color-scheme:dark){rect{fill:#1d2733;stroke:#52677e}"
    yield "text{fill:#e8eef5}.n{fill:#93a5b8}}</style>"
    for i, row in enumerate(rows):
        y = gap + i * (box + gap)
        yield f'<text class="n" x="4" y="{y + 21}">{len(rows) - 1 - i}</text>'
        each = (width - label - gap * len(row)) / len(row)
        for j, room in enumerate(row):
            x = label + j * (each + gap)
            name = room if f"{room}.py" in _ROOT_MODULES else f"{room}/"
            yield f'<rect x="{x:.1f}" y="{y}" width="{each:.1f}" height="{box}" rx="4"/>'
            yield f'<text x="{x + each / 2:.1f}" y="{y + 15}" text-anchor="middle">{name}</text>'
            yield (
                f'<text class="n" x="{x + each / 2:.1f}" y="{y + 28}" text-anchor="middle" '
                f'font-size="10">{ROOMS[room]}</text>'
            )
    yield "</svg>"


_ROOT_MODULES = {path.name for path in (ROOT / PACKAGE).glob("*.py")}
#: Where the table of rooms stands in docs/architecture.md.
_BEGIN, _END = "<!-- rooms: written by `make architecture` -->", "<!-- /rooms -->"


def table() -> Iterator[str]:
    """The rooms as a table in Markdown: layer, name, what is there by its docstring, modules."""
    yield "| layer | room | what is there | modules |"
    yield "| --- | --- | --- | --- |"
    rows = layers()
    for i, row in enumerate(rows):
        for room in row:
            path = ROOT / PACKAGE / room
            is_module = not path.is_dir()
            face = path.with_suffix(".py") if is_module else path / "__init__.py"
            docstring = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) or ""
            about = docstring.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            name = face.name if is_module else f"{room}/"
            modules = "" if is_module else ", ".join(_modules(path))
            yield f"| {len(rows) - 1 - i} | `{name}` | {about} | {modules} |"


def _modules(folder: Path) -> list[str]:
    """Names of a room's modules and of the folders in it."""
    paths = sorted(path for path in folder.iterdir() if path.name[0] not in "_.")
    folders = [f"{path.name}/" for path in paths if (path / "__init__.py").is_file()]
    return [path.stem for path in paths if path.suffix == ".py"] + folders


def with_table(page: str) -> str:
    """A page with the table of rooms between its two marks.

    Args:
        page: The page in Markdown.
    """
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return "\n".join([before + _BEGIN, "", *table(), "", _END + after])


@click.command(help=__doc__)
@click.option("--write", type=click.Path(path_type=Path), help="The docs to write into.")
def main(write: Path | None) -> None:
    """Print the rooms and the circles; write the picture of the layers and the table of rooms."""
    rows, counts, graph = layers(), lines_by_room(), imports()
    for i, row in enumerate(rows):
        rooms = " · ".join(f"{room} ({counts[room]:,})" for room in row)
        click.echo(f"{len(rows) - 1 - i:>2}  {rooms}")
    click.echo(f"{len(graph)} modules, {sum(counts.values()):,} lines")
    found = circles(graph)
    click.echo(f"strongly connected parts larger than one module: {len(found)}")
    for part in found:
        click.echo("  " + ", ".join(part))
    if write is not None:
        picture, page = write / "images/layers.svg", write / "architecture.md"
        picture.write_text("\n".join(drawn(rows)) + "\n", encoding="utf-8")
        page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
