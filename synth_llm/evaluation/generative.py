"""Does a student that writes learn from the made rows: held-out loss, overlap, instructions followed, a judge."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from synth_llm.against import joined
from synth_llm.evaluation.data import Data
from synth_llm.evaluation.part import Figure, Part, Table
from synth_llm.evaluation.writers import BASE, MADE, NAME, Writer, Writers
from synth_llm.measure.interval import RESAMPLES, Interval
from synth_llm.measure.overlap import bleu, rouge_l
from synth_llm.measure.two_level import Scores, difference
from synth_llm.measure.verifiable import followed
from synth_llm.measure.win_rate import by_length, length_controlled, win_rate
from synth_llm.row import digest
from synth_llm.student.sft import Settings
from synth_llm.student.student import own_settings

INSTRUCTIONS, ARGUMENTS = "instruction_id_list", "kwargs"
"""The columns by which a test row says what code can check of its answer, as in IFEval."""
NATS = "nats a token"


def generative(data: Data) -> Part:
    """What a student that writes learned from the made rows, beside the model it started from, real rows and others.

    The loss on test rows is the mean over rows of the mean over the tokens of an answer. Intervals are those of
    `measure.two_level`: over test rows and seeds. Answers are those of the first seed. Raises InputError where rows or
    settings cannot be used, MissingExtra without the packages that train.
    """
    part = Part()
    if data.test is None or not len(data.test):
        part.notes.append("Utility of a student that writes needs test rows.")
        return part
    settings = own_settings(NAME, Settings, data.settings.student_settings)
    if settings.judge is not None:
        data.use.model(settings.judge)
    writers = Writers(data, data.test)
    base, made = writers.found[0], writers.found[1]
    losses = {one.name: _scores(one, data.seed) for one in writers.found} if writers.known else {}
    _compare(data, writers, losses, part)
    if any(INSTRUCTIONS in row for row in writers.asked):
        _verify(writers, base, made, part)
    if settings.judge is not None:
        _judge(data, settings.judge, writers, base, made, part)
    if settings.lm_eval:
        _lm_eval(data, settings.lm_eval, writers, part)
    part.notes += writers.notes
    return part


def _scores(one: Writer, seed: int) -> Scores:
    """The losses of a set's students, and their mean on resamples of the test rows, the same for every set."""
    import numpy as np

    each = np.array(one.losses)
    rows = np.random.default_rng(seed).integers(0, each.shape[1], (RESAMPLES, each.shape[1]))
    return Scores(each.mean(axis=1), each.mean(axis=0)[rows].mean(axis=1))


def _interval(one: Scores, seed: int) -> Interval:
    """The mean loss: the difference from one that is nowhere, as an interval of shares ends at 1."""
    import numpy as np

    return difference(one, Scores(np.zeros(1), np.zeros(len(one.again))), seed=seed)


def _compare(data: Data, writers: Writers, losses: dict[str, Scores], part: Part) -> None:
    """The table of all sets, and the figures of the made rows."""
    answer, lines = data.settings.answer, []
    pairs = [at for at, row in enumerate(writers.asked) if isinstance(row.get(answer), str) and row[answer].strip()]
    wanted = [writers.asked[at][answer] for at in pairs]
    overlap: dict[str, tuple[Interval, Interval]] = {}
    for one in writers.found:
        said = [one.answers[at] for at in pairs]
        if pairs:
            overlap[one.name] = rouge_l(said, wanted), bleu(said, wanted)
        own = losses.get(one.name)
        spread = f"{min(own.each):.4g} to {max(own.each):.4g}" if own and len(own.each) > 1 else ""
        lines.append(
            [
                one.name,
                one.about,
                len(one.rows[0]),
                len(one.rows) if one.rows[0] else 0,
                _cell(_interval(own, data.seed)) if own else None,
                spread,
                _cell(difference(own, losses[BASE], seed=data.seed)) if own and one.name != BASE else None,
                *([_cell(each) for each in overlap[one.name]] if pairs else [None, None]),
                round(sum(map(len, one.answers)) / len(one.answers)),
            ]
        )
    columns = ["training set", "learned from", "rows", "fits", f"loss, {NATS}", "of each seed", "less the base model's"]
    title = f"What a student that writes learns: loss on {len(writers.known):,} test rows, {len(wanted)} answers"
    part.tables.append(Table("writing", title, [*columns, "ROUGE-L", "BLEU", "characters an answer"], lines))
    if losses:
        part.figures += _loss_figures(data, losses, len(writers.known))
    if pairs:
        detail = f"{len(pairs)} answers of the first seed; beside: the base model's"
        for at, (name, unit) in enumerate((("rouge_l", ""), ("bleu", "points"))):
            beside = overlap[BASE][at].value
            more = {"beside": beside, "unit": unit, "direction": "higher", "detail": detail}
            part.figures.append(Figure.of(name, overlap[MADE][at], **more))


