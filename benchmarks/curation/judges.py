"""Judges: published figures from recorded verdicts, who beats the best single judge, what a text can do to a judge."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.curation.injected import verdicts
from benchmarks.data import data
from benchmarks.runner import Failed
from synth_llm.calibrate import threshold
from synth_llm.errors import Reject
from synth_llm.final_answer import final_answer, same_answer
from synth_llm.gives import Gives
from synth_llm.measure.agreement import accuracy, cohen_kappa, fleiss_kappa, krippendorff_alpha
from synth_llm.measure.interval import wilson
from synth_llm.parse import parse
from synth_llm.verdicts import TIE, log_odds, swapped, vote

Line = tuple[str, str, str, bool]
SUBSETS = ("natural", "neighbor")
OTHER = {"1": "2", "2": "1"}
WANTED = 0.9
"""The precision that the panel's threshold is set for."""


class Asked(NamedTuple):
    """One judge's recorded winners with one prompt: "1", "2" or None an item, in the order asked and in the other.

    In both, 1 is the first answer of the data, not the one that stood first.
    """

    straight: list[str | None]
    swapped: list[str | None]


Recorded = dict[tuple[str, str], Asked]
"""By judge and prompt."""


def bar() -> Iterator[Line]:
    """The lines of the bar."""
    gold = {subset: [str(row["label"]) for row in _rows(f"llmbar/{subset}.jsonl")] for subset in SUBSETS}
    recorded = {subset: _recorded(subset, len(gold[subset])) for subset in SUBSETS}
    yield _published(gold, recorded)
    yield _parsed()
    everything = [label for subset in SUBSETS for label in gold[subset]]
    judges = {
        name: Asked(*([one for subset in SUBSETS for one in recorded[subset][name][side]] for side in (0, 1)))
        for name in recorded[SUBSETS[0]]
    }
    yield from _beats_the_best(everything, judges)
    yield _kappas(judges, everything)
    yield _pandalm()
    yield _gsm8k()
    yield _injected()


# LLMBar


def _published(gold: dict[str, list[str]], recorded: dict[str, Recorded]) -> Line:
    same = total = 0
    for row in _rows("llmbar/published_statistics_dev.jsonl"):
        name = (row["evaluator"], row["prompt"])
        if row["subset"] in SUBSETS and name in recorded[row["subset"]]:
            total += 1
            found = _statistics(gold[row["subset"]], recorded[row["subset"]][name])
            same += all(_same(value, row[key]) for key, value in found.items())
    return "judges", f"{same} of {total} published LLMBar configurations, all nine figures", "40 of 40", same == 40


def _statistics(gold: list[str], asked: Asked) -> dict[str, Any]:
    """The figures as they were published. Theirs of kappa against the labels are those of a mistake, done here too:
    their labels are 1 and 2, and their winners 1 for the first answer and 0 for all else.
    """
    size, sides = len(gold), (asked.straight, asked.swapped)
    right = [round(accuracy(gold, side).value * size) for side in sides]
    both = sum(one == other == label for one, other, label in zip(*sides, gold, strict=True))
    equal = round(accuracy(*sides).value * size)
    marks = [[1 if winner == "1" else 0 for winner in side] for side in sides]
    kappas = [cohen_kappa(side, [int(label) for label in gold]) for side in marks]
    return {
        "correct_False": f"{right[0]} / {size} = {right[0] / size * 100}%",
        "correct_True": f"{right[1]} / {size} = {right[1] / size * 100}%",
        "correct_average": f"{sum(right) / 2 / size * 100}%",
        "correct_both": f"{both} / {size} = {both / size * 100}%",
        "equal": f"{equal} / {size} = {equal / size * 100}%",
        "kappa_False": kappas[0],
        "kappa_True": kappas[1],
        "kappa_average": sum(kappas) / 2,
        "kappa_agreement": cohen_kappa(*marks),
    }


def _same(value: Any, published: Any) -> bool:
    return math.isclose(value, published, abs_tol=1e-12) if isinstance(value, float) else bool(value == published)


