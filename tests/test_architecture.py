"""The house stands as docs/architecture.md has it: no circles, layers, rooms, names, sizes."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import networkx
import pytest

from examples.reproduce import architecture
from llmroute.routers.names import NAMES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llmroute"
MODULES = sorted(PACKAGE.rglob("*.py"))

#: What a user imports or runs. All else must be reached from these.
FACES = (
    "llmroute",
    "llmroute.__main__",
    "llmroute.cli",
    "llmroute.config",
    "llmroute.config.__main__",
    "llmroute.decision_model",
    "llmroute.evaluation",
    "llmroute.evaluation.sharded",
    "llmroute.metrics",
    "llmroute.middleware",
    "llmroute.otel",
    "llmroute.profiling",
    "llmroute.routers",
    "llmroute.scoring",
    "llmroute.testing",
    "llmroute.training",
)
#: Modules that are found by their dotted names in a table, and the module that has the table.
BY_NAME = {
    "llmroute.pool": ["llmroute.profiling", "llmroute.scoring.pool_fit"],
    "llmroute.scoring.registry": ["llmroute.scoring.local", "llmroute.routers.folder_loader"],
    "llmroute.routers.folder_loader": [f"llmroute.routers.{name}" for name in NAMES],
    "llmroute.cli.app": [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(PACKAGE.glob("cli/**/*_command.py"))
    ],
}


@pytest.fixture(scope="module")
def graph() -> networkx.DiGraph:
    return architecture.imports()


def test_no_module_is_in_a_circle(graph: networkx.DiGraph) -> None:
    assert architecture.circles(graph) == []


def test_imports_go_down_the_layers() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "importlinter.cli", "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_room_is_in_a_layer_and_in_the_picture() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    rooms -= {"__init__", "__main__"}
    in_layers = [room for layer in architecture.layers() for room in layer]
    assert Counter(in_layers) == Counter(rooms)
    assert set(architecture.ROOMS) == rooms


def test_every_module_is_reached_from_a_face_or_a_command(graph: networkx.DiGraph) -> None:
    whole = graph.copy()
    for module, named in BY_NAME.items():
        whole.add_edges_from((module, name) for name in named)
    for package in list(whole):  # importing a module imports the packages it lies in
        parent = package.rpartition(".")[0]
        if parent:
            whole.add_edge(package, parent)
    reached = {module for face in FACES for module in {face} | networkx.descendants(whole, face)}
    assert set(whole) - reached == set()


def test_the_root_has_few_modules() -> None:
    root = [path for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert len(root) <= 14, sorted(path.name for path in root)


def test_no_two_modules_have_one_file_name() -> None:
    names = Counter(path.name for path in MODULES)
    del names["__init__.py"], names["__main__.py"]
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_is_too_long_to_read_and_the_wheel_not_either() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {path.name: size for path, size in sizes.items() if size > 450} == {}
    assert sum(sizes.values()) <= 35_000


def test_the_picture_of_the_layers_is_the_one_that_the_command_draws() -> None:
    shipped = (ROOT / "docs/images/layers.svg").read_text(encoding="utf-8")
    made = "\n".join(architecture.drawn(architecture.layers())) + "\n"
    assert shipped == made, "draw it again: make architecture"


def test_the_table_of_rooms_is_the_one_that_the_command_writes() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert page == architecture.with_table(page), "write it again: make architecture"
