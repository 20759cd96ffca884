"""Names beside points, none over another: what a picture of many models stands or falls by."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llmroute.numerics import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Left, bottom, right and top, in pixels.
Box = tuple[float, float, float, float]

#: How far from its point a name may stand, in points of 1/72 inch, the nearest first.
_DISTANCES = (6.0, 11.0, 18.0, 27.0, 38.0, 52.0)
#: Where it may stand: beside the point before above or below it, since names are wide.
_ANGLES = (0, 180, 90, 270, 35, 145, 325, 215, 60, 120, 300, 240)
#: From here on a line says which point is meant.
_FAR = 11.0
#: What a name covers costs this much: another name, a point, a piece of a curve, all curves
#: together at most. To stand outside the frame counts as covering a name.
_NAME, _POINT, _CURVE, _CURVES = 1000.0, 40.0, 1.0, 30.0


def label_points(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    *,
    avoid: Floats,
    halo: str,
    **style: Any,
) -> None:
    """Write names beside points, where they cover no other name and as little else as can be.

    Positions are tried in a fixed order, so the same figures give the same picture. The limits and
    the size of the axes are settled; `points` and `avoid`, (N, 2) points of curves that had better
    stay visible, are in their data. `halo` is the colour behind the letters, which keeps them
    legible over a line; `style` is passed to `Axes.annotate`.
    """
    if not names:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = axes.get_figure(root=True)
    assert figure is not None  # axes stand in a figure
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    scale = figure.dpi / 72
    frame = axes.get_window_extent(renderer)
    marks = axes.transData.transform(np.asarray(points, dtype=np.float64))
    curve = axes.transData.transform(avoid) if len(avoid) else np.empty((0, 2))
    inside = (frame.x0, frame.y0, frame.x1, frame.y1)
    taken: list[Box] = []
    # Crowded points choose first: they have the fewest places.
    for k in _crowded_first(marks):
        style |= {"textcoords": "offset points", "annotation_clip": False}
        text = axes.annotate(names[k], points[k], xytext=(0, 0), **style)
        extent = text.get_window_extent(renderer)
        size = (extent.width, extent.height)
        tried = [
            (_covered(box, inside, taken, marks, curve) + 0.4 * far, far, offset, box)
            for far, offset, box in _places(marks[k], size, scale)
        ]
        _, far, offset, box = min(tried, key=lambda place: place[0])
        taken.append(box)
        text.xyann = offset
        text.set(horizontalalignment="center", verticalalignment="center")
        text.set_bbox({"facecolor": halo, "alpha": 0.7, "linewidth": 0, "pad": 0.4})
        if far >= _FAR:
            _lead(axes, marks[k], box, style.get("color"))


def _crowded_first(marks: Floats) -> list[int]:
    apart = np.hypot(*(marks[:, None] - marks).transpose(2, 0, 1))
    near = np.sort(apart, axis=1)[:, : min(4, len(marks))].sum(axis=1)
    return [int(k) for k in np.argsort(near, kind="stable")]


def _places(
    mark: Floats, size: tuple[float, float], scale: float
) -> Iterator[tuple[float, tuple[float, float], Box]]:
    """Distance, offset of the middle in points, and box in pixels of each place to try."""
    half = np.array(size) / 2
    for far, angle in itertools.product(_DISTANCES, _ANGLES):
        toward = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        # The box's near edge, not its middle, keeps the distance.
        offset = far * scale * toward + half * np.where(np.abs(toward) < 0.1, 0, np.sign(toward))
        low, high = mark + offset - half, mark + offset + half
        yield far, tuple(offset / scale), (*low, *high)


def _covered(box: Box, frame: Box, taken: Sequence[Box], marks: Floats, curve: Floats) -> float:
    x0, y0, x1, y1 = box
    outside = x0 < frame[0] or y0 < frame[1] or x1 > frame[2] or y1 > frame[3]
    cost = _NAME * outside
    for a0, b0, a1, b1 in taken:
        cost += _NAME * (x0 < a1 + 2 and a0 < x1 + 2 and y0 < b1 + 1 and b0 < y1 + 1)
    for points, weight, most in ((marks, _POINT, np.inf), (curve, _CURVE, _CURVES)):
        x, y = points[:, 0], points[:, 1]
        within = (x > x0 - 4) & (x < x1 + 4) & (y > y0 - 4) & (y < y1 + 4)
        cost += min(weight * int(within.sum()), most)
    return cost


def _lead(axes: Axes, mark: Floats, box: Box, colour: str | None) -> None:
    """A thin line from a point to the nearest place on its name's box."""
    nearest = (np.clip(mark[0], box[0], box[2]), np.clip(mark[1], box[1], box[3]))
    ends = axes.transData.inverted().transform(np.array([mark, nearest]))
    axes.plot(*ends.T, color=colour, lw=0.6, alpha=0.6, zorder=2, scalex=False, scaley=False)
