"""Figures, drawn by matplotlib for paper and screen. A figure that the paper has, too, has the paper's axes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compgen.extras import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points: TypeAlias = Sequence[tuple[float, float]]
"""The (x, y) points of a curve."""

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B6914")
"""Okabe and Ito's colours, which colour-blind readers can tell apart, with a brown in place of their yellow."""
_MARKS = "osD^vPX*"
"""A marker for each colour, for print without colour."""
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.hashsalt": "compgen",
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
    "text.parse_math": False,
}
"""Settings of matplotlib. The hash salt makes the ids in an SVG file, and so its bytes, the same in every run.
Names may hold dollar signs, which would begin a formula."""
_LARGEST = 24.0
"""The largest side of a heat map, inches. Chosen: 3,600 pixels, in which 500 names can be read."""
_NEAREST = 0.02
"""The share of pairs that may be nearer than a heat map's colours tell. Chosen: two files that are nearly equal would
leave one colour to all the others."""
_LEAST_SPAN = 0.05
"""The least span of a heat map's colours. Chosen: a smaller one would show noise as structure."""
_MOST_NUMBERS = 16
"""The most rows of a heat map whose cells show numbers. Chosen: they fit."""


@dataclass(frozen=True)
class Axis:
    """An axis: its label, with the unit, and the base of its logarithm, 2 or 10; 0 for a linear axis."""

    label: str
    base: int = 0


def curves(panels: Mapping[str, Mapping[str, Points]], x: Axis, y: Axis) -> Figure:
    """Return a figure of curves: a panel for each set, a curve for each row of the panel, one legend for all."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(max(5.0, 3.2 * len(panels) + 0.4), 3.8))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for place, (title, panel) in zip(axes, panels.items(), strict=True):
            for name, points in panel.items():
                number = names.index(name)
                place.plot(
                    *zip(*points, strict=True),
                    label=name,
                    color=_COLOURS[number % len(_COLOURS)],
                    marker=_MARKS[number % len(_MARKS)],
                    markersize=3.5,
                    linewidth=1.2,
                    linestyle="-" if number < len(_COLOURS) else "--",
                )
            place.set_title(title, fontsize=10)
            place.set_xlabel(x.label)
            if x.base:
                place.set_xscale("log", base=x.base)
                step = 1024 if x.base == 2 else 1000
                place.xaxis.set_major_formatter(FuncFormatter(lambda value, _, step=step: _short(value, step)))
                place.xaxis.set_minor_formatter(NullFormatter())
            if y.base:
                place.set_yscale("log", base=y.base)
                place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
                place.yaxis.set_minor_formatter(
                    FuncFormatter(lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "246" else "")
                )
            if not y.base:
                place.set_ylim(0, 1.06 * place.dataLim.ymax)
        axes[0].set_ylabel(y.label)
        _legend(figure, axes, len(names))
    return figure


def dots(panels: Mapping[str, Mapping[str, Mapping[str, float]]], x: Axis) -> Figure:
    """Return a figure of dots: a panel for each set, a line for each row, a dot for each value, marked by its kind."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = list(dict.fromkeys(row for panel in panels.values() for row in panel))
    kinds = list(dict.fromkeys(kind for panel in panels.values() for row in panel.values() for kind in row))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(max(2.3 * len(panels), 4.5) + 1.8, 0.26 * len(rows) + 1.5))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for place, (title, panel) in zip(axes, panels.items(), strict=True):
            for number, kind in enumerate(kinds):
                values = [(panel[row][kind], rows.index(row)) for row in panel if kind in panel[row]]
                if values:
                    place.plot(
                        *zip(*values, strict=True),
                        _MARKS[number % len(_MARKS)],
                        label=kind,
                        color=_COLOURS[number % len(_COLOURS)],
                        markersize=5,
                        markerfacecolor="none" if number else _COLOURS[0],
                    )
            place.set_title(title, fontsize=10)
            place.set_xlabel(x.label)
        axes[0].set_yticks(range(len(rows)), rows)
        axes[0].set_ylim(len(rows) - 0.5, -0.5)
        _legend(figure, axes, len(kinds))
    return figure