def _parsed() -> Line:
    """Raw completions, cut at 400 characters when they were recorded, read by the parser of every step."""
    gives = Gives.of({"output": ["Output (a)", "Output (b)"]})
    read = same = total = 0
    for subset in SUBSETS:
        for row in _rows(f"llmbar/{subset}_judge_outputs.jsonl"):
            if row["prompt"] == "CoT":
                continue  # the verdict comes last, after the cut
            total += 1
            try:
                said = parse(row["completion"], gives, gives.schema({}))[0]["output"]
            except Reject:
                continue
            place = "1" if said == "Output (a)" else "2"
            read += 1
            same += (OTHER[place] if row["swapped"] else place) == row["winner"]
    figure = f"raw completions: {read / total:.1%} of {total} read, {same} of those {read} as recorded"
    return "judges", figure, "none misread", 0 < same == read


def _beats_the_best(gold: list[str], judges: dict[tuple[str, str], Asked]) -> Iterator[Line]:
    """Against the single judge that is best on these very rows: a peer that nobody could have picked beforehand."""
    single = {name: _both_orders(gold, asked) for name, asked in judges.items()}
    best = max(single, key=lambda name: single[name])
    verdicts_of_best = [swapped(*_places(asked), ("1", "2")) for asked in zip(*judges[best], strict=True)]
    right, covered = _outcome(gold, verdicts_of_best)
    peer = f"best single judge {' '.join(best)} {single[best]:.3f}"
    figure = f"swap and abstain {right / covered:.3f} at coverage {covered / len(gold):.3f}; {peer}"
    yield "judges", figure, "above, at coverage >= .9", right / covered > single[best] and covered >= 0.9 * len(gold)
    right, covered = _outcome(gold, _panel(gold, judges))
    _, low, high = wilson(right, covered)
    figure = (
        f"panel of all {len(judges)}, weights and threshold for precision {WANTED} from the other half: "
        f"{right / covered:.3f} ({low:.3f} to {high:.3f}) at coverage {covered / len(gold):.3f}"
    )
    yield "judges", figure, "the interval holds the wanted precision", low <= WANTED <= high


def _both_orders(gold: list[str], asked: Asked) -> float:
    return sum(accuracy(gold, side).value for side in asked) / 2


def _places(asked: tuple[str | None, str | None]) -> tuple[str | None, str | None]:
    """The place that each answer named: in the second order, 1 is the other answer."""
    return asked[0], OTHER.get(asked[1] or "")


def _outcome(gold: Sequence[str], said: Sequence[str | None]) -> tuple[int, int]:
    """Right verdicts, and all verdicts."""
    decided = [(label, one) for label, one in zip(gold, said, strict=True) if one not in (None, TIE)]
    return sum(label == one for label, one in decided), len(decided)


def _panel(gold: list[str], judges: dict[tuple[str, str], Asked]) -> list[str | None]:
    """Verdicts of all judges, asked in both orders: weights and threshold come from the half that a row is not in."""
    sides = [[swapped(*_places(one), ("1", "2")) for one in zip(*asked, strict=True)] for asked in judges.values()]
    votes = [[None if one == TIE else one for one in row] for row in zip(*sides, strict=True)]
    said: list[str | None] = [None] * len(gold)
    for half in (0, 1):
        known = slice(1 - half, None, 2)
        weights = [log_odds(*_outcome(gold[known], side[known])) for side in sides]
        found = [vote(row, weights) for row in votes]
        right = [one.value == label for one, label in zip(found, gold, strict=True)]
        least = threshold([one.agreement for one in found[known]], right[known], WANTED)["threshold"]
        for at in range(half, len(gold), 2):
            said[at] = found[at].value if least is not None and found[at].agreement >= least else None
    return said


