"""README and docs: the six lines print what is said, and links, paths and imports are right."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: The first Python block, and the block of its output that follows.
EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n+```\n(?P<output>.*?)```", re.DOTALL)
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def test_its_six_lines_print_what_it_says_without_a_key(tmp_path: Path) -> None:
    example = EXAMPLE.search(README)
    assert example is not None
    assert len(example["code"].splitlines()) == 6
    done = subprocess.run(
        [sys.executable, "-c", example["code"]],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == example["output"]


def test_it_has_at_most_900_words() -> None:
    assert len(README.split()) <= 900


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s#]*)(#[^)\s]+)?\)", page.read_text(encoding="utf-8"))
    for path, anchor in links:
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{path} is not there"
        assert not anchor or anchor[1:] in anchors(target), f"{path} has no heading {anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|json|md|yaml))`", page.read_text(encoding="utf-8"))
    places = (ROOT, ROOT / "llmroute", page.parent)
    missing = [name for name in named if not any((place / name).exists() for place in places)]
    assert not missing


@pytest.mark.filterwarnings("error:llmroute.* is now:DeprecationWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_imports_is_there_under_its_present_name(page: Path) -> None:
    imports = re.findall(
        r"^from (llmroute[\w.]*) import ([^#\n]+)", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    for module, names in imports:
        if module == "llmroute.decision_model" and not find_spec("langchain_core.decisions"):
            continue  # langchain-core before 1.8
        found = importlib.import_module(module)
        for name in names.split(","):
            assert hasattr(found, name.strip()), f"{module} has no {name}"