def clusters(distances: NDArray[np.float64], names: Sequence[str], title: str) -> Figure:
    """Return a heat map of distances whose rows are ordered by clusters, beside the tree of the clusters.

    The tree joins the two clusters whose members are nearest on the mean (average linkage), by the mean of both orders
    of a pair. Colours span the distances between different rows, except for the nearest; the diagonal is mostly off the
    scale.

    Args:
        distances: (n, n), n at least 2.
        names: of the n rows, short ones.
        title: text above.

    Raises:
        MissingExtraError: matplotlib or SciPy is not installed.
    """
    need("matplotlib", "evaluation", "a picture of clusters")
    hierarchy = need("scipy.cluster.hierarchy", "evaluation", "a picture of clusters")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    pairs = np.triu_indices(len(names), 1)
    between = np.maximum((distances + distances.T) / 2, 0)[pairs]
    joins = hierarchy.linkage(between, "average", optimal_ordering=True)
    order = hierarchy.leaves_list(joins)
    ordered = distances[np.ix_(order, order)]
    far = float(between.max())
    near = min(float(np.quantile(between, _NEAREST)), far - _LEAST_SPAN)
    side = min(2.0 + 0.24 * len(names), _LARGEST)
    with mpl.rc_context({**_STYLE, "axes.grid": False}):
        figure = Figure(figsize=(side + 4.0, side + 1.0))
        tree, heat = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [2.0, side]})
        _draw_tree(tree, joins, order)
        low, high = min(float(joins[:, 2].min()), near), float(joins[:, 2].max())
        tree.set_xlim(high + 0.05 * (high - low), low - 0.1 * (high - low))
        shown = heat.imshow(ordered, vmin=near, vmax=far, cmap="viridis", aspect="auto")
        heat.set_title(title, fontsize=10)
        heat.set_xticks([])
        heat.yaxis.tick_right()
        size = min(9.0, 0.8 * 72 * (side - 1.2) / len(names))
        heat.set_yticks(range(len(names)), [names[i] for i in order], fontsize=size)
        heat.tick_params(left=False, right=False, labelleft=False, labelright=True)
        for (row, column), value in np.ndenumerate(ordered) if len(names) <= _MOST_NUMBERS else ():
            colour = "white" if value < (near + far) / 2 else "black"
            heat.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
        figure.colorbar(shown, ax=heat, location="bottom", shrink=0.5, aspect=30, extend="both")
    return figure


def _draw_tree(axes: Axes, joins: NDArray[np.float64], order: NDArray[np.intp]) -> None:
    """Draw the tree of ``joins``, SciPy's linkage matrix, its leaves at the right. Leaf ``order[k]`` is at height k."""
    places = [0.0] * len(order) + [float(join[2]) for join in joins]
    middles = dict(zip(order.tolist(), map(float, range(len(order))), strict=True))
    for number, (first, second) in enumerate(joins[:, :2].astype(int).tolist(), len(order)):
        top, bottom, place = middles[first], middles[second], places[number]
        corners = [places[first], place, place, places[second]]
        axes.plot(corners, [top, top, bottom, bottom], color="black", linewidth=0.8)
        middles[number] = (top + bottom) / 2
    axes.tick_params(left=False, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("distance")


def _legend(figure: Figure, axes: Sequence[Axes], count: int) -> None:
    found = {label: handle for place in axes for handle, label in zip(*place.get_legend_handles_labels(), strict=True)}
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=min(count, 2 * len(axes)))


def _short(value: float, step: int) -> str:
    """Return a number as axes show it: 512, 2K, 1M, where K is ``step``, 1000 or 1024."""
    for power, letter in ((3, "G"), (2, "M"), (1, "K")):
        if value >= step**power and value % step**power == 0:
            return f"{value / step**power:g}{letter}"
    return f"{value:,g}"


def render(figure: Figure, kind: str) -> bytes:
    """Return the figure as a file of ``kind``, svg or png. Equal figures give equal bytes."""
    import matplotlib as mpl

    out = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a character that no font has is drawn as a box
        figure.savefig(out, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return out.getvalue()


def check_installed() -> None:
    """Check before long work that figures and pages can be made.

    Raises:
        MissingExtraError: matplotlib or Jinja is not installed.
    """
    for module in ("jinja2", "matplotlib"):
        need(module, "evaluation", "a report")
