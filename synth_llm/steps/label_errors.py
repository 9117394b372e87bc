"""label_errors: rows whose label a student that did not see them takes to be another."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from synth_llm.against import joined
from synth_llm.errors import Reject
from synth_llm.row import ID, PARENT, Row
from synth_llm.similar.exact import normalised
from synth_llm.steps.classes import class_of
from synth_llm.steps.context import EXAMPLES, Context, Resources
from synth_llm.steps.step import Columns, Rejected, Rows, Step, named, need
from synth_llm.student.probe import ON_VECTORS, ON_WORDS, need_sklearn, word_features

if TYPE_CHECKING:
    import numpy as np

LABEL_ERROR = "label error"
LIKELY, CONFIDENCE, GIVEN = "likely", "confidence", "given"
SHOWN = 50
"""Pairs of confused labels in the manifest: the commonest."""


class Labelled(NamedTuple):
    """A row that has a text and a label."""

    id: str
    parent: str | None
    text: str
    label: str


class Finding(NamedTuple):
    """What was found of one row."""

    given: str
    likely: str
    own: float
    """The probability of the given label."""
    other: float
    """The probability of the likely label."""


class LabelErrors(Step):
    """A student looks at each row's vector, another at its words; each learns from the rows of the other folds.

    Copies of a text, and rows of one parent, are in one fold: a student never saw a row's twin. Rows without a text or
    a label are kept as they are, as are those of a label with fewer rows than folds, and all of them when students
    predict the labels no better than chance: nothing was learned. The manifest says which labels are confused.
    """

    type: ClassVar[str] = "label_errors"
    final: ClassVar[bool] = True

    column: str | list[str] = "text"
    """The column, or columns together, that the label is about."""
    label: str = "label"
    """The column with the label: one of a few values."""
    by: Literal["confident_learning", "agreement"] = "confident_learning"
    """`confident_learning` (arXiv 1911.00068): the students reach the confidence that they have, on average, in rows of
    another label; `agreement` (LAMBADA, arXiv 1911.03118): they find another label likelier, however little."""
    trusted: Literal["examples"] | None = None
    """Learn from the recipe's examples instead of from the other rows: for data whose labels are wrong in one way."""
    on_error: Literal["drop", "relabel", "flag"] = "drop"
    """Reject the row as `label error`; give it the likely label and put its own into `given`; or keep it, with the
    `likely` label and the `confidence` in its own (0 to 1), as columns of all rows."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the rows: each is judged by students of all others. More find a little more, in as much more time."""
    encoder: str | None = None
    """The encoder; the packaged one when absent."""

    def columns(self, have: Columns, use: Resources) -> Columns:
        """The row's columns; with `flag` also `likely` and `confidence`, with `relabel` also `given`."""
        need([*named(self.column), self.label], have, "label_errors")
        need_sklearn("label_errors")
        if self.trusted:
            known = frozenset().union(*(frozenset(example) for example in use.examples))
            need([*named(self.column), self.label], known, "trusted: the pool of examples")
        use.encoder(self.encoder)
        return have | {"drop": set(), "flag": {LIKELY, CONFIDENCE}, "relabel": {GIVEN}}[self.on_error]

    def split(self, rows: Rows, ctx: Context) -> Iterator[Row | Rejected]:
        """Each row, kept, rejected as `label error` with what its label more likely is, or with other columns."""
        values: dict[str, Any] = {}
        for row in itertools.chain(rows, self._trusted(ctx)):
            values.setdefault(class_of(row, [self.label]), row.get(self.label))
        findings = self._findings(rows, ctx)
        for row in rows:
            found = findings.get(row[ID])
            if found is not None:
                ctx.note(CONFIDENCE, row, found.own, found.likely == found.given)
            yield self._treated(row, found, values)

    def _treated(self, row: Row, found: Finding | None, values: Mapping[str, Any]) -> Row | Rejected:
        """The row after what was found of it, by `on_error`."""
        likely = row.get(self.label) if found is None else values[found.likely]
        if self.on_error == "flag":
            return {**row, LIKELY: likely, CONFIDENCE: None if found is None else round(found.own, 6)}
        if self.on_error == "relabel":
            return {**row, self.label: likely, GIVEN: row.get(self.label)}
        if found is None or found.likely == found.given:
            return row
        detail = f"given {found.given}; likely {found.likely} ({found.other:.2f})"
        return Rejected(row, Reject(LABEL_ERROR, detail, value=found.own))

    def _findings(self, rows: Rows, ctx: Context) -> dict[str, Finding]:
        """By row, of those that can be judged."""
        import numpy as np

        from synth_llm.measure.label_errors import above_chance, agreement, confident_learning, self_confidence

        usable = self._labelled(rows)
        origins = same_origin(usable, self.folds)
        learn = self._labelled({ID: "", PARENT: None, **example} for example in self._trusted(ctx))
        known = {one.label for one in learn} if self.trusted else _learnable(usable, origins, self.folds)
        chosen = [(one, origin) for one, origin in zip(usable, origins, strict=True) if one.label in known]
        labels = sorted(known)
        if len(labels) < 2 or not chosen:
            return self._none(ctx, len(rows), labels)
        judged = [one for one, _ in chosen]
        given = np.array([labels.index(one.label) for one in judged])
        if self.trusted:
            proba = self._taught(learn, judged, labels, ctx)
        else:
            proba = self._cross_validated(judged, given, [origin for _, origin in chosen], ctx)
            if not above_chance(proba, given):
                ctx.report("not learned", "students predict the labels no better than chance: no row is judged by them")
                return self._none(ctx, len(rows), labels)
        found = (agreement if self.by == "agreement" else confident_learning)(proba, given)
        _report(ctx, len(rows), labels, given, found.likely, found.joint)
        own, other = self_confidence(proba, given), self_confidence(proba, found.likely)
        each = zip(judged, found.likely, own, other, strict=True)
        return {one.id: Finding(one.label, labels[at], float(p), float(q)) for one, at, p, q in each}

    def _none(self, ctx: Context, rows: int, labels: Sequence[str]) -> dict[str, Finding]:
        """Nothing was judged."""
        import numpy as np

        _report(ctx, rows, labels, np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0)))
        return {}

    def _cross_validated(
        self, judged: Sequence[Labelled], given: np.ndarray, origins: Sequence[int], ctx: Context
    ) -> np.ndarray:
        """(n, k) of students that learned from the rows of the other folds."""
        from synth_llm.measure.label_errors import out_of_fold, stratified_folds

        views, strengths = self._views([one.text for one in judged], ctx)
        ctx.doing(f"{ctx.step}: {self.folds} students of {len(judged):,} rows")
        proba = out_of_fold(views, strengths, given, stratified_folds(given, origins, self.folds, ctx.seed))
        ctx.doing("")
        return proba

    def _taught(
        self, learn: Sequence[Labelled], judged: Sequence[Labelled], labels: Sequence[str], ctx: Context
    ) -> np.ndarray:
        """(n, k) of students that learned from trusted rows."""
        import numpy as np

        from synth_llm.measure.label_errors import combined, learned

        views, strengths = self._views([one.text for one in (*learn, *judged)], ctx)
        right = np.array([labels.index(one.label) for one in learn])
        m, k = len(learn), len(labels)
        return combined([learned(one[:m], right, one[m:], c, k) for one, c in zip(views, strengths, strict=True)])

    def _views(self, texts: Sequence[str], ctx: Context) -> tuple[list[Any], list[float]]:
        """The texts as vectors and, where they share words, as words; and the strength of each view's student."""
        vectors, words = ctx.encode(texts, self.encoder), word_features(texts)
        return ([vectors], [ON_VECTORS]) if words is None else ([vectors, words], [ON_VECTORS, ON_WORDS])

    def _labelled(self, rows: Iterable[Row]) -> list[Labelled]:
        """The rows that have a text and a label."""
        columns = named(self.column)
        found = (Labelled(row[ID], row[PARENT], joined(row, columns), class_of(row, [self.label])) for row in rows)
        return [one for one in found if one.text.strip() and one.label]

    def _trusted(self, ctx: Context) -> list[Row]:
        return ctx.use.examples if self.trusted == EXAMPLES else []


