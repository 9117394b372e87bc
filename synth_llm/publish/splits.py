"""Splits that stay: what a student learns from and what it is tested on share no parent and no near-copy.

A row's split hangs on the hash of its id, so the same rows are split the same way anywhere. Splits that were drawn are
kept beside the run: rows that come later join those that they belong to, and move none.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from synth_llm import output
from synth_llm.errors import InputError
from synth_llm.publish.settings import TRAIN, Near
from synth_llm.row import digest

if TYPE_CHECKING:
    import numpy as np

SPLITS = "splits.json"
NEAR = 0.8
"""From this Jaccard similarity of three-word shingles on, two texts are near-copies."""
ALIKE = 0.9
"""From this cosine on, two texts mean nearly the same."""
Encode = Callable[[Sequence[str]], "np.ndarray"]
"""Gives the vectors of texts, of length one."""
LARGEST, SMALL = 0.1, 4
"""The largest part of a held-out split that one group may be, and rows that a group may have in any."""
_RANGE = 16**16


class How(BaseModel):
    """How rows are split."""

    model_config = ConfigDict(extra="forbid")

    shares: dict[str, float]
    stratify: str | None = None
    near: Near = "words"


class _Drawn(How):
    """The file of splits."""

    of: dict[str, str]
    """The split of each row, by its id."""


class Item(NamedTuple):
    """What a row's split hangs on."""

    id: str
    parent: str | None
    stratum: str
    text: str


def drawn(folder: Path, items: Sequence[Item], how: How, encode: Encode | None = None) -> list[str | None]:
    """The split of each item, in order: `train`, or a name of a share; None for one near to two splits, in neither.

    What was drawn for the run in `folder` before stays, and is written anew with what is new. With `how.near` of
    `meaning`, `encode` gives the vectors of texts. Raises InputError when splits were drawn otherwise before.
    """
    path = folder / SPLITS
    known, texts = _known(path, how), [item.text for item in items]
    near = near_copies(texts) + (near_in_meaning(texts, encode) if encode is not None else [])
    found = assigned(items, near, how.shares, known)
    places = known | {item.id: split for item, split in zip(items, found, strict=True) if split is not None}
    said = _Drawn(**how.model_dump(), of=places).model_dump()
    output.write_text(path, json.dumps(said, indent=0, sort_keys=True) + "\n")
    return found


def _known(path: Path, how: How) -> dict[str, str]:
    """What was drawn before. Raises InputError when it was drawn otherwise."""
    if not path.exists():
        return {}
    try:
        before = _Drawn.model_validate_json(path.read_bytes())
    except ValidationError:
        raise InputError("is damaged; delete it to draw splits anew: rows may change places then", path) from None
    if before.model_dump(exclude={"of"}) != how.model_dump():
        was = ", ".join(f"{name} {share:g}" for name, share in before.shares.items())
        by = f", by {before.stratify}" if before.stratify else ""
        apart = f", near-copies by {before.near},"
        raise InputError(
            f"the run was split into {was}{by}{apart} before; delete this to draw anew: rows move then", path
        )
    return before.of


