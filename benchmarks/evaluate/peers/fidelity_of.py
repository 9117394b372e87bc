"""Fidelity by the authors' packages: cases as JSON on standard input, their figures as JSON on standard output.

A case has two samples of vectors, and two histograms. MAUVE is taken of the vectors, and of the histograms by the
functions that `mauve.compute_mauve` calls once it has quantised vectors.
"""

import contextlib
import json
import sys

import numpy as np
from mauve.compute_mauve import compute_mauve, get_divergence_curve_for_multinomials
from prdc import compute_prdc
from sklearn.metrics import auc


def area(made: list[int], real: list[int]) -> float:
    """As compute_mauve has it, from the histograms on."""
    p, q = (np.array(counts) / np.sum(counts) for counts in (made, real))
    x, y = get_divergence_curve_for_multinomials(p, q, np.linspace(1e-6, 1 - 1e-6, 25), 5).T
    along, up = np.argsort(x), np.argsort(y)
    return float((auc(x[along], y[along]) + auc(y[up], x[up])) / 2)


found = []
for case in json.load(sys.stdin):
    with contextlib.redirect_stdout(sys.stderr):
        made, real = np.array(case["made"]), np.array(case["real"])
        near = compute_prdc(real, made, case["k"])
        whole = compute_mauve(p_features=real, q_features=made)
    near = {name: float(value) for name, value in near.items()}
    found.append(
        {**near, "mauve": area(case["made_counts"], case["real_counts"]), "mauve_of_vectors": float(whole.mauve)}
    )
json.dump(found, sys.stdout)
