"""The gate: what figures must be, and which of them are not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from synth_llm.errors import InputError, nearest
from synth_llm.evaluation.part import Figure
from synth_llm.evaluation.settings import wanted

SIGNS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_STUDENTS = (
    *("tstr", "trtr", "trts", "gan_train", "gan_test", "seeds_only", "oversample", "macro_f1"),
    *("loss", "held_out_loss", "rouge", "bleu", "win_rate", "verifiable"),
)
KNOWN: dict[str, tuple[str, ...]] = {
    "diversity": (
        *("distinct_1", "distinct_2", "self_bleu", "compression_ratio", "dispersion", "vendi", "novelty"),
        "coverage_*",
    ),
    "fidelity": (
        *("length_js", "vocabulary_js", "label_js", "mauve", "frechet", "precision", "recall", "density", "coverage"),
        *("c2st", "correlation_distance", "*_js", "ks_*"),
    ),
    "utility": (*_STUDENTS, *(f"{name}_*" for name in _STUDENTS), "mix_*", "real_*", "*_less_*"),
    "privacy": (
        *("pii", "exact_copies", "near_copies", "dcr_median", "dcr_share", "nndr", "mia_distance", "mia_loss"),
        *("k_anonymity", "l_diversity", "t_closeness", "pii_*", "dcr_*", "nndr_*", "mia_*"),
    ),
    "bias": ("rate_*", "association_*", "gap_*"),
    "contamination": ("contaminated", "contaminated_*"),
    "ablation": ("worth_*",),
    "grid": ("grid_*",),
}
"""The figures of each part; `*` stands for the name of a column, a group, a number of rows or a student."""


def check(gate: Mapping[str, str], parts: Mapping[str, str]) -> None:
    """Raises InputError for a figure that none of the parts can give; `parts` says of each what it lacks, or nothing.

    What a `*` stands for is known only afterwards.
    """
    for name in gate:
        homes = [part for part, patterns in KNOWN.items() if any(fnmatchcase(name, one) for one in patterns)]
        if not homes:
            known = [one for patterns in KNOWN.values() for one in patterns]
            plain = [one for one in known if "*" not in one]
            raise InputError(f"gate: no figure '{name}'{nearest(name, plain)}")
        if not any(part in parts and not parts[part] for part in homes):
            lack = next((f", which needs {parts[part]}" for part in homes if parts.get(part)), ", which does not run")
            raise InputError(f"gate: '{name}' is a figure of {homes[0]}{lack}")


def failed(gate: Mapping[str, str], figures: Iterable[Figure], broken: bool = False) -> list[str]:
    """A line for each figure that is not as it must be: name, figure, what is wanted.

    A figure without a value is not as it must be. Raises InputError, naming the nearest, for one that there is not;
    unless a part is `broken`, which might have given it.
    """
    known = {figure.name: figure for figure in figures}
    lines = []
    for name, condition in gate.items():
        end, sign, number = wanted(condition)
        if name not in known:
            if not broken:
                raise InputError(f"gate: no figure '{name}' came out{nearest(name, known)}")
            lines.append(f"{name} was not measured, wanted {condition.strip()}")
            continue
        value: float | None = getattr(known[name], end)
        if value is None:
            why = "has no value for these rows" if end == "value" else "has no interval"
            lines.append(f"{name} {why}, wanted {condition.strip()}")
        elif not SIGNS[sign](value, number):
            shown = f"{value:.4g}" if end == "value" else f"{end} end {value:.4g}"
            lines.append(f"{name} is {shown}, wanted {condition.strip()}")
    return lines
