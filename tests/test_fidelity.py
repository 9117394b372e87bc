"""The part fidelity, on rows whose difference from the real ones is known."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from synth_llm import Filter, InputError, Recipe, Row, Source
from synth_llm.encoders import EncoderEntry
from synth_llm.evaluation import ceiling
from synth_llm.evaluation import fidelity as module
from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.fidelity import fidelity
from synth_llm.evaluation.part import Figure, Part
from synth_llm.evaluation.settings import Evaluate
from synth_llm.steps.context import Resources

WORDS = {
    "tea": ["tea", "cup", "leaf", "green", "pot", "warm", "milk", "sugar", "kettle", "brew", "sip", "black"],
    "sea": ["sea", "wave", "salt", "ship", "blue", "sand", "shell", "tide", "storm", "fish", "gull", "sail"],
    "law": ["court", "judge", "law", "case", "sue", "claim", "trial", "plea", "jury", "act", "bill", "vote"],
}
VOCABULARY = {word: at for at, word in enumerate(word for words in WORDS.values() for word in words)}


def bags(texts: Sequence[str]) -> list[list[float]]:
    """The encoder: how often each word stands in a text."""
    return [[float(text.split().count(word)) for word in VOCABULARY] for text in texts]


def rows(seed: int, n: int, topics: Sequence[str] = ("tea", "sea"), words: int = 6) -> list[Row]:
    draw = random.Random(seed)
    found: list[Row] = []
    for _ in range(n):
        topic = draw.choice(list(topics))
        text = " ".join(draw.choices(WORDS[topic], k=words + draw.randrange(4)))
        price = draw.gauss(10, 2)
        found.append(
            {
                "text": text,
                "label": topic,
                "price": price,
                "tax": price / 5 + draw.gauss(0, 0.1),
                "kind": draw.choice("xy"),
            }
        )
    return found


def data(made: list[Row], real: list[Row] | None, label: str | None = "label", **settings: Any) -> Data:
    recipe = Recipe(
        source=Source(rows=[{"text": "0"}]),
        steps=[Filter(use=["length"])],
        encoders={"bags": EncoderEntry(engine="function", function=bags)},
    )
    sides = [Side(name, given or [], ["text"], label) for name, given in (("made", made), ("real", real))]
    use = Resources(recipe, Path())
    return Data(Evaluate(encoder="bags", **settings), use, sides[0], None if real is None else sides[1])


def figures(part: Part) -> dict[str, Figure]:
    assert json.loads(json.dumps([part.figures, part.tables, part.notes], allow_nan=False))
    return {figure.name: figure for figure in part.figures}


def differing(part: Part) -> set[str]:
    """The figures that are apart from their ceilings."""
    found = figures(part)
    apart = {row[0] for row in part.tables[0].rows if row[4]} & found.keys()
    for figure in found.values():
        assert figure.low is not None and figure.high is not None and figure.beside is not None
        assert figure.detail.endswith("; the two are apart") == (figure.name in apart)
        assert not figure.low <= figure.beside <= figure.high or figure.name not in apart
    return apart


MORE: dict[str, Any] = {"attributes": ["kind"], "numbers": ["price", "tax"]}
ON_VECTORS = {"mauve", "frechet", "precision", "recall", "density", "coverage", "c2st"}


DRAWS = 5


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in (module, ceiling):
        monkeypatch.setattr(home, "DRAWS", DRAWS)


@pytest.fixture
def no_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes longest."""
    monkeypatch.setattr(module, "_vectors", lambda sides: None)


@cache
def alike() -> Part:
    return fidelity(data(rows(1, 300), rows(2, 300), **MORE))


def test_two_samples_of_one_distribution_differ_in_nothing() -> None:
    part = alike()
    assert differing(part) == set()
    assert figures(part).keys() == ON_VECTORS | {
        "label_noise",
        *("length_js", "vocabulary_js", "label_js", "kind_js", "price_js", "tax_js"),
        *("ks_price", "ks_tax", "correlation_distance"),
    }
    c2st = figures(part)["c2st"]
    assert c2st.low is not None and c2st.high is not None and c2st.low < 0.5 < c2st.high
    assert "draws of 150 made against 150 real rows, out of 300 and 300" in part.notes[0]


def test_a_topic_that_is_not_real_is_called_by_words_and_vectors() -> None:
    made = rows(1, 200) + rows(3, 100, ["law"])
    for row in made:
        row["label"] = "tea"
    part = fidelity(data(made, [{**row, "label": "tea"} for row in rows(2, 300)]))
    found = differing(part)
    assert {"mauve", "vocabulary_js", "precision"} <= found
    assert not found & {"label_js", "length_js"}
    c2st = figures(part)["c2st"]
    assert c2st.low is not None and c2st.low > 0.55, "at best 2 in 3: a third of the made rows are told"


def test_wrong_labels_are_called_by_the_labels_alone() -> None:
    made = rows(1, 300)
    for row in made[::2]:
        row["label"] = "tea"
    assert differing(fidelity(data(made, rows(2, 300), **MORE))) == {"label_js", "label_noise"}


@pytest.mark.usefixtures("no_vectors")
def test_longer_texts_are_called_by_length() -> None:
    found = differing(fidelity(data(rows(1, 300, words=9), rows(2, 300))))
    assert "length_js" in found and not found & {"label_js", "vocabulary_js"}


