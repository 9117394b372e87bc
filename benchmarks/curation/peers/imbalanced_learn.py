"""Resamples vectors: reads IN.npz (x, y as numbers, seed), writes OUT.npz with x and y of each method."""

from __future__ import annotations

import sys

import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler

given = np.load(sys.argv[1])
seed = int(given["seed"])
found = {}
for name, method in (("random", RandomOverSampler(random_state=seed)), ("smote", SMOTE(random_state=seed))):
    found[f"{name}_x"], found[f"{name}_y"] = method.fit_resample(given["x"], given["y"])
np.savez(sys.argv[2], **found)
