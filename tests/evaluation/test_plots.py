"""Pictures: drawn for every unit, the same each time, legible names, nothing half-written."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmroute import RouterChain, Threshold, WillingnessToPay
from llmroute.evaluation import Outcomes, Report, evaluate
from llmroute.evaluation.canvas import saved
from llmroute.evaluation.label_placement import label_points
from llmroute.evaluation.plots import (
    category_heatmap,
    cost_quality,
    largest_categories,
    pictures,
    reliability,
    strongest_models,
    write_pictures,
)
from tests.evaluation.made_up import Told, made_up, pool_of

FEW = {"replicates": 20, "classic": False}
PNG = b"\x89PNG\r\n"


def report_on(outcomes: Outcomes) -> Report:
    quality = 0.1 + 0.6 * outcomes.score
    chain = RouterChain(
        pool=pool_of(outcomes),
        scorer=Told(outcomes, quality),
        policy=WillingnessToPay(usd=1e-5),
    )
    return evaluate(chain, outcomes, **FEW)


REPORT = report_on(made_up())


def texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]  # type: ignore[attr-defined]


class TestCostAgainstQuality:
    def test_every_model_has_its_name(self) -> None:
        said = texts(cost_quality(REPORT))
        assert {"m0", "m1", "m2", "random"} <= set(said)

    def test_the_legend_tells_the_router_its_setting_and_the_bounds(self) -> None:
        said = texts(cost_quality(REPORT))
        for expected in ("llmroute", "llmroute, as configured", "95 % interval", "category"):
            assert expected in said
        assert any("zero router" in text for text in said)
        assert any("oracle" in text for text in said)

    def test_costs_that_span_a_hundredfold_are_on_a_log_axis(self) -> None:
        axes = cost_quality(REPORT).axes[0]
        assert axes.get_xscale() == "log"
        assert "USD" in axes.get_xlabel()

    def test_the_share_of_strong_calls_is_on_a_linear_one(self) -> None:
        outcomes = made_up(models=2, costs=False)
        chain = RouterChain(
            pool=pool_of(outcomes).without_prices(),
            scorer=Told(outcomes, 0.1 + 0.6 * outcomes.score),
            policy=Threshold(threshold=0.3),
        )
        axes = cost_quality(evaluate(chain, outcomes, **FEW)).axes[0]
        assert axes.get_xscale() == "linear"
        assert axes.get_xlabel() == "prompts sent to the strong model, %"
        assert list(axes.get_xticks()) == [0, 20, 40, 60, 80, 100]

    def test_a_model_that_costs_nothing_has_a_place_too(self) -> None:
        outcomes = made_up()
        assert outcomes.cost is not None
        free = replace(outcomes, cost=outcomes.cost * [0, 1, 1])
        report = evaluate(["m0"] * len(free), free, **FEW)
        figure = cost_quality(report)
        assert figure.axes[0].get_xscale() == "symlog"
        assert saved(figure, "png").startswith(PNG)

    def test_many_models_without_costs_are_counted_in_calls(self) -> None:
        free = made_up(costs=False)
        figure = cost_quality(evaluate(["m0"] * len(free), free, **FEW))
        assert figure.axes[0].get_xlabel() == "calls a prompt"
        assert saved(figure, "svg")

    def test_a_router_of_one_setting_is_a_point(self) -> None:
        report = evaluate(["m1"] * 400, made_up(), name="mine", **FEW)
        said = texts(cost_quality(report))
        assert "mine, as configured" in said
        assert "95 % interval" not in said

    def test_a_name_with_dollar_signs_is_no_formula(self) -> None:
        odd = replace(made_up(), models=("$\\frac$", "a_b^c$", "<script>"))
        report = evaluate(["a_b^c$"] * 400, odd, **FEW)
        assert "$\\frac$" in texts(cost_quality(report))
        assert saved(cost_quality(report), "svg")


class TestNames:
    @settings(max_examples=15, deadline=None)
    @given(st.integers(1, 14), st.integers(0, 1000))
    def test_none_stands_on_another_however_the_points_lie(self, count: int, seed: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 5), dpi=100)
        axes = figure.add_axes((0.1, 0.1, 0.85, 0.85))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        points = [(x, y) for x, y in np.random.default_rng(seed).uniform(0.1, 0.9, (count, 2))]
        names = [f"a-model-of-some-length-{k}" for k in range(count)]
        label_points(axes, points, names, avoid=np.empty((0, 2)), halo="#fff", fontsize=7)
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert sorted(text.get_text() for text in axes.texts) == sorted(names)
        for k, one in enumerate(boxes):
            assert axes.bbox.x0 <= one.x0
            assert one.x1 <= axes.bbox.x1
            assert not any(one.overlaps(other) for other in boxes[k + 1 :])

    def test_nor_in_a_picture_of_many_models(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = cost_quality(report_on(made_up(models=11)))
        axes, renderer = figure.axes[0], FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        assert len(boxes) == 12
        for k, one in enumerate(boxes):
            assert not any(one.overlaps(other) for other in boxes[k + 1 :])

    def test_no_point_needs_no_name(self) -> None:
        from matplotlib.figure import Figure

        label_points(Figure().add_subplot(), [], [], avoid=np.empty((0, 2)), halo="#fff")


class TestCategories:
    def test_rows_are_categories_with_their_prompts(self) -> None:
        labels = [t.get_text() for t in category_heatmap(REPORT).axes[0].get_yticklabels()]
        assert labels == ["a  (200)", "b  (200)"]

    def test_columns_are_the_router_rising_single_models_and_the_oracle(self) -> None:
        labels = [t.get_text() for t in category_heatmap(REPORT).axes[0].get_xticklabels()]
        assert labels == ["llmroute", "m0", "m1", "m2", "oracle"]

    def test_each_cell_has_its_figure(self) -> None:
        cells = [t.get_text() for t in category_heatmap(REPORT).axes[0].texts]
        assert len(cells) == 10
        assert cells[0] == f"{100 * REPORT.router.categories['a']:.0f}"

    def test_of_many_the_thirty_largest_are_drawn(self) -> None:
        sizes = {f"c{k:02}": k for k in range(1, 41)}
        many = replace(REPORT, categories=sizes)
        assert largest_categories(many) == [f"c{k}" for k in range(40, 10, -1)]
        assert saved(category_heatmap(many), "png").startswith(PNG)

    def test_one_category_is_no_picture(self) -> None:
        assert "category_heatmap" not in pictures(replace(REPORT, categories={"all": 400}))


class TestReliability:
    def test_a_panel_for_each_model_the_strongest_first(self) -> None:
        titles = [axes.get_title() for axes in reliability(REPORT).axes]
        assert titles == ["m2", "m1", "m0"]

    def test_of_many_the_twelve_strongest_are_drawn(self) -> None:
        report = report_on(made_up(models=15))
        assert len(reliability(report).axes) == 12
        assert "m14" in strongest_models(report)
        assert "m0" not in strongest_models(report)

    def test_a_panel_says_its_calibration_error(self) -> None:
        bins = REPORT.reliability["m2"]
        error = np.average(np.abs(bins.observed - bins.expected), weights=bins.prompts)
        assert f"ECE {error:.3f}" in texts(reliability(REPORT))

    def test_a_router_without_estimates_has_none(self) -> None:
        report = evaluate(["m1"] * 400, made_up(), **FEW)
        assert set(pictures(report)) == {"cost_quality", "category_heatmap"}


class TestFiles:
    def test_each_picture_is_there_in_light_and_in_dark(self, tmp_path: Path) -> None:
        written = write_pictures(REPORT, tmp_path / "new" / "folder")
        assert {path.name for path in written} == {
            f"{name}{suffix}.png"
            for name in ("cost_quality", "category_heatmap", "reliability")
            for suffix in ("", "-dark")
        }
        assert all(path.read_bytes().startswith(PNG) for path in written)
        assert sorted(written) == sorted((tmp_path / "new" / "folder").iterdir())

    @pytest.mark.parametrize("draw", [cost_quality, category_heatmap, reliability])
    def test_the_same_report_gives_the_same_bytes(self, draw: object) -> None:
        assert saved(draw(REPORT), "svg") == saved(draw(REPORT), "svg")  # type: ignore[operator]
        assert saved(draw(REPORT), "png") == saved(draw(REPORT), "png")  # type: ignore[operator]

    def test_the_users_own_settings_change_nothing_and_stay(self) -> None:
        import matplotlib

        expected = saved(cost_quality(REPORT), "svg")
        with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
            assert saved(cost_quality(REPORT), "svg") == expected
            assert matplotlib.rcParams["font.size"] == 30

    def test_dark_differs_from_light(self) -> None:
        assert saved(cost_quality(REPORT, dark=True), "svg") != saved(cost_quality(REPORT), "svg")

    def test_an_svg_holds_no_date(self) -> None:
        assert b"<dc:date>" not in saved(cost_quality(REPORT), "svg")


WITHOUT = """
import sys
sys.modules["matplotlib"] = None  # what Python itself leaves where an import is to fail
from llmroute.errors import MissingExtra
from llmroute.evaluation import evaluate
from tests.evaluation.made_up import made_up
report = evaluate(["m1"] * 400, made_up(), replicates=5, classic=False)
report.to_json(sys.argv[1] + "/report.json")
try:
    report.to_html(sys.argv[1] + "/report.html")
except MissingExtra as error:
    print(error)
"""


def test_without_matplotlib_it_is_said_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Drawing needs packages" in done.stdout
    assert "llmroute[eval]" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