@pytest.mark.usefixtures("no_vectors")
def test_numbers_are_compared_by_themselves_and_together() -> None:
    shifted = [{**row, "price": row["price"] + 3, "tax": row["tax"] + 0.6} for row in rows(1, 300)]
    assert differing(fidelity(data(shifted, rows(2, 300), **MORE))) == {"price_js", "tax_js", "ks_price", "ks_tax"}
    others = rows(7, 300)
    apart = [{**row, "tax": other["tax"]} for row, other in zip(rows(1, 300), others, strict=True)]
    assert differing(fidelity(data(apart, rows(2, 300), **MORE))) == {"correlation_distance"}


def test_copies_of_real_rows_are_nearer_than_real_rows_are() -> None:
    real, told = rows(2, 300), []
    given = data(real[:], real)
    given.doing = lambda what, done, of: told.append((what, done, of))
    found = figures(fidelity(given))
    assert ("fidelity", 0, DRAWS) in told and told[-1] == ("fidelity", DRAWS, DRAWS)
    copied, natural = found["precision"], found["precision"].beside
    assert copied.value is not None and natural is not None and copied.value >= natural
    assert found["c2st"].value is not None and found["c2st"].value < 0.55, "a copy's class cannot be learned"


def test_the_order_of_rows_changes_nothing() -> None:
    made, real = rows(1, 300), rows(2, 300)
    again = fidelity(data(made[::-1], real[5:] + real[:5], **MORE))
    assert again.figures == alike().figures and again.tables == alike().tables


def test_tables_hold_what_a_reader_and_a_plot_need() -> None:
    tables = {table.name: table for table in alike().tables}
    assert [table.name for table in alike().tables[:2]] == ["ceilings", "tests"]
    lengths = tables["length_histogram"]
    assert lengths.columns == ["from", "to", "made", "real"]
    assert [row[1] for row in lengths.rows[:-1]] == [row[0] for row in lengths.rows[1:]]
    assert lengths.rows[0][0] == 6 and lengths.rows[-1][1] == 9
    for column in (2, 3):
        assert sum(row[column] for row in lengths.rows) == pytest.approx(1)
    value, made, real = tables["label_histogram"].rows[0]
    count = sum(row["label"] == value for row in rows(2, 300))
    assert real[0] == pytest.approx(count / 300) and made[1] < made[0] < made[2]
    assert {row[0] for row in tables["tests"].rows} == {"length", "label", "kind", "price", "tax"}
    assert all(0.001 < row[3] <= 1 for row in tables["tests"].rows)
    of = {row[0] for row in tables["ceilings"].rows}
    assert {"label_js", "label_kl", "label_tv", "rank_correlation_distance", "c2st"} <= of
    assert tables["correlations"].rows[0][:2] == ["price", "tax"] and tables["correlations"].rows[0][2] > 0.9


@pytest.mark.usefixtures("no_vectors")
def test_lengths_that_are_not_real_have_bins_of_their_own() -> None:
    part = fidelity(data(rows(1, 60, words=1) + rows(2, 60, words=20), rows(3, 60), label=None))
    lengths = next(table for table in part.tables if table.name == "length_histogram").rows
    assert lengths[0][:2] == [1, 6] and lengths[0][3] == 0
    assert lengths[-1][:2] == [10, 23] and lengths[-1][3] == 0
    assert lengths[0][2] + lengths[-1][2] == pytest.approx(1)
    assert "label_js" not in figures(part)


@pytest.mark.usefixtures("no_vectors")
def test_numbers_may_be_missing_and_may_be_text() -> None:
    made = [{**row, "price": f"{row['price']:.3f}"} for row in rows(1, 160)]
    for row in made[:30]:
        row["price"] = None
    part = fidelity(data(made, rows(2, 120), numbers=["price", "tax"]))
    assert differing(part) == set()
    assert any("30 made and 0 real rows have no 'price'" in note for note in part.notes)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"price": "dear"}, MORE, r"made: row 1 has no number in 'price' but \"dear\""),
        ({"price": True}, MORE, "made: row 1 has no number in 'price' but true"),
        ({"price": "nan"}, MORE, "made: row 1 has no number in 'price'"),
        ({"label": None}, {}, "made: row 1 has no 'label'"),
        ({}, {"numbers": ["size"]}, "made: no row has a 'size', which `numbers` names"),
        ({}, {"attributes": ["colour"]}, "made: no row has a 'colour', which `attributes` names"),
    ],
)
def test_what_cannot_be_compared_is_named(change: Row, settings: dict[str, Any], message: str) -> None:
    made = rows(1, 40)
    made[0] |= change
    with pytest.raises(InputError, match=message):
        fidelity(data(made, rows(2, 40), **settings))


def test_without_real_rows_or_with_few_there_is_a_note() -> None:
    for real, note in ((None, "it needs real rows"), (rows(2, 19), "20 made and 20 real rows or more")):
        part = fidelity(data(rows(1, 40), real))
        assert part.figures == [] and len(part.notes) == 1 and note in part.notes[0]


def test_rows_without_any_word_are_measured_as_far_as_they_can_be() -> None:
    blank: list[Row] = [{"text": "", "label": "a"} for _ in range(30)]
    found = figures(fidelity(data(blank, blank)))
    assert found["vocabulary_js"].value is None and found["label_js"].value == 0 and found["c2st"].value == 0.5