def _loss_figures(data: Data, losses: dict[str, Scores], rows: int) -> list[Figure]:
    """The loss of the made rows' students, and how much less it is than that of others."""
    made, seed = losses[MADE], data.seed
    detail = f"{rows:,} test rows, {len(made.each)} seeds"
    more = {"unit": NATS, "direction": "lower"}
    beside = float(losses[BASE].each.mean())
    found = [
        Figure.of(
            "held_out_loss",
            _interval(made, seed),
            beside=beside,
            detail=f"{detail}; beside: the base model's",
            **more,
        )
    ]
    for name, other in losses.items():
        if name != MADE:
            less = difference(made, other, seed=seed)
            found.append(Figure.of(f"held_out_loss_less_{name}", less, detail=f"{detail}; below 0 is better", **more))
    return found


def _verify(writers: Writers, base: Writer, made: Writer, part: Part) -> None:
    """The share of verifiable instructions that the student follows, beside the base model's."""
    at = [number for number, row in enumerate(writers.asked) if row.get(INSTRUCTIONS)]
    names = [list(writers.asked[number][INSTRUCTIONS]) for number in at]
    given = [
        [one or {} for one in writers.asked[number].get(ARGUMENTS) or [None] * len(own)]
        for number, own in zip(at, names, strict=True)
    ]
    before, after = (followed([one.answers[number] for number in at], names, given) for one in (base, made))
    lines = [
        (f"{level}, {how}", getattr(before, level + suffix), getattr(after, level + suffix))
        for level in ("prompts", "instructions")
        for how, suffix in (("strict", ""), ("loose", "_loose"))
    ]
    lines += [(name, before.kinds[name], after.kinds[name]) for name in after.kinds]
    title = f"Instructions followed that code can check (IFEval), {len(at)} prompts"
    rows = [[name, _cell(one), _cell(other)] for name, one, other in lines]
    part.tables.append(Table("verifiable", title, ["share of", "base model", "student of the made rows"], rows))
    for level in ("prompts", "instructions"):
        beside = getattr(before, level).value
        more = {
            "unit": "share",
            "direction": "higher",
            "detail": f"strict, {len(at)} prompts; beside: the base model's",
        }
        if not math.isnan(beside):
            part.figures.append(Figure.of(f"verifiable_{level}", getattr(after, level), beside=beside, **more))
    if after.unchecked:
        kinds = ", ".join(f"{name} ({count})" for name, count in after.unchecked.items())
        part.notes.append(f"Instructions that could not be checked, and do not count: {kinds}.")


