"""How close made rows come to real ones: copies, distances, and attacks that tell what they were made from.

Being close is no leak by itself: rows of one kind are alike. So all is read beside real rows that nothing was made
from, the held-out ones, as many of them as of the others.
"""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

from synth_llm.evaluation.data import Data, Side
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.measure.copies import closest_texts, exact_copies
from synth_llm.measure.interval import Interval, quantile, wilson
from synth_llm.measure.membership import Attack, membership_by_distance, membership_by_loss
from synth_llm.measure.privacy import dcr_share, nearest, ratios
from synth_llm.row import Row, canonical
from synth_llm.similar.exact import normalised
from synth_llm.student.registry import student
from synth_llm.student.student import Task, label_text

MOST = 10_000
"""Rows of a side that are encoded: more make intervals narrower, and take long."""
LEAST = 20
"""Real and held-out rows each, from which a comparison of the two says anything."""
SHOWN = 10
"""Copies in the table, the closest."""
SHORT = 100
"""Characters of a text in it."""
TEXT, LABEL = "text", "label"
"""The columns of rows as they are compared, and as a student is given them."""


def closeness(data: Data, real: Side, part: Part) -> None:
    """Add what comes of real rows; what lacks held-out rows or labels is a note. Raises MissingExtra."""
    known = _distinct(real)
    side = data.holdout or data.test
    others = [] if side is None else _distinct(side, {normalised(row[TEXT]) for row in known})
    size = min(len(known), len(others), MOST)
    if side is not None and (again := len(_distinct(side)) - len(others)):
        part.notes.append(f"{again} rows of {side.name} stand in the real ones too, and are not taken as held out")
    if side is not None and side is data.test:
        part.notes.append("held out are the test rows; where they differ from the real ones, an attack sees that too")
    if size < LEAST:
        why = f"{LEAST} real rows and {LEAST} that nothing was made from (`holdout` or `test`)"
        part.notes.append(f"dcr_share and membership attacks were left out: they need {why}")
        size = 0
    members, others = _drawn(data, "members", known, size), _drawn(data, "others", others, size)
    _copies(data.made.texts, real.texts, len(known), [row[TEXT] for row in others], part)
    made = sorted(text for text in data.made.texts if text.strip())
    if not made or not known:
        part.notes.append("distances were left out: there is no text")
        return
    _distances(data, made, known, members, others, part)
    if others:
        _attack_by_loss(data, members, others, part)


def _distinct(side: Side, without: Set[str] = frozenset()) -> list[Row]:
    """The rows of different texts as text and label, in an order that is not the file's; blank ones left out."""
    found: dict[str, Row] = {}
    for row in sorted(_plain(side), key=canonical):
        form = normalised(row[TEXT])
        if form and form not in without:
            found.setdefault(form, row)
    return list(found.values())


def _plain(side: Side) -> list[Row]:
    """Rows as text and class; the class is None where there is none."""
    column = side.label
    labels = [None if column is None else label_text(row.get(column)) for row in side.rows]
    return [{TEXT: text, LABEL: label} for text, label in zip(side.texts, labels, strict=True)]


def _drawn(data: Data, name: str, rows: list[Any], size: int) -> list[Any]:
    """So many of the rows, or all when they are not more."""
    if len(rows) <= size:
        return rows
    return [rows[at] for at in sorted(data.rng("privacy", name).choice(len(rows), size, replace=False).tolist())]


def _copies(made: list[str], real: list[str], different: int, held: list[str], part: Part) -> None:
    """The figures `exact_copies` and `near_copies`, beside what chance gives, and the closest pairs."""
    copies, exact = closest_texts(made, real), exact_copies(made, real)
    by_chance: tuple[float | None, float | None] = (None, None)
    detail = f"of {len(made)} made rows, held against {different} different real ones"
    if held:
        scale = different / len(held)
        by_chance = (exact_copies(made, held) * scale, len(closest_texts(made, held)) * scale)
        detail += f"; beside it what {len(held)} held-out ones make one expect"
    for name, count, expected, more in (
        ("exact_copies", exact, by_chance[0], ""),
        ("near_copies", len(copies), by_chance[1], f"{exact} exactly; "),
    ):
        share = wilson(count, len(made))
        figure = Interval(count, share.low * len(made), share.high * len(made))
        part.figures.append(
            Figure.of(name, figure, beside=expected, unit="rows", direction="lower", detail=more + detail)
        )
    if copies:
        closest = sorted(copies, key=lambda copy: -copy.likeness)[:SHOWN]
        rows = [[one.made + 1, _shortened(made[one.made]), one.real + 1, round(one.likeness, 3)] for one in closest]
        title = f"Copies of real rows: the closest {len(rows)} of {len(copies)}"  # real texts may not be for all eyes
        part.tables.append(Table("copies", title, ["made row", "made text", "repeats real row", "likeness"], rows))


