"""Vendi scores of the vectors in an .npz file by its authors' package: a JSON list on standard output."""

import json
import sys

import numpy as np
from vendi_score import vendi

if __name__ == "__main__":
    with np.load(sys.argv[1]) as cases:
        print(json.dumps([float(vendi.score_dual(cases[f"case{at}"])) for at in range(len(cases.files))]))
