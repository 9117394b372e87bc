"""The plots of an evaluation, each as PNG and SVG, drawn from its tables. The same tables give the same files."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from synth_llm.evaluation.part import Table
from synth_llm.evaluation.results import PLOTS, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

MADE, REAL, DARK, PALE = "#0072B2", "#D55E00", "#333333", "#BBBBBB"
"""Of the palette of Okabe and Ito, which colour-blind readers tell apart; each has a marker or a pattern too."""
MARKERS = "osD^vP*X"
CLASSES = 30
"""Classes that a plot has room for."""
STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "svg.hashsalt": "synth-llm",
    "text.parse_math": False,
    "figure.dpi": 100,
}


def draw(found: Evaluation) -> None:
    """Write the plots of all tables that have one; a note where matplotlib is not installed."""
    folder = found.path / PLOTS
    for path in [*folder.glob("*.png"), *folder.glob("*.svg")]:
        path.unlink()
    todo = [(table, plot) for table in found.tables if table.rows and (plot := _plot_of(table.name)) is not None]
    if not todo:
        return
    if importlib.util.find_spec("matplotlib") is None:
        found.notes.append("no plots: they need the extra 'evaluate': pip install 'synth-llm[evaluate]'")
        return
    import matplotlib
    from matplotlib.figure import Figure as Drawing

    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for table, plot in todo:
            drawing = Drawing(figsize=(6.4, 3.8), layout="constrained")
            if plot(table, drawing):
                name = re.sub(r"\W+", "_", table.name)
                drawing.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
                drawing.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def _plot_of(name: str) -> Callable[[Table, Drawing], bool] | None:
    """What draws a table of this name; it says whether there was anything to draw."""
    for start, plot in (
        ("learning curve", _learning_curve),
        ("per class", _per_class),
        ("ceilings", _ceilings),
        ("length_histogram", _lengths),
        ("ablation", _ablation),
        ("grid", _grid),
    ):
        if name.startswith(start):
            return plot
    return None


def _learning_curve(table: Table, drawing: Drawing) -> bool:
    axes = drawing.subplots()
    sizes = sorted({row[0] for row in table.rows})
    for kind, colour, marker in (("made and real", MADE, "o"), ("real alone", REAL, "s")):
        rows = [row for row in table.rows if row[1] == kind and row[2] is not None]
        at = [sizes.index(row[0]) for row in rows]
        value, low, high = ([row[column] for row in rows] for column in (2, 3, 4))
        axes.plot(at, value, marker=marker, color=colour, label=kind)
        if all(end is not None for end in (*low, *high)):
            axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    axes.set_xlabel("real rows")
    axes.set_ylabel(f"{table.title.partition(' of ')[0]}, 95 % interval")
    axes.set_title(table.title)
    _legend_below(drawing, axes)
    return len(sizes) > 1


def _per_class(table: Table, drawing: Drawing) -> bool:
    f1 = [at for at, column in enumerate(table.columns) if column.endswith(" F1")]
    rows = [row for row in table.rows if all(row[at] is not None for at in f1)] if f1 else []
    if not rows:
        return False
    shown = sorted(rows, key=lambda row: (row[f1[0]], str(row[0])))[:CLASSES]
    _tall(drawing, len(shown) * (len(f1) + 0.6) * 0.13)
    axes = drawing.subplots()
    width = 0.8 / len(f1)
    for number, at in enumerate(f1):
        name = {"tstr F1": "learned from made rows", "trtr F1": "learned from real rows"}.get(
            table.columns[at], table.columns[at]
        )
        places = [place - 0.4 + (number + 0.5) * width for place in range(len(shown))]
        hatch = "" if number == 0 else "////"
        colour = (MADE, REAL)[number % 2]
        axes.barh(
            places, [row[at] for row in shown], width * 0.92, color=colour, label=name, hatch=hatch, edgecolor="white"
        )
    _named(axes, [f"{row[0]} ({row[1]:,})" for row in shown])
    axes.set_xlim(0, 1)
    axes.set_xlabel("F1 (test rows of the class in brackets)")
    few = f"the {CLASSES} worst of {len(rows)} classes" if len(rows) > CLASSES else "worst first"
    axes.set_title(f"{table.title}: {few}")
    _legend_below(drawing, axes)
    return True


def _ceilings(table: Table, drawing: Drawing) -> bool:
    rows = [row for row in table.rows if _within(row[1]) and _within(row[2])]
    if not rows:
        return False
    _tall(drawing, len(rows) * 0.3)
    axes = drawing.subplots()
    for column, shift, colour, marker, name in (
        *((1, -0.13, MADE, "o", "made against real"), (2, 0.13, REAL, "s", "two halves of the real rows")),
    ):
        places = [at + shift for at in range(len(rows))]
        _dots(axes, places, [row[column] for row in rows], colour, marker, name)
    _named(axes, [str(row[0]) for row in rows])
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="y", color=PALE, linewidth=0.4)
    axes.set_xlabel("figures between 0 and 1, 95 % interval; where the two differ, the made rows do")
    axes.set_title("Made rows beside what real rows score")
    _legend_below(drawing, axes)
    return True


def _lengths(table: Table, drawing: Drawing) -> bool:
    last = table.rows[-1][1]
    bins = [(math.ceil(start), math.ceil(end) + (end == last), made, real) for start, end, made, real in table.rows]
    rows = [row for row in bins if row[1] > row[0]]  # numbers of words are whole
    axes = drawing.subplots()
    edges = [*(row[0] - 0.5 for row in rows), rows[-1][1] - 0.5]
    for column, colour, name in ((2, MADE, "made"), (3, REAL, "real")):
        heights = [row[column] / (row[1] - row[0]) for row in rows]
        axes.stairs(
            heights, edges, color=colour, fill=column == 2, alpha=0.45 if column == 2 else 1, label=name, lw=1.6
        )
    axes.set_xlabel("words in a row")
    axes.set_ylabel("share of rows a word")
    axes.set_title("Lengths")
    _legend_below(drawing, axes)
    return True


def _ablation(table: Table, drawing: Drawing) -> bool:
    columns = list(table.columns)
    difference, verdict = columns.index("difference"), columns.index("verdict")
    rows = list(table.rows)
    _tall(drawing, len(rows) * 0.38)
    axes = drawing.subplots()
    kinds = {"earned": (MADE, ""), "cost": (REAL, "////"), "no difference": (PALE, "")}
    for kind, (colour, hatch) in kinds.items():
        at = [number for number, row in enumerate(rows) if row[verdict] == kind]
        if at:
            values = [rows[number][difference][0] for number in at]
            axes.barh(at, values, 0.6, color=colour, hatch=hatch, edgecolor="white", label=kind)
    value, low, high = ([row[difference][end] for row in rows] for end in range(3))
    spread = [[v - a for v, a in zip(value, low, strict=True)], [b - v for v, b in zip(value, high, strict=True)]]
    axes.errorbar(value, range(len(rows)), xerr=spread, fmt="o", color=DARK, ms=3, capsize=3, lw=1)
    axes.axvline(0, color=DARK, lw=0.8)
    _named(axes, [str(row[0]) for row in rows])
    score = columns[3].removesuffix(" with")
    axes.set_xlabel(f"{score} without the rows it rejected, less {score} with them; 95 % interval")
    axes.set_title(table.title)
    _legend_below(drawing, axes)
    return True


def _grid(table: Table, drawing: Drawing) -> bool:
    import matplotlib

    axes = drawing.subplots()
    thresholds = sorted({row[1] for row in table.rows})
    colours = matplotlib.colormaps["viridis"]
    for number, threshold in enumerate(thresholds):
        rows = sorted((row for row in table.rows if row[1] == threshold), key=lambda row: row[0])
        size, _, value, low, high = zip(*rows, strict=True)
        colour = colours(0.9 * number / max(1, len(thresholds) - 1))
        shift = 1 + 0.02 * (number - len(thresholds) / 2)
        spread = [[v - a for v, a in zip(value, low, strict=True)], [b - v for v, b in zip(value, high, strict=True)]]
        axes.errorbar(
            [one * shift for one in size],
            value,
            yerr=spread,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            capsize=2,
            lw=1.2,
            elinewidth=0.7,
            label=f"from {threshold:.3g}",
        )
    axes.set_xscale("log")
    sizes = _apart(sorted({row[0] for row in table.rows}))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("rows that are learned from")
    score, _, by = table.title.partition(" by number of rows and lowest ")
    axes.set_ylabel(f"{score}, 95 % interval")
    axes.set_title(f"Quantity against quality: {by}")
    axes.legend(title="threshold", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return True


def _dots(
    axes: Axes, places: Sequence[float], cells: Sequence[Sequence[float]], colour: str, marker: str, name: str
) -> None:
    """Values with their intervals, from left to right."""
    values = [cell[0] for cell in cells]
    ends = [(cell[0] if end is None else end) for cell in cells for end in cell[1:]]
    spread = [
        [max(0.0, v - a) for v, a in zip(values, ends[::2], strict=True)],
        [max(0.0, b - v) for v, b in zip(values, ends[1::2], strict=True)],
    ]
    axes.errorbar(values, places, xerr=spread, fmt=marker, color=colour, ms=5, lw=1.2, capsize=2, label=name)


def _within(cell: Any) -> bool:
    """Whether an interval is there and its value between 0 and 1."""
    return isinstance(cell, list | tuple) and cell[0] is not None and 0 <= cell[0] <= 1


def _apart(sizes: list[int]) -> list[int]:
    """Those that have room for a label on a logarithmic axis."""
    kept: list[int] = []
    for size in sorted(sizes, reverse=True):
        if not kept or kept[-1] / size > 1.35:
            kept.append(size)
    return kept


def _tall(drawing: Drawing, inches: float) -> None:
    """Room for so many inches of bars."""
    drawing.set_size_inches(6.4, max(2.6, 1.4 + inches))


def _legend_below(drawing: Drawing, axes: Axes) -> None:
    drawing.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def _named(axes: Axes, names: Sequence[str]) -> None:
    """A line for each name, from above."""
    axes.set_yticks(range(len(names)), [name if len(name) <= 34 else name[:33] + "…" for name in names])
    axes.set_ylim(len(names) - 0.45, -0.55)
