"""Drops pages of the web by the rules of C4 (Raffel et al. 2019, arXiv 1910.10683, section 2.2).

For documents: passages to write questions about, pages to train on; an instruction's answer need not be in sentences.

A line counts when it ends in a terminal mark, has at least `min_line_words` words and is no notice about JavaScript,
cookies or terms of use; the text is kept when these lines hold at least `min_sentences` sentences. A text with "lorem
ipsum", or with a curly bracket (which is code), is dropped. C4 removes the other lines too; a filter changes nothing.

Defaults: `min_sentences` 5 and `min_line_words` 3 are those of the published rules; `curly` true as there.
"""

from __future__ import annotations

import re

from synth_llm.row import Row, Verdict
from synth_llm.text import read

_MARKS = (".", "!", "?", '."', '!"', '?"', ".”", "!”", "?”", "。", "！", "？")
_NOTICE = ("javascript", "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]{0,3}(?=\s|\Z)|[。！？]+")


def c4(row: Row, column: str = "text", min_sentences: int = 5, min_line_words: int = 3, curly: bool = True) -> Verdict:
    """Keep texts with enough sentences in proper lines. The value is the number of these sentences."""
    text = row.get(column)
    if not isinstance(text, str):
        return Verdict(False, "not a text")
    found = read(text)
    if "lorem ipsum" in found.lower:
        return Verdict(False, 'holds "lorem ipsum"')
    if curly and ("{" in text or "}" in text):
        return Verdict(False, "holds a curly bracket")
    sentences = 0
    for line in found.lines:
        if not line.endswith(_MARKS) or line.endswith("...") or len(line.split()) < min_line_words:
            continue
        lower = line.lower()
        if not any(notice in lower for notice in _NOTICE):
            sentences += len(_SENTENCE_END.findall(line))
    if sentences < min_sentences:
        return Verdict(False, f"{sentences} sentences in proper lines; at least {min_sentences} wanted", sentences)
    return Verdict(True, value=sentences)
