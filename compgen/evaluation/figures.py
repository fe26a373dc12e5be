"""Figures, drawn by matplotlib for paper and screen. A figure that the paper has, too, has the paper's axes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

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
}
"""Settings of matplotlib. The hash salt makes the ids in an SVG file, and so its bytes, the same in every run."""


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
    with mpl.rc_context(_STYLE):
        figure.savefig(out, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return out.getvalue()


def check_installed() -> None:
    """Check before long work that figures and pages can be made.

    Raises:
        MissingExtraError: matplotlib or Jinja is not installed.
    """
    for module in ("jinja2", "matplotlib"):
        need(module, "evaluation", "a report")