def same_origin(rows: Sequence[Labelled], folds: int) -> list[int]:
    """A number for each row, the same for copies of a text (but for its form) and for children of one parent.

    A parent of more rows than a fold holds is a common source, not an original that its children resemble.
    """
    children = Counter(row.parent for row in rows)
    first: dict[tuple[str, str], int] = {}
    root = list(range(len(rows)))

    def top(at: int) -> int:
        while root[at] != at:
            root[at] = root[root[at]]
            at = root[at]
        return at

    for at, row in enumerate(rows):
        keys = [("text", normalised(row.text))]
        if row.parent is not None and children[row.parent] <= len(rows) / folds:
            keys.append(("parent", row.parent))
        for key in keys:
            one, other = top(at), top(first.setdefault(key, at))
            root[max(one, other)] = min(one, other)
    return [top(at) for at in range(len(rows))]


def _learnable(rows: Sequence[Labelled], origins: Sequence[int], folds: int) -> set[str]:
    """The labels that have rows for every fold."""
    places = {(row.label, origin) for row, origin in zip(rows, origins, strict=True)}
    counts = Counter(label for label, _ in places)
    return {label for label, count in counts.items() if count >= folds}


def _report(
    ctx: Context, rows: int, labels: Sequence[str], given: np.ndarray, likely: np.ndarray, joint: np.ndarray
) -> None:
    """How many rows were judged, the estimated share of wrong labels, and which labels are confused."""
    pairs = Counter((int(one), int(other)) for one, other in zip(given, likely, strict=True) if one != other)
    ctx.report("judged", len(given))
    ctx.report("not judged", rows - len(given))
    ctx.report("errors", pairs.total())
    ctx.report("estimated share of errors", round(float(joint.sum() - joint.trace()), 4))
    ctx.report(
        "confused",
        [
            {
                "given": labels[one],
                "likely": labels[other],
                "rows": count,
                "estimated rows": round(float(joint[one, other]) * len(given), 1),
            }
            for (one, other), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]
        ],
    )
