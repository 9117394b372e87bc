"""Runs datatrove's Gopher and C4 filters over texts: `python datatrove_filters.py TEXTS.json`; prints JSON.

CPU seconds of a pass over all texts after one over the first few, which loads the tokeniser, and which texts it keeps.
"""

import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, GopherQualityFilter, GopherRepetitionFilter

texts = json.loads(Path(sys.argv[1]).read_text())
filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(filter_no_terminal_punct=True)]


def kept(text: str, at: int) -> list[bool]:
    """Whether each filter keeps the text; all are asked, as ours are."""
    return [one.filter(Document(text=text, id=str(at))) is True for one in filters]


for at, text in enumerate(texts[:5]):
    kept(text, at)
began = time.process_time()
verdicts = [kept(text, at) for at, text in enumerate(texts)]
print(json.dumps({"seconds": time.process_time() - began, "kept": verdicts}))
