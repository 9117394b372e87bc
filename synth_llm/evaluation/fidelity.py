"""Fidelity: is the set like real rows, in lengths, words, labels, attributes, numbers and meaning?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from synth_llm.errors import InputError
from synth_llm.evaluation.ceiling import DRAWS, LEAST, Sides, Sort, finite
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Part, Table
from synth_llm.measure.distributions import (
    bin_edges,
    category_counts,
    chi_squared,
    correlation_distance,
    correlations,
    js_of,
    kl_of,
    ks,
    number_counts,
    variation_of,
)
from synth_llm.measure.interval import wilson
from synth_llm.measure.label_errors import label_noise
from synth_llm.measure.manifold import covering, frechet, mauve
from synth_llm.measure.two_sample import c2st
from synth_llm.row import canonical
from synth_llm.student.probe import need_sklearn
from synth_llm.text import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

MOST = 1000
"""Rows a side on vectors: more would only make intervals narrower, and take long."""
SHOWN = 50
"""Categories in a table, the commonest."""

SORTS = {
    "js": Sort("bits", "lower"),
    "kl": Sort("bits", "lower", math.inf),
    "tv": Sort("share", "lower"),
    "ks": Sort("share", "lower"),
    "correlation_distance": Sort("correlation", "lower", 2.0),
    "rank_correlation_distance": Sort("correlation", "lower", 2.0),
    "mauve": Sort("area", "higher"),
    "frechet": Sort("squared distance", "lower", math.inf),
    "precision": Sort("share", "higher"),
    "recall": Sort("share", "higher"),
    "density": Sort("neighbourhoods", "higher", math.inf),
    "coverage": Sort("share", "higher"),
    "c2st": Sort("accuracy", "lower"),
    "label_noise": Sort("share", "lower"),
}


def fidelity(data: Data) -> Part:
    """How like the real rows the made ones are. Without real rows there is nothing but a note.

    Raises InputError for a row without a label or a number that is compared, or for a column that no row has;
    MissingExtra without scikit-learn and scipy.
    """
    if data.real is None:
        return Part(notes=["fidelity was left out: it needs real rows (`real`)"])
    n = min(len(data.made), len(data.real)) // 2
    if n < LEAST:
        return Part(notes=[f"fidelity was left out: it needs {2 * LEAST} made and {2 * LEAST} real rows or more"])
    need_sklearn("fidelity")
    sides = Sides(data, data.made, data.real)
    words = sides.each(lambda side: [Text(text).words for text in side.texts])
    _number_column(sides, "length", *([float(len(one)) for one in texts] for texts in words))
    _vocabulary(sides, *words)
    if all(side.label for side in sides.both):
        _category(sides, "label", *sides.each(lambda side: side.labels))
    for column in data.settings.attributes:
        _category(sides, column, *sides.each(lambda side, column=column: _categories(side, column)))  # type: ignore[misc]
    _numbers(sides, data.settings.numbers)
    _vectors(sides)
    part = sides.part
    columns = ["figure", "made against real", "two halves of the real rows", "rows a side", "apart"]
    part.tables.insert(
        0, Table("ceilings", "Made rows against real, beside two halves of the real rows", columns, sides.rows)
    )
    if sides.tests:
        columns = ["of", "test", "statistic", "p", "Cramér's V"]
        part.tables.insert(1, Table("tests", "Tests on all rows", columns, sides.tests))
        part.notes.append("the p of each test is by itself, as if it were the only one")
    part.notes.insert(
        0,
        f"each figure is the mean of {DRAWS} draws of {n} made against {n} real rows, out of {len(data.made)} and "
        f"{len(data.real)}; beside it the same of {n} real rows against the {n} others",
    )
    return part


def _divergences(sides: Sides, name: str, made: Any, real: Any, counts: Callable[[Any], ArrayLike]) -> None:
    """The figure `<name>_js`, and in the table `_kl` and `_tv`, of the histograms that `counts` makes of rows."""

    def measures(one: Any, other: Any, draw: int) -> dict[str, float]:
        p, q = counts(one), counts(other)
        return {"js": js_of(p, q), "kl": kl_of(p, q), "tv": variation_of(p, q)}

    for kind, compared in sides.compare(made, real, measures).items():
        sides.tell(f"{name}_{kind}", compared, SORTS[kind], is_figure=kind == "js")


def _number_column(sides: Sides, name: str, made: Sequence[float], real: Sequence[float]) -> None:
    """A column of numbers: divergences of its histograms, a test, and a table that can be drawn."""
    import numpy as np

    one, other = np.array(made, float), np.array(real, float)
    edges = bin_edges(other)
    _divergences(sides, name, one, other, lambda rows: number_counts(rows, edges))
    test = ks(made, real)
    sides.tests.append([name, "Kolmogorov-Smirnov", *map(finite, test), None])
    counts = [number_counts(rows, edges) / len(rows) for rows in (one, other)]
    are_whole = bool((one % 1 == 0).all() and (other % 1 == 0).all())
    above = other.max() + are_whole
    starts, ends = [one.min(), *edges[:-1], above], [*edges[:-1], above, one.max()]
    bins = zip(map(_rounded, starts), map(_rounded, ends), *(count.tolist() for count in counts), strict=True)
    rows = [list(row) for row in bins]
    if not rows[0][2]:
        rows.pop(0)
    if not rows[-1][2]:
        rows.pop()
        rows[-1][1] = _rounded(other.max())
    unit = " in words" if name == "length" else ""
    title = f"{name.capitalize()}{unit}: shares of rows from a number up to, and without, the next; the last with it"
    sides.part.tables.append(Table(f"{name}_histogram", title, ["from", "to", "made", "real"], rows))


def _vocabulary(sides: Sides, made: Sequence[Sequence[str]], real: Sequence[Sequence[str]]) -> None:
    """Words: how often each stands in all rows together."""
    import numpy as np
    from scipy.sparse import csr_matrix

    at: dict[str, int] = {}
    matrices = []
    for texts in (made, real):
        columns = [at.setdefault(word, len(at)) for text in texts for word in text]
        ends = np.cumsum([0, *map(len, texts)])
        matrices.append((np.ones(len(columns)), columns, ends))
    one, other = (csr_matrix(parts, shape=(len(parts[2]) - 1, max(1, len(at)))) for parts in matrices)
    _divergences(sides, "vocabulary", one, other, lambda rows: np.asarray(rows.sum(axis=0)).ravel())


def _category(sides: Sides, name: str, made: Sequence[str], real: Sequence[str]) -> None:
    """A column of categories: divergences of its histograms, a test, and its table."""
    import numpy as np

    names, *_ = category_counts(made, real)
    at = {value: number for number, value in enumerate(names)}
    one, other = (np.array([at[value] for value in values]) for values in (made, real))
    _divergences(sides, name, one, other, lambda rows: np.bincount(rows, minlength=len(names)))
    test = chi_squared(made, real)
    sides.tests.append([name, "chi-squared", *map(finite, (test.value, test.p, test.v))])
    counts = [Counter(made), Counter(real)]
    names.sort(key=lambda value: (-counts[1][value], -counts[0][value], value))
    rows = [
        [
            value,
            *(list(wilson(count[value], total)) for count, total in zip(counts, (len(made), len(real)), strict=True)),
        ]
        for value in names[:SHOWN]
    ]
    title = f"{name.capitalize()}: shares of rows"
    if len(names) > SHOWN:
        title += f"; the {SHOWN} commonest of {len(names)} values"
    sides.part.tables.append(Table(f"{name}_histogram", title, ["value", "made", "real"], rows))


def _numbers(sides: Sides, columns: Sequence[str]) -> None:
    """Columns of numbers, each by itself and their correlations."""
    import numpy as np

    if not columns:
        return
    made, real = (np.array(rows) for rows in sides.each(lambda side: _numbers_of(side, columns)))
    for at, column in enumerate(columns):
        one, other = (table[:, at][~np.isnan(table[:, at])] for table in (made, real))
        _number_column(sides, column, one, other)
        for compared in sides.compare(one, other, lambda a, b, draw: {"ks": ks(a, b).value}).values():
            sides.tell(f"ks_{column}", compared, SORTS["ks"])
        missing = len(made) - len(one), len(real) - len(other)
        if any(missing):
            note = f"{missing[0]} made and {missing[1]} real rows have no '{column}'; they are no part of its figures"
            sides.part.notes.append(note)
    if len(columns) < 2:
        return
    one, other = (table[~np.isnan(table).any(axis=1)] for table in (made, real))
    found = sides.compare(
        one,
        other,
        lambda a, b, draw: {
            "correlation_distance": correlation_distance(a, b),
            "rank_correlation_distance": correlation_distance(a, b, ranks=True),
        },
    )
    for name, compared in found.items():
        sides.tell(name, compared, SORTS[name], is_figure=name == "correlation_distance")
    tables = [correlations(rows, ranks) for ranks in (False, True) for rows in (one, other)]
    pairs = [
        [first, second, *(finite(table[a, b]) for table in tables)]
        for a, first in enumerate(columns)
        for b, second in enumerate(columns)
        if a < b
    ]
    names = ["one", "other", "made", "real", "made, of ranks", "real, of ranks"]
    sides.part.tables.append(Table("correlations", "Correlations of numbers", names, pairs))


def _vectors(sides: Sides) -> None:
    """Meaning: what lies near what; and labels that do not fit it."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    data = sides.data
    both = [data.vectors(side)[order] for side, order in zip(sides.both, sides.orders, strict=True)]
    width, labels = both[0].shape[1], []
    if all(side.label for side in sides.both):
        labels = sides.each(lambda side: side.labels)
    if labels and min(len(set(each)) for each in labels) > 1:
        names = sorted({label for each in labels for label in each})
        codes = [np.array([names.index(label) for label in each], np.float32) for each in labels]
        both = [np.column_stack(pair) for pair in zip(both, codes, strict=True)]

    def measures(one: np.ndarray, other: np.ndarray, draw: int) -> dict[str, float]:
        data.doing("fidelity", draw, DRAWS)
        noise = (
            {"label_noise": label_noise(one[:, :width], one[:, width].tolist(), draw)} if one.shape[1] > width else {}
        )
        one, other = one[:, :width], other[:, :width]
        near = covering(one, other)
        return {
            "mauve": mauve(one, other, seed=draw),
            "frechet": frechet(one, other),
            **near._asdict(),
            "c2st": c2st(one, other, seed=draw).value,
            **noise,
        }

    with threadpool_limits(1):  # the matrices are small: threads would wait for each other
        found = sides.compare(both[0], both[1], measures, MOST)
    data.doing("fidelity", DRAWS, DRAWS)
    for name, compared in found.items():
        sides.tell(name, compared, SORTS[name])
        if compared.rows < min(map(len, both)) // 2 and name == "mauve":
            sides.part.notes.append(f"figures on vectors are of draws of {compared.rows} rows a side")


def _categories(side: Side, column: str) -> list[str]:
    """Of each row the value of a column as text. Raises InputError when no row has the column."""
    _known(side, column, "attributes")
    values = [row.get(column) for row in side.rows]
    return [value if isinstance(value, str) else canonical(value) for value in values]


def _numbers_of(side: Side, columns: Sequence[str]) -> list[list[float]]:
    """Of each row the columns' numbers, NaN where there is none. Raises InputError for what is no number."""
    for column in columns:
        _known(side, column, "numbers")
    return [[_parsed(side, at, column) for column in columns] for at in range(len(side))]


def _parsed(side: Side, at: int, column: str) -> float:
    value = side.rows[at].get(column)
    if value is None or value == "":
        return math.nan
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{side.name}: row {at + 1} has no number in '{column}' but {canonical(value)[:40]}")
    return number


def _known(side: Side, column: str, setting: str) -> None:
    if all(row.get(column) in (None, "") for row in side.rows):
        raise InputError(f"{side.name}: no row has a '{column}', which `{setting}` names")


def _rounded(value: float) -> float:
    """Without the last digits, in which edges differ from the numbers they come from."""
    return float(f"{value:.9g}")