def near_copies(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of texts that are near-copies, by their places. Raises InputError when nearly all are."""
    from synth_llm.similar.exact import normalised
    from synth_llm.similar.minhash import Shingling, near_pairs, sketch
    from synth_llm.similar.pairs import Crowded

    forms: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        forms[normalised(text)].append(place)
    same = [(places[0], place) for places in forms.values() for place in places[1:]]
    first = [places[0] for places in forms.values()]
    try:
        pairs = near_pairs(sketch([*forms], Shingling("word", 3), NEAR), NEAR)
    except Crowded:
        raise InputError("nearly all rows are copies of each other: put a `dedup` step into the recipe first") from None
    return same + [(first[i], first[j]) for i, j in zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)]


def near_in_meaning(texts: Sequence[str], encode: Encode) -> list[tuple[int, int]]:
    """Pairs of texts that mean nearly the same, by their places. Raises InputError when nearly all do."""
    from synth_llm.similar.meaning import meaning_pairs
    from synth_llm.similar.pairs import Crowded

    try:
        pairs = meaning_pairs(encode(texts), ALIKE)
    except Crowded:
        raise InputError("nearly all rows mean the same: put `dedup: {by: meaning}` into the recipe first") from None
    return [*zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)]


def assigned(
    items: Sequence[Item],
    near: Iterable[tuple[int, int]],
    shares: Mapping[str, float],
    known: Mapping[str, str],
) -> list[str | None]:
    """The split of each item: that of `known`, or of what it is near to, or a new one; None between two of them.

    With one stratum new groups are drawn by the hash of their ids alone, so that a share is met in the mean; with
    several each gets its share as nearly as groups allow.
    """
    beside: dict[int, list[int]] = defaultdict(list)
    for one, other in near:
        beside[one].append(other)
        beside[other].append(one)
    found: list[str | None] = [known.get(item.id) for item in items]
    families: dict[str | None, str] = {
        item.parent: split for item, split in zip(items, found, strict=True) if item.parent and split
    }
    order = sorted((at for at, split in enumerate(found) if split is None), key=lambda at: digest(items[at].id))
    waiting, left_out = dict.fromkeys(order), set[int]()

    def settle(at: int, split: str) -> None:
        found[at] = split
        if parent := items[at].parent:
            families.setdefault(parent, split)

    changed = True
    while changed:  # from what is known outwards, in an order that hangs on ids alone
        changed = False
        for at in list(waiting):
            reached = {split for other in beside[at] if (split := found[other])}
            reached |= {families[parent]} if (parent := items[at].parent) in families else set()
            if reached:
                del waiting[at]
                changed = True
                if len(reached) == 1:
                    settle(at, reached.pop())
                else:
                    left_out.add(at)
    groups = _groups(waiting, items, beside)
    strata = Counter(item.stratum for item in items)
    missing = _missing(items, found, shares, strata) if len(strata) > 1 else None
    for group in groups:
        split = _by_hash(group, items, shares) if missing is None else _filled(group, items, missing)
        for at in group:
            settle(at, split)
    return found


def _groups(waiting: Iterable[int], items: Sequence[Item], beside: Mapping[int, list[int]]) -> list[list[int]]:
    """New items that belong together, by a parent or a near-copy; in the order of their first hash."""
    left, children = dict.fromkeys(waiting), defaultdict[str, list[int]](list)
    for at in left:
        if parent := items[at].parent:
            children[parent].append(at)
    groups = []
    while left:
        group, edge = [], [next(iter(left))]
        del left[edge[0]]
        while edge:
            at = edge.pop()
            group.append(at)
            for other in (*beside.get(at, ()), *children.pop(items[at].parent or "", ())):
                if other in left:
                    del left[other]
                    edge.append(other)
        groups.append(group)
    return groups


def _by_hash(group: Sequence[int], items: Sequence[Item], shares: Mapping[str, float]) -> str:
    """By chance, that hangs on the smallest hash of the group; one too large to be a sample of anything is to train.

    Hashed once more: the smallest of several hashes is smaller than one is.
    """
    at = int(digest(min(digest(items[one].id) for one in group))[:16], 16) / _RANGE
    for name, share in shares.items():
        at -= share
        if at < 0:
            return name if len(group) <= max(SMALL, share * len(items) * LARGEST) else TRAIN
    return TRAIN


def _missing(
    items: Sequence[Item], found: Sequence[str | None], shares: Mapping[str, float], strata: Mapping[str, int]
) -> dict[tuple[str, str], float]:
    """How many rows each split lacks of each stratum."""
    there = Counter((split, item.stratum) for item, split in zip(items, found, strict=True))
    return {(name, of): share * strata[of] - there[name, of] for name, share in shares.items() for of in strata}


def _filled(group: Sequence[int], items: Sequence[Item], missing: dict[tuple[str, str], float]) -> str:
    """The split that lacks most of the group's commonest stratum, if the group brings it nearer to its share."""
    counts = Counter(items[at].stratum for at in group)
    of = max(sorted(counts), key=counts.__getitem__)
    lack, name = max(((lack, name) for (name, stratum), lack in missing.items() if stratum == of), key=lambda it: it[0])
    split = name if lack >= len(group) / 2 else TRAIN
    for stratum, count in counts.items():
        if (split, stratum) in missing:
            missing[split, stratum] -= count
    return split