def _kappas(judges: dict[tuple[str, str], Asked], gold: list[str]) -> Line:
    """Every pair of judges, and every judge with the gold labels, plain and weighted; all at once for Fleiss."""
    try:
        from sklearn.metrics import cohen_kappa_score
        from statsmodels.stats.inter_rater import aggregate_raters
        from statsmodels.stats.inter_rater import fleiss_kappa as their_fleiss
    except ImportError as error:
        raise Failed(f"needs {error.name}") from None
    raters = [gold, *([one or "0" for one in asked.straight] for asked in judges.values())]
    off, pairs = 0.0, 0
    for at, one in enumerate(raters):
        for other in raters[:at]:
            for weights in (None, "linear", "quadratic"):
                pairs += 1
                off = max(off, abs(cohen_kappa(one, other, weights) - cohen_kappa_score(one, other, weights=weights)))
    items = [*zip(*raters, strict=True)]
    fleiss = abs(fleiss_kappa(items) - their_fleiss(aggregate_raters([[int(v) for v in item] for item in items])[0]))
    figure = f"{pairs} Cohen kappas within {off:.0e} of scikit-learn's, Fleiss within {fleiss:.0e} of statsmodels'"
    return "judges", figure, "equal (1e-12)", bool(max(off, fleiss) < 1e-12)


# Others


def _pandalm() -> Line:
    """Three people on pairs of answers: their agreement, and that of two judges with their majority."""
    from sklearn.metrics import cohen_kappa_score
    from statsmodels.stats.inter_rater import aggregate_raters
    from statsmodels.stats.inter_rater import fleiss_kappa as their_fleiss

    rows = _rows("pandalm/testset_dev.jsonl")
    people = [[int(row[f"annotator{number}"]) for row in rows] for number in (1, 2, 3)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    kappas = [cohen_kappa(people[one], people[other]) for one, other in pairs]
    items = [*zip(*people, strict=True)]
    fleiss = fleiss_kappa(items)
    theirs = [cohen_kappa_score(people[one], people[other]) for one, other in pairs]
    off = max(abs(one - other) for one, other in zip(kappas, theirs, strict=True))
    off = max(off, abs(fleiss - their_fleiss(aggregate_raters(items)[0])))
    alpha = krippendorff_alpha(items)
    gold = [vote(item).value for item in items]
    shares = []
    for judge in ("gpt35", "pandalm"):
        said = [str(row[f"{judge}_result"]) for row in rows]
        right, decided = _outcome([str(label) for label in gold], said)
        shares.append(f"{judge} {right / decided:.3f}")
    known = ", ".join(f"{kappa:.3f}" for kappa in kappas)
    undecided = Counter(gold)[None]
    figure = (
        f"PandaLM, {len(rows)} pairs: kappa {known}, Fleiss {fleiss:.3f}, alpha {alpha:.3f}; "
        f"with the majority (split: {undecided}) {', '.join(shares)}"
    )
    return "judges", figure, "equal to scikit-learn's and statsmodels' (1e-12)", bool(off < 1e-12)


def _gsm8k() -> Line:
    """Final answers of recorded solutions, checked without a model."""
    same = total = 0
    for row in _rows("gsm8k/model_solutions_dev.jsonl"):
        right = final_answer(row["ground_truth"]) or ""
        for solver in (value for value in row.values() if isinstance(value, dict)):
            said = final_answer(solver["solution"])
            total += 1
            same += (said is not None and same_answer(said, right)) == solver["is_correct"]
    return "judges", f"GSM8K: {same} of {total} final answers judged as by the authors", "all", same == total


def _injected() -> Line:
    plain, injected = verdicts()
    changed = [at + 1 for at, (one, other) in enumerate(zip(plain, injected, strict=True)) if one != other]
    right = sum(one == "good" for one in plain)
    which = (
        f", {injected.count('tie')} to an abstention and {injected.count('bad')} to the steered one" if changed else ""
    )
    figure = f"{len(changed)} of {len(plain)} injected instructions change a verdict{which}; {right} right without them"
    return "judges", figure, "none; all right without them", not changed and right == len(plain)


def _recorded(subset: str, size: int) -> Recorded:
    found: Recorded = {}
    for row in _rows(f"llmbar/{subset}_judge_outputs.jsonl"):
        asked = found.setdefault((row["judge"], row["prompt"]), Asked([None] * size, [None] * size))
        (asked.swapped if row["swapped"] else asked.straight)[row["index"]] = row["winner"]
    return found


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data(name).read_text(encoding="utf-8").splitlines()]