def _judge(data: Data, judge: str, writers: Writers, base: Writer, made: Writer, part: Part) -> None:
    """How often a judge prefers the student to the base model, as it is and at equal length."""
    asked = [joined(row, data.settings.prompt) for row in writers.asked]
    preferences = _preferences(data, judge, asked, made.answers, base.answers)
    lengths, others = [list(map(len, one.answers)) for one in (made, base)]
    unread = sum(preference is None for preference in preferences)
    rate = win_rate(preferences)
    even = length_controlled(preferences, lengths, others, seed=data.seed)
    mean = [sum(each) / len(each) for each in (lengths, others)]
    read = len(preferences) - unread
    detail = f"judge {judge}, both orders, {read} answers of {mean[0]:.0f} against {mean[1]:.0f} characters"
    for name, found in (("win_rate", rate), ("win_rate_length_controlled", even)):
        if not math.isnan(found.value):
            more = {"beside": 0.5, "unit": "share", "direction": "higher", "detail": detail}
            part.figures.append(Figure.of(name, found, **more))
    rows: list[list[Any]] = [["all", read, _cell(rate)]]
    rows += [
        [f"student's answer {one.name}", one.rows, _cell(one.rate)] for one in by_length(preferences, lengths, others)
    ]
    rows.append(["if both were equally long (regression)", read, _cell(even)])
    title = "Wins of the student of the made rows over the base model, ties half"
    part.tables.append(Table("judged", title, ["answers", "rows", "win rate"], rows))
    if unread:
        part.notes.append(f"The judge could not be read on {unread} of {len(preferences)} rows: these do not count.")


def _preferences(
    data: Data, judge: str, asked: Sequence[str], made: Sequence[str], base: Sequence[str]
) -> list[float | None]:
    """Of each row 1 where the judge prefers the made rows' student, 0 for the base model, 0.5 for neither.

    Equal answers are a tie without asking. The judge's answers stay in a run folder in the store: none is paid twice.
    """
    from synth_llm.execute import run
    from synth_llm.recipe import Recipe
    from synth_llm.source import Source
    from synth_llm.steps.compare import WINNER, Compare

    found: list[float | None] = [0.5 if one == other else None for one, other in zip(made, base, strict=True)]
    rows = [
        {"number": at, "instruction": asked[at], "student": made[at], "base": base[at]}
        for at, known in enumerate(found)
        if known is None
    ]
    if not rows:
        return found
    recipe = Recipe(
        name="judge",
        seed=data.seed,
        models={judge: data.use.model(judge)},
        source=Source(rows=rows, id="number"),
        steps=[Compare.model_validate({"columns": ["student", "base"], "model": judge})],
    )
    with contextlib.ExitStack() as stack:
        store = data.store or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = (store / f"judge-{digest(judge, rows)}").resolve()
        stack.enter_context(contextlib.chdir(data.use.base))  # where a recipe's prompts are looked up
        data.doing(f"judge {judge}", 0, len(rows))
        for row in run(recipe, out=folder).kept:
            found[row["number"]] = {"student": 1.0, "base": 0.0}.get(row[WINNER], 0.5)
    return found


def _lm_eval(data: Data, tasks: Sequence[str], writers: Writers, part: Part) -> None:
    """Tasks of lm-eval (Gao et al. 2024, https://github.com/EleutherAI/lm-evaluation-harness), before and after."""
    if importlib.util.find_spec("lm_eval") is None:
        part.notes.append(f"Tasks {', '.join(tasks)} were left out: lm-eval is not installed (pip install lm-eval).")
        return
    found: dict[str, dict[str, Any]] = {}
    for one in writers.found[:2]:
        inputs = [one.name, digest(one.rows[0]), list(tasks), writers.settings]
        found[one.name] = data.remember("lm-eval", inputs, partial(_tasks, writers, one, tasks))
    rows = [[*name.split(" ", 1), value, found[MADE].get(name)] for name, value in found[BASE].items()]
    title = "Tasks of lm-eval"
    part.tables.append(Table("lm_eval", title, ["task", "metric", "base model", "student of the made rows"], rows))


def _tasks(writers: Writers, one: Writer, tasks: Sequence[str]) -> dict[str, float]:
    """By task and metric what the folder of a set's first student scores."""
    with tempfile.TemporaryDirectory() as folder:
        writers.fitted(one).save(Path(folder), {})
        results = import_module("lm_eval").simple_evaluate(
            model="hf", model_args=f"pretrained={folder}", tasks=list(tasks), apply_chat_template=True, random_seed=0
        )["results"]
    return {
        f"{task} {name}": float(value)
        for task, figures in results.items()
        for name, value in figures.items()
        if isinstance(value, int | float)
    }


def _cell(found: Interval) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 4) for value in found]
