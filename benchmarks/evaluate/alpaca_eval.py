"""right_numbers: AlpacaEval's win rates and standard errors, from its recorded preferences."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from benchmarks.data import data
from synth_llm.measure.win_rate import length_controlled, shares, standard_error, win_rate

PRINTED = [("alpaca-7b", "v1"), ("text_davinci_001", "v1"), ("alpaca-7b", "v2")]
"""The models whose preferences are recorded, and the version of the leaderboard with their figures."""
NEAR = 1e-9


def bar() -> Iterator[tuple[str, str, str, bool]]:
    for model, version in PRINTED:
        with data(f"alpaca_eval/leaderboard_{version}.csv").open(newline="") as file:
            (row,) = [row for row in csv.DictReader(file) if row[""] == model]
        with data(f"alpaca_eval/{model}_{version}_annotations.jsonl").open() as file:
            recorded = [json.loads(line) for line in file]
        preferences = shares([one["preference"] for one in recorded])
        rate, error = 100 * win_rate(preferences).value, 100 * standard_error(preferences)
        apart = max(abs(rate - float(row["win_rate"])), abs(error - float(row["standard_error"])))
        lengths = [[one[f"len_{side}"] for one in recorded] for side in (2, 1)]
        controlled = length_controlled(preferences, *lengths)
        figure = (
            f"AlpacaEval {version} {model}: win rate {rate:.4f}, standard error {error:.4f}, {apart:.1e} from those "
            f"printed; at equal length {100 * controlled.value:.1f} (printed, with each instruction's difficulty: "
            f"{float(row['length_controlled_winrate']):.1f})"
        )
        yield "right_numbers", figure, f"<= {NEAR:.0e} apart", apart <= NEAR
