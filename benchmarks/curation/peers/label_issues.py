"""cleanlab on the probabilities of an .npz file (`proba`, `given`): writes which rows it finds, and its scores."""

import sys

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

if __name__ == "__main__":
    read, written = sys.argv[1:]
    with np.load(read) as case:
        proba, given = case["proba"], case["given"]
    found = find_label_issues(given, proba, n_jobs=1)
    np.savez(written, found=found, score=get_label_quality_scores(given, proba))
