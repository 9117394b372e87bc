"""Privacy: measures equal to plain code; the part tells copied rows from rows of the same kind."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth_llm import Recipe, Row, Source
from synth_llm.encoders import EncoderEntry
from synth_llm.errors import InputError
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.privacy import privacy
from synth_llm.evaluation.settings import Evaluate
from synth_llm.measure.interval import wilson
from synth_llm.measure.privacy import (
    dcr_median,
    dcr_share,
    identifiers,
    k_anonymity,
    l_diversity,
    nearest,
    nndr,
    pii_rate,
    t_closeness,
)
from synth_llm.row import canonical
from synth_llm.steps.context import Resources

CLASSES = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 4)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(3, 30), st.integers(1, 8), st.integers(0, 99))
def test_the_nearest_are_those_of_a_sort_of_all(n: int, m: int, width: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    ones, others = draw.normal(size=(n, width)), draw.normal(size=(m, width))
    whole = np.linalg.norm(ones[:, None] - others[None], axis=2)
    found = nearest(ones, others, 3)
    assert found.distance == pytest.approx(np.sort(whole, axis=1)[:, :3], abs=1e-9)
    assert (found.at[:, 0] == whole.argmin(axis=1)).all()
    assert dcr_median(ones, others) == pytest.approx(np.median(whole.min(axis=1)))
    two = np.sort(whole, axis=1)[:, :2]
    assert nndr(ones, others) == pytest.approx(np.median(two[:, 0] / two[:, 1]))


def test_distances_without_rows() -> None:
    assert math.isnan(dcr_median([], [[1.0]])) and math.isnan(nndr([[1.0]], [[1.0]]))
    assert nndr([[1.0]], [[1.0], [1.0]]) == 1
    assert math.isnan(dcr_share([], [[1.0]], [[1.0]]).value)
    with pytest.raises(ValueError, match="2 of 1"):
        nearest([[1.0]], [[1.0]], 2)
    with pytest.raises(ValueError, match="2 training rows and 1"):
        dcr_share([[1.0]], [[1.0], [2.0]], [[1.0]])


def test_the_share_nearer_to_training_rows_covers_a_half_when_nothing_was_copied() -> None:
    draw, held = np.random.default_rng(0), 0
    for _ in range(200):
        made, train, holdout = draw.normal(size=(500, 4)), *draw.normal(size=(2, 60, 4))
        found = dcr_share(made, train, holdout)
        held += found.low <= 0.5 <= found.high
        assert found.high - found.low > 2 * (wilson(250, 500).high - 0.5)  # 500 rows that share 120 are worth fewer
    assert held >= 184  # 190 expected


def test_copied_rows_are_nearer_to_training_rows() -> None:
    draw = np.random.default_rng(1)
    train, holdout = draw.normal(size=(2, 100, 6))
    made = np.concatenate([train[:60] + 0.05 * draw.normal(size=(60, 6)), draw.normal(size=(40, 6))])
    found = dcr_share(made, train, holdout)
    assert found.low > 0.6 and found == dcr_share(made[::-1], train[::-1], holdout[::-1])
    assert dcr_share(train[:9], train, train).value == 0.5


@settings(deadline=None)
@given(CLASSES, st.randoms())
def test_combinations_are_counted_as_plain_code_does(rows: list[tuple[str, str, int]], draw: random.Random) -> None:
    classes, secret = [row[:2] for row in rows], [row[2] for row in rows]
    groups = [[row[2] for row in rows if row[:2] == one] for one in sorted(set(classes))]
    assert k_anonymity(classes) == min(map(len, groups))
    assert l_diversity(classes, secret) == min(len(set(group)) for group in groups)
    values, whole, n = sorted(set(secret)), Counter(secret), len(secret)
    ordered, equal = [], []
    for group in groups:
        apart = [group.count(value) / len(group) - whole[value] / n for value in values]
        ordered.append(sum(abs(sum(apart[: at + 1])) for at in range(len(apart))) / max(1, len(values) - 1))
        equal.append(sum(map(abs, apart)) / 2)
    assert t_closeness(classes, secret) == pytest.approx(max(ordered))
    assert t_closeness(classes, list(map(str, secret))) == pytest.approx(max(equal))
    mixed = draw.sample(rows, len(rows))
    assert t_closeness([row[:2] for row in mixed], [row[2] for row in mixed]) == pytest.approx(max(ordered))


def test_combinations_without_rows() -> None:
    assert k_anonymity([]) == l_diversity([], []) == 0 and math.isnan(t_closeness([], []))


def test_identifiers_are_counted() -> None:
    texts = ["write to ann@example.org", "or ann@example.org, bob@example.org", "nothing"]
    assert identifiers(texts) == {("email", "ann@example.org"): 2, ("email", "bob@example.org"): 1}
    assert pii_rate(texts) == 1000 and math.isnan(pii_rate([]))


def around(texts: Sequence[str]) -> list[list[float]]:
    """The encoder: words are directions."""
    found = np.zeros((len(texts), 40))
    for at, text in enumerate(texts):
        for word in text.split():
            found[at] += np.random.default_rng(sum(map(ord, word)) * 31 + len(word)).normal(size=40)
    return found.tolist()  # type: ignore[no-any-return]


def sentences(count: int, seed: int) -> list[Row]:
    draw = random.Random(seed)
    made = [
        [f"{draw.choice('bdfgklmnprst')}{draw.choice('aeiou')}{draw.randrange(30)}" for _ in range(9)]
        for _ in range(count)
    ]
    return [{"text": " ".join(words), "label": "high" if "9" in "".join(words) else "low"} for words in made]


def data_of(
    made: Sequence[Row],
    real: Sequence[Row] | None = None,
    holdout: Sequence[Row] | None = None,
    test: Sequence[Row] | None = None,
    **given: Any,
) -> Data:
    recipe = Recipe(
        source=Source(rows=[{"text": "w0"}]),
        steps=[{"filter": {"if": "true"}}],
        encoders={"around": EncoderEntry(engine="function", function=around)},
    )

    def side(name: str, rows: Sequence[Row] | None) -> Side | None:
        return None if rows is None else Side(name, list(rows), ["text"], "label")

    whole = side("made", made)
    assert whole is not None
    return Data(
        Evaluate(encoder="around", **given),
        Resources(recipe, Path()),
        whole,
        side("real", real),
        side("test", test),
        side("holdout", holdout),
    )


def figures(part: Part) -> dict[str, Figure]:
    for table in part.tables:
        canonical([list(row) for row in table.rows])  # raises for a NaN
    canonical([list(figure) for figure in part.figures])
    return {figure.name: figure for figure in part.figures}


def table(part: Part, name: str) -> Table:
    return next(one for one in part.tables if one.name == name)


def test_copied_rows_are_called_and_others_are_not() -> None:
    real, holdout = sentences(120, 1), sentences(150, 2)
    edited = [{**row, "text": " ".join(["new", *row["text"].split()[1:]])} for row in real[:80]]
    copied = figures(privacy(data_of([*edited, *real[80:90]], real, holdout)))
    clean = figures(privacy(data_of(sentences(90, 3), real, holdout)))
    assert copied["exact_copies"][:1] == ("exact_copies",) and copied["exact_copies"].value == 10
    assert copied["near_copies"].value == 90 and clean["near_copies"].value == 0
    assert copied["near_copies"].beside == clean["near_copies"].beside == 0
    for name in ("dcr_share", "mia_distance"):
        assert copied[name].low > 0.6  # type: ignore[operator]
        assert clean[name].low < 0.5 < clean[name].high  # type: ignore[operator]
    for name in ("dcr_median", "nndr", "dcr_p5"):
        assert copied[name].high < copied[name].beside  # type: ignore[operator]
        assert clean[name].value == pytest.approx(clean[name].beside, rel=0.1)
    assert clean["mia_loss"].low < 0.5 < clean["mia_loss"].high  # type: ignore[operator]


def test_the_order_of_rows_changes_nothing() -> None:
    real, holdout, made = sentences(40, 1), sentences(70, 2), sentences(30, 3)
    one = privacy(data_of([*made, *real[:5]], real, holdout))
    other = privacy(data_of([*real[:5], *made][::-1], real[::-1], holdout[::-1]))
    assert one.figures == other.figures and table(one, "attacks") == table(other, "attacks")


def test_copies_are_shown_with_the_number_of_the_real_row_and_not_its_text() -> None:
    real = sentences(30, 1)
    long = {"text": "longer " * 30 + "\n" + real[7]["text"], "label": "low"}
    part = privacy(data_of([{"text": real[4]["text"].upper(), "label": "low"}, long], real))
    assert table(part, "copies").rows == [[1, real[4]["text"].upper(), 5, 1.0]] + [
        row for row in table(part, "copies").rows if row[0] == 2
    ]
    assert all(len(row[1]) <= 100 and "\n" not in row[1] for row in table(part, "copies").rows)
    found = figures(part)
    assert found["near_copies"].beside is None and "dcr_share" not in found
    assert any("needs" in note or "need" in note for note in part.notes)


def test_held_out_rows_that_are_real_ones_are_not_held_out() -> None:
    real = sentences(60, 1)
    part = privacy(data_of(sentences(30, 3), real, test=[*sentences(40, 2), *real[:10], *real[:10]]))
    assert "10 rows of test stand in the real ones too, and are not taken as held out" in part.notes
    assert any("held out are the test rows" in note for note in part.notes)
    assert table(part, "attacks").rows[0][4:] == [40, 40]


def test_what_is_missing_is_a_note() -> None:
    alone = privacy(data_of([{"text": "call ann@example.org", "label": "low"}]))
    assert figures(alone)["pii"][:2] == ("pii", 1000.0) and len(alone.notes) == 1
    assert table(alone, "identifiers").rows == [["email", 1000.0, None, None]]
    blank = privacy(data_of([{"text": " "}], [{"text": ""}], []))
    assert set(figures(blank)) == {"pii", "exact_copies", "near_copies"}
    unlabelled = [{"text": row["text"]} for row in sentences(30, 3)]
    part = privacy(data_of(unlabelled, sentences(30, 1), sentences(30, 2)))
    assert "mia_distance" in figures(part) and "mia_loss" not in figures(part)
    strange = [{**row, "label": f"{row['label']}!"} for row in sentences(30, 3)]
    part = privacy(data_of(strange, sentences(30, 1), sentences(30, 2)))
    assert "mia_loss" not in figures(part) and any("too few" in note for note in part.notes)


def test_an_identifier_of_a_real_row_that_comes_again_is_counted() -> None:
    real = [{"text": "mail ann@example.org"}, {"text": "no"}]
    part = privacy(data_of([{"text": "ann@example.org"}, {"text": "bob@example.org"}], real))
    assert table(part, "identifiers").rows == [["email", 1000.0, 500.0, 1]]
    assert figures(part)["pii"].beside == 500


def test_rare_combinations() -> None:
    made = [
        {"text": "a", "age": age, "city": "Rome", "ill": ill} for age, ill in [(30, 1), (30, 3), (40.0, 1), (40, 2)]
    ]
    real = [*made[:2], {"text": "b", "age": 50, "city": None, "ill": 1}]
    part = privacy(data_of(made, real, quasi=["age", "city"], sensitive="ill"))
    found = figures(part)
    assert (found["k_anonymity"].value, found["k_anonymity"].beside) == (2, 1)
    assert (found["l_diversity"].value, found["l_diversity"].beside) == (2, 1)
    assert found["t_closeness"].value == pytest.approx(0.125)
    last = table(part, "combinations").rows[-1]
    assert last[1][0] == 0.5 and last[2][0] == 1
    with pytest.raises(InputError, match="made rows have no column 'town'"):
        privacy(data_of(made, real, quasi=["town"]))
    assert any("quasi" in note for note in privacy(data_of(made, sensitive="ill")).notes)
