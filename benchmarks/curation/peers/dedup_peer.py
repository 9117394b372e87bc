"""One peer's deduplication of the texts in a JSON file: prints its CPU seconds and which rows it keeps, as JSON.

    python dedup_peer.py PEER FILE THRESHOLD

Reading the file and importing the peer are not counted; making tokens of the texts is.
"""

import json
import sys
import time
from pathlib import Path

GRAM, FUNCTIONS = 3, 128


def grams(text):
    words = text.casefold().split()
    return [" ".join(words[at : at + GRAM]) for at in range(max(1, len(words) - GRAM + 1))]


def rensa(texts, threshold):
    from rensa import RMinHashDeduplicator

    start = time.process_time()
    index = RMinHashDeduplicator(threshold=threshold, num_perm=FUNCTIONS, use_lsh=True)
    kept = index.add_pairs((str(at), grams(text)) for at, text in enumerate(texts))
    return time.process_time() - start, kept


def datasketch(texts, threshold):
    from datasketch import MinHash, MinHashLSH

    start = time.process_time()
    index, kept = MinHashLSH(threshold=threshold, num_perm=FUNCTIONS), []
    for at, text in enumerate(texts):
        signature = MinHash(num_perm=FUNCTIONS)
        signature.update_batch([gram.encode() for gram in grams(text)])
        kept.append(not index.query(signature))
        if kept[-1]:
            index.insert(at, signature)
    return time.process_time() - start, kept


def rouge_score(texts, threshold):
    """The loop of Self-Instruct: a row is new when it is below the threshold to every row that was kept."""
    from rouge_score import rouge_scorer

    start = time.process_time()
    scorer, kept, pool = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False), [], []
    for text in texts:
        scores = [scorer.score(one, text)["rougeL"].fmeasure for one in pool]
        kept.append(max(scores, default=0.0) < threshold)
        if kept[-1]:
            pool.append(text)
    return time.process_time() - start, kept


def semhash(file, threshold):
    import numpy as np
    from semhash import SemHash

    vectors = np.load(file)
    names = [str(at) for at in range(len(vectors))]

    class Given:
        """The vectors are there; nothing is encoded."""

        def encode(self, inputs, **settings):
            raise AssertionError

    start = time.process_time()
    index = SemHash.from_embeddings(vectors, names, Given())
    result = index.self_deduplicate(threshold=threshold)
    seconds = time.process_time() - start
    kept = set(result.selected)
    return seconds, [name in kept for name in names]


if __name__ == "__main__":
    peer, path, limit = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    given = str(path) if peer == "semhash" else json.loads(path.read_text(encoding="utf-8"))
    seconds, kept = globals()[peer](given, limit)
    print(json.dumps({"seconds": seconds, "kept": [bool(one) for one in kept]}))
