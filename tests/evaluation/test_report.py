"""A report as data, as JSON and as a page: honest words, nothing half-written, all escaped."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmroute import RouterChain, WillingnessToPay
from llmroute.evaluation import Outcomes, Report, evaluate
from llmroute.evaluation.glossary import GLOSSARY
from llmroute.evaluation.page import against_chance, page, verdict
from llmroute.files import plain, write_atomically
from llmroute.metrics import Interval
from tests.evaluation.made_up import Told, made_up, pool_of

FEW = {"replicates": 30, "classic": False}


def report_on(outcomes: Outcomes, **more: Any) -> Report:
    chain = RouterChain(
        pool=pool_of(outcomes),
        scorer=Told(outcomes, 0.1 + 0.6 * outcomes.score),
        policy=WillingnessToPay(usd=1e-5),
    )
    return evaluate(chain, outcomes, **{**FEW, **more})


REPORT = report_on(made_up(), limits="Made up, so nothing.", command="llmroute eval made-up")
PAGE = page(REPORT)


def with_figure(report: Report, **figures: tuple[float, float, float] | None) -> Report:
    """The report with other figures of the router; None takes one away."""
    metrics = dict(report.metrics)
    for name, figure in figures.items():
        metrics.pop(name, None)
        if figure is not None:
            metrics[name] = Interval(*figure, level=0.95, prompts=400)
    return replace(report, router=replace(report.router, metrics=metrics))


class Elements(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


class TestAsData:
    def test_it_is_plain_json(self) -> None:
        content = REPORT.to_dict()
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert content["router"]["metrics"]["aiq"]["value"] == REPORT.metrics["aiq"].value
        assert content["singles"]["m0"] == list(REPORT.singles["m0"])
        assert content["hull"] == REPORT.hull.tolist()
        assert content["provenance"]["replicates"] == 30

    def test_what_is_not_a_number_is_null(self) -> None:
        content = with_figure(REPORT, ece=(0.1, np.nan, np.inf)).to_dict()
        figure = content["router"]["metrics"]["ece"]
        assert (figure["value"], figure["low"], figure["high"]) == (0.1, None, None)

    def test_it_can_be_changed_without_changing_the_report(self) -> None:
        REPORT.to_dict()["singles"]["m0"][0] = -1
        assert REPORT.singles["m0"][0] > 0

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_whatever_it_holds_becomes_strict_json(self, value: Any) -> None:
        found = plain(value)
        assert json.loads(json.dumps(found, allow_nan=False)) == found

    def test_arrays_and_their_numbers_become_lists_and_numbers(self) -> None:
        content = {"a": np.array([[1.0, np.nan]]), "b": np.int64(3), "c": (np.bool_(True),)}
        assert plain(content) == {"a": [[1.0, None]], "b": 3, "c": [True]}

    def test_what_has_no_place_in_json_is_an_error(self) -> None:
        with pytest.raises(TypeError, match="complex, which has no place in JSON"):
            plain({"a": 1j})


class TestFiles:
    def test_json_is_what_the_dictionary_says(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "report.json"
        REPORT.to_json(path)
        assert json.loads(path.read_text("utf-8")) == REPORT.to_dict()

    def test_html_is_the_page(self, tmp_path: Path) -> None:
        REPORT.to_html(str(tmp_path / "report.html"))
        assert (tmp_path / "report.html").read_text("utf-8") == PAGE

    def test_an_older_file_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_text("old")
        REPORT.to_json(path)
        assert path.read_text("utf-8").startswith("{")
        assert list(tmp_path.iterdir()) == [path]

    def test_one_that_cannot_be_replaced_leaves_nothing_behind(self, tmp_path: Path) -> None:
        target = tmp_path / "report.json"
        (target / "a folder, not a file").mkdir(parents=True)
        with pytest.raises(OSError, match=re.escape("report.json")):
            write_atomically(target, "new")
        assert list(tmp_path.iterdir()) == [target]

    def test_figures_that_json_has_not_leave_the_older_file(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_text("old")
        with pytest.raises(TypeError):
            replace(REPORT, source=1j).to_json(path)  # type: ignore[arg-type]
        assert path.read_text() == "old"


class TestVerdict:
    def test_it_says_what_is_saved_and_kept_with_intervals(self) -> None:
        report = with_figure(
            REPORT,
            saved=(0.412, 0.39, 0.43),
            kept=(0.985, 0.97, 1.001),
            cost_save=(0.2, 0.1, 0.3),
        )
        assert verdict(report) == (
            "As configured, llmroute saves 41.2\u00a0% [39.0,\u00a043.0] of the bill of m2, "
            "the best single model, and keeps 98.5\u00a0% [97.0,\u00a0100.1] of its quality; "
            "the cheapest setting on its curve that is as good as that model, picked on these "
            "very prompts, saves 20.0\u00a0% [10.0,\u00a030.0] "
            "of its bill."
        )

    def test_a_router_that_costs_more_adds_to_the_bill(self) -> None:
        said = verdict(with_figure(REPORT, saved=(-0.1, -0.2, -0.05)))
        assert "adds 10.0\u00a0% [5.0,\u00a020.0] of the bill of m2" in said

    def test_where_no_setting_is_as_good_that_is_said(self) -> None:
        said = verdict(with_figure(REPORT, cost_save=None))
        assert said.endswith("no setting on its curve is as good as that model.")

    def test_a_sweep_is_configured_at_no_setting(self) -> None:
        said = verdict(with_figure(REPORT, saved=None, kept=None))
        assert "none of which it is configured at" in said

    @pytest.mark.parametrize(
        ("figure", "words"),
        [
            ((0.02, 0.01, 0.03), "+2.0 [+1.0,\u00a0+3.0] percentage points, a gain."),
            ((-0.02, -0.03, -0.01), "−2.0 [−3.0,\u00a0−1.0] percentage points, a loss."),
            ((0.01, -0.01, 0.03), "+1.0 [−1.0,\u00a0+3.0] percentage points, which may be chance."),
        ],
    )
    def test_it_is_held_against_mixing_at_random(
        self, figure: tuple[float, float, float], words: str
    ) -> None:
        assert against_chance(with_figure(REPORT, over_zero=figure)).endswith(words)

    def test_calls_are_no_bill(self) -> None:
        report = evaluate(["m0"] * 400, made_up(models=2, costs=False), **FEW)
        assert "of the calls of m1" in verdict(report)


class TestPage:
    elements = Elements(PAGE)

    def test_it_asks_for_nothing_and_runs_nothing(self) -> None:
        names = {tag for tag, _ in self.elements.tags}
        assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
        for tag, attributes in self.elements.tags:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "srcset"):
                value = attributes.get(name, "#")
                assert value.startswith(("#", "data:image/svg+xml")), (tag, value[:80])
        assert "url(" not in PAGE
        assert "@import" not in PAGE

    def test_tags_are_closed_in_their_order(self) -> None:
        assert self.elements.open == []

    def test_each_picture_has_a_dark_twin_and_words_for_those_who_do_not_see_it(self) -> None:
        images, sources = self.elements.of("img"), self.elements.of("source")
        assert len(images) == len(sources) == 3
        assert all(image["alt"] for image in images)
        assert {source["media"] for source in sources} == {"(prefers-color-scheme: dark)"}
        assert len(self.elements.of("figcaption")) == 3
        for image, source in zip(images, sources, strict=True):
            assert image["src"] != source["srcset"]

    def test_headings_rows_and_columns_are_marked_as_such(self) -> None:
        assert len(self.elements.of("h1")) == 1
        scopes = [header.get("scope") for header in self.elements.of("th")]
        assert set(scopes) == {"col", "row"}
        assert len(self.elements.of("caption")) == len(self.elements.of("table"))

    def test_what_can_be_scrolled_can_be_reached_by_key_and_has_a_name(self) -> None:
        boxes = [e for e in self.elements.of("div") if e.get("class") in ("box", "table")]
        assert len(boxes) == 6
        assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)

    def test_links_lead_somewhere(self) -> None:
        ids = {attributes["id"] for _, attributes in self.elements.tags if "id" in attributes}
        assert {link["href"][1:] for link in self.elements.of("a")} <= ids

    def test_every_way_to_choose_is_in_the_table(self) -> None:
        for name in (REPORT.router.name, *REPORT.baselines):
            assert f'<th scope="row">{name}</th>' in PAGE

    def test_it_says_where_the_figures_come_from(self) -> None:
        origin = REPORT.provenance
        for said in (
            "llmroute eval made-up",
            "Made up, so nothing.",
            origin.split,
            origin.made,
            *origin.data.values(),
            *(f"{name} {v}" for name, v in origin.versions.items()),
        ):
            assert said in self.elements.text

    def test_every_metric_is_explained(self) -> None:
        everyone = (REPORT.router, *REPORT.baselines.values())
        for name in {name.partition(":")[0] for one in everyone for name in one.metrics}:
            assert f'id="{name}-is"' in PAGE

    def test_costs_are_those_of_a_thousand_prompts(self) -> None:
        expected = f"{1000 * REPORT.metrics['cost'].value:.2f}"
        assert "USD for 1,000 prompts" in self.elements.text
        assert f"<dd>{expected}<small>" in PAGE

    def test_a_figure_without_interval_stands_alone(self) -> None:
        assert "nan" not in page(with_figure(REPORT, ece=(0.1, np.nan, np.nan))).lower().split()

    def test_the_same_report_gives_the_same_page(self) -> None:
        assert page(REPORT) == PAGE

    def test_a_report_of_one_category_and_no_estimates_leaves_out_their_parts(self) -> None:
        outcomes = replace(made_up(), categories=("all",) * 400)
        elements = Elements(page(evaluate(["m1"] * 400, outcomes, **FEW)))
        assert len(elements.of("img")) == 1
        assert "Calibration" not in elements.text

    def test_of_many_categories_it_is_said_how_many_are_not_drawn(self) -> None:
        sizes = {f"c{k}": k for k in range(1, 41)}
        said = Elements(page(replace(REPORT, categories=sizes))).text
        assert "The 30 largest of 40 categories are drawn; 10 are left out." in said


class TestNamesOfStrangers:
    odd = '<script>alert("1")</script>&\'$x$'

    def test_whatever_a_name_holds_is_text(self) -> None:
        outcomes = replace(
            made_up(),
            models=("m0", self.odd, "m2"),
            categories=tuple((self.odd, "b")[i % 2] for i in range(400)),
            source=self.odd,
        )
        report = report_on(
            outcomes,
            name=self.odd + "1",
            limits=self.odd,
            command=self.odd,
            others={self.odd + "2": ["m0"] * 400},
        )
        report = replace(
            report,
            provenance=replace(
                report.provenance,
                split=self.odd,
                made=self.odd,
                data={self.odd: self.odd},
                versions={self.odd: self.odd},
            ),
        )
        html = page(report)
        assert "<script" not in html
        elements = Elements(html)
        assert elements.of("script") == []
        assert elements.text.count(self.odd) > 10
        assert elements.open == []


class TestGlossary:
    def test_each_metric_has_a_name_a_meaning_and_a_way_to_be_written(self) -> None:
        assert all(entry.label for entry in GLOSSARY.values())
        assert all(entry.meaning.endswith(".") for entry in GLOSSARY.values())
        assert {entry.kind for entry in GLOSSARY.values()} == {
            "part",
            "gain",
            "points",
            "number",
            "signed",
            "spend",
        }

    def test_every_figure_that_is_measured_is_in_it(self) -> None:
        two = report_on(made_up(models=2))
        for report in (REPORT, two):
            for one in (report.router, *report.baselines.values()):
                assert {name.partition(":")[0] for name in one.metrics} <= set(GLOSSARY)
