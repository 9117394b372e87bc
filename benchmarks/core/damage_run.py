"""damage of a whole run's journal: the next run makes the same rows, or refuses in one line; never a traceback."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.core.damage import damage
from benchmarks.core.kill import outputs
from benchmarks.core.mock import Mock
from benchmarks.core.recipes import Bar, three_steps
from synth_llm import FatalError, run

DAMAGES = 40


def bar(seed: int = 5) -> list[Bar]:
    rng, count = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder, Mock() as mock:
        recipe = three_steps(Path(folder, "project"), mock.url, 60)
        whole = Path(folder, "whole")
        run(recipe, out=whole)
        calm = outputs(whole)
        for at in range(DAMAGES):
            out = Path(folder, f"damaged{at}")
            shutil.copytree(whole, out)
            damage(out, rng, cut=at % 2 == 0)
            mock.reset()
            try:
                run(recipe, out=out)
            except FatalError as error:
                count["refused"] += 1
                count["refused in many lines"] += "\n" in str(error)
                continue
            count["same" if outputs(out) == calm else "other rows"] += 1
            count["asked again"] += mock.sent
    wrong = count["other rows"] + count["refused in many lines"]
    figure = f"{DAMAGES} runs on a damaged journal: {count['same']} the same, {count['refused']} refused, {wrong} wrong"
    return [("damage", f"{figure}, {count['asked again']} asked again", "0 wrong", wrong == 0)]