def _distances(
    data: Data, made: list[str], known: list[Row], members: list[Row], others: list[Row], part: Part
) -> None:
    """The figures that come of vectors: `dcr_median`, `dcr_p5`, `nndr`, `dcr_share`, `mia_distance`."""
    some, reals = _drawn(data, "made", made, MOST), _drawn(data, "known", known, MOST)
    if (len(some), len(reals)) != (len(made), len(known)):
        sampled = f"{len(some)} of {len(made)} made and {len(reals)} of {len(known)} real rows"
        part.notes.append(f"distances and the attack by distance are of {sampled}, drawn at random")
    ours, held = data.encode(some), data.encode([row[TEXT] for row in others]) if others else None
    real = data.encode([row[TEXT] for row in reals])
    two = min(2, len(real))
    near = {"made": nearest(ours, real, two)} | ({} if held is None else {"held out": nearest(held, real, two)})
    table: list[list[Any]] = [[name] for name in near]
    detail = f"of {len(ours)} made rows to the nearest of {len(real)} real ones"
    detail += f"; beside it of {len(others)} held-out rows" if others else ""
    for name, unit, share in (("dcr_median", "distance", 0.5), ("dcr_p5", "distance", 0.05), ("nndr", "ratio", 0.5)):
        if name == "nndr" and two < 2:
            continue
        values = [ratios(one) if name == "nndr" else one.distance[:, 0] for one in near.values()]
        found = [quantile(one, share) for one in values]
        beside = found[1].value if others else None
        scatter = f", {found[1].low:.4g} to {found[1].high:.4g}" if others else ""  # they are few: it scatters more
        part.figures.append(
            Figure.of(name, found[0], beside=beside, unit=unit, direction="higher", detail=detail + scatter)
        )
        for row, figure in zip(table, found, strict=True):
            row.append(list(figure))
    columns = ["rows", "distance to the closest, median", "its 5th percentile", "nearest over second, median"]
    part.tables.append(Table("distances", "Distances to real rows", columns[: len(table[0])], table))
    if held is None:
        return
    trained = data.encode([row[TEXT] for row in members])
    detail = f"of {len(ours)} made rows nearer to one of {len(members)} real than of {len(others)} held-out ones"
    figure = dcr_share(ours, trained, held)
    part.figures.append(Figure.of("dcr_share", figure, beside=0.5, unit="share", direction="lower", detail=detail))
    _tell("distance", membership_by_distance(ours, trained, held, data.seed), "to the nearest made row", part)


def _attack_by_loss(data: Data, members: list[Row], others: list[Row], part: Part) -> None:
    """The figure `mia_loss`: of a student that learned from the made rows, and never saw a real one.

    The student is the first of the settings that says how sure it is of a class, else the probe.
    """
    import numpy as np

    rows = sorted((row for row in _plain(data.made) if row[TEXT].strip() and row[LABEL] is not None), key=canonical)
    if len({row[LABEL] for row in rows}) < 2:
        part.notes.append("the attack by loss was left out: it needs made rows of two classes or more")
        return
    names = [data.settings.student] if isinstance(data.settings.student, str) else data.settings.student
    name = next((name for name in names if hasattr(student(name), "predict_proba")), "probe")
    given = data.settings.student_settings if name in names else {}
    task = Task([TEXT], LABEL, encode=data.encode, settings=given, doing=data.doing)
    learned: Any = student(name)(task, data.seed).fit(rows)
    at = {label: number for number, label in enumerate(learned.labels)}
    losses = []
    for side in (members, others):
        asked = [row for row in side if row[LABEL] in at]
        if len(asked) < LEAST:
            part.notes.append(
                "the attack by loss was left out: too few real or held-out rows have a class that is made"
            )
            return
        proba = learned.predict_proba(asked)[np.arange(len(asked)), [at[row[LABEL]] for row in asked]]
        losses.append(-np.log(np.maximum(proba, np.finfo(np.float64).tiny)))
    attack = membership_by_loss(losses[0], losses[1], data.seed)
    _tell("loss", attack, f"of the student {name}, which learned from the {len(rows)} made rows", part)


def _tell(name: str, attack: Attack, of: str, part: Part) -> None:
    """The figure of an attack, and its line in the table of attacks."""
    detail = f"{name} {of}: {attack.members} real against {attack.others} held-out rows; beside it guessing"
    part.figures.append(
        Figure.of(f"mia_{name}", attack.auroc, beside=0.5, unit="probability", direction="lower", detail=detail)
    )
    rows: Any = next((table.rows for table in part.tables if table.name == "attacks"), None)
    if rows is None:
        rows = []
        columns = ["by", "AUROC", "advantage", "found where 1 % of the others are accused", "real", "held out"]
        part.tables.append(Table("attacks", "Membership inference", columns, rows))
        part.notes.append("an attack's advantage is at a threshold that other rows chose, so that guessing has 0")
    sure = None if math.isnan(attack.sure.value) else list(attack.sure)
    rows.append([name, list(attack.auroc), list(attack.advantage), sure, attack.members, attack.others])


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= SHORT else plain[: SHORT - 1] + "…"
