"""Text out of documents: PDF by page, HTML without what surrounds its text. Needs the extra `documents`.

pypdf reads PDF, and trafilatura finds the main text of a page (Barbaresi 2021, ACL demos): menus, footers and
advertisements are left out, headings and lists stay, as Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from synth_llm import files
from synth_llm.errors import InputError, MissingExtra, SynthError
from synth_llm.row import Row

TEXTS, HTML, PDF = (".txt", ".md"), (".html", ".htm"), (".pdf",)
SUFFIXES = (*TEXTS, *HTML, *PDF)

_BROKEN_WORD = re.compile(r"(?<=[^\W\d_])[-\u00ad]\n(?=[a-zà-öø-ÿ])")
"""A word that a line of a PDF ends in the middle of."""


def read_document(path: Path) -> Iterator[Row]:
    """The rows of a document: `text`, and for each page of a PDF its number, `page`, from 1.

    A page without text, such as a scanned one, is a row with an empty text. Raises InputError, naming the file, when it
    is damaged, encrypted or not UTF-8; MissingExtra.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in PDF:
            yield from ({"page": number, "text": text} for number, text in enumerate(_pages(path), 1))
        else:
            yield {"text": _html(path) if suffix in HTML else files.read_text(path)}
    except ImportError:
        raise MissingExtra(f"a source with {path.suffix} files", "documents") from None
    except SynthError:
        raise
    except Exception as error:  # damaged files fail in as many ways as there are damages
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"cannot be read: {said[:200]}", path) from error


def _html(path: Path) -> str:
    import logging

    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it says of each page what it did not find
    page = path.read_bytes()
    if b"<html" not in page.lower():  # a part of a page, which is no page to it
        page = b"<html><body>" + page + b"</body></html>"
    found = trafilatura.extract(page, output_format="markdown", include_comments=False, favor_recall=True)
    return _clean(found or trafilatura.html2txt(page))  # of a page of a few words all are its text


def _pages(path: Path) -> Iterator[str]:
    import logging

    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # its warnings are of layout, not of text
    with path.open("rb") as file:
        reader = pypdf.PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise InputError("is encrypted; save it without a password, or take it out of the folder", path)
        for page in reader.pages:
            yield _BROKEN_WORD.sub("", _clean(page.extract_text()))


def _clean(text: str) -> str:
    """Without what no text holds: the character NUL, halves of surrogate pairs."""
    whole = text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.strip()
