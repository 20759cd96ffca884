"""Categories that were left out: what is measured, and that nothing of them was learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from examples.reproduce import router_floor
from examples.reproduce.router_floor import ATTEMPTS, BEGIN, END, Known, main, table, unseen
from llmroute.errors import ConfigurationError
from llmroute.evaluation import Outcomes
from tests.routers.material import outcomes

pytest.importorskip("sklearn")


def four_kinds(count: int = 240, start: int = 0) -> Outcomes:
    """Sums and proofs, each under two names."""
    whole = outcomes(count, start=start)
    names = tuple(f"{c} {i // 2 % 2}" for i, c in enumerate(whole.categories))
    return replace(whole, categories=names)


def test_nothing_of_a_category_is_learned_where_it_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    test, train = four_kinds(120, 500), four_kinds()
    seen: list[set[str]] = []

    def spy(known: Known) -> np.ndarray:
        kinds = dict(zip(test.prompts, test.categories, strict=True))
        asked = {kinds[prompt] for prompt in known.prompts}
        assert not asked & set(known.lessons.categories)
        seen.append(asked)
        return router_floor.means(known)

    monkeypatch.setitem(ATTEMPTS, "spy", spy)
    unseen(test, train, ["spy"], "words")
    assert set().union(*seen) == set(test.categories)


@pytest.mark.parametrize("name", list(ATTEMPTS))
def test_every_attempt_gives_a_figure(name: str) -> None:
    figure = unseen(four_kinds(120, 500), four_kinds(), [name], "words")[name]
    value, low = (float(part.strip("[],")) for part in figure.split()[:2])
    assert low <= value <= 100


def test_a_kind_known_by_another_name_is_recognised() -> None:
    found = unseen(four_kinds(120, 500), four_kinds(), ["`linear`", "every model's mean"], "words")
    linear, means = (float(figure.split()[0]) for figure in found.values())
    assert linear > means + 20


def test_what_cannot_be_measured_is_said() -> None:
    free = outcomes(120, cost=False)
    with pytest.raises(ConfigurationError, match="has no costs"):
        unseen(free, free, [], "words")


def test_the_command_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(ATTEMPTS) - {"every model's mean"}:
        monkeypatch.delitem(ATTEMPTS, name)
    table_ = four_kinds(400)
    assert table_.cost is not None
    lines = ["prompt,model,score,cost_usd,category"]
    for p, prompt in enumerate(table_.prompts):
        for m, model in enumerate(table_.models):
            numbers = f"{table_.score[p, m]},{table_.cost[p, m]}"
            lines.append(f"{prompt},{model},{numbers},{table_.categories[p]}")
    log, page = tmp_path / "log.csv", tmp_path / "page.md"
    log.write_text("\n".join(lines), encoding="utf-8")
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n", encoding="utf-8")
    arguments = [str(log), "--features", "words", "--write", str(page)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "every model's mean" in page.read_text(encoding="utf-8")


def test_the_table_has_a_row_an_attempt() -> None:
    lines = table({"first": dict.fromkeys(ATTEMPTS, "+1.0 [-2.0, +3.0]")}).splitlines()
    assert lines[0] == "| gap closed, % | `first` |"
    assert len(lines) == 2 + len(ATTEMPTS)
