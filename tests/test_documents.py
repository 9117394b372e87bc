"""Documents as source rows: HTML without its surroundings, PDF by page, and a clear word on those that are damaged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from synth_llm import Chunk, Row, Source, run
from synth_llm.errors import InputError, MissingExtra
from synth_llm.recipe import Recipe
from synth_llm.source import columns, read_rows
from synth_llm.steps.chunk import passages

pypdf = pytest.importorskip("pypdf")
pytest.importorskip("trafilatura")

PAGE = """<html><head><title>T</title><script>var a = "script";</script></head><body>
<nav><a href="/">Home</a> <a href="/all">All pages</a></nav>
<main><h1>Bees</h1><p>A honey bee colony has one queen. She lays two thousand eggs a day.</p>
<h2>Honey</h2><p>To make one kilogram of honey, bees visit four million flowers &amp; more.</p></main>
<footer>Cookies. All rights reserved.</footer></body></html>"""


def pdf(*pages: str) -> bytes:
    """A PDF file with a line of text for each line of each page, written by hand."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, page in enumerate(pages):
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 72 700 Td {shown}ET"
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    body, offsets = "%PDF-1.4\n", []
    for number, thing in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{thing}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def rows(folder: Path) -> list[Row]:
    return list(read_rows(Source(texts=str(folder)), folder))


def test_a_page_of_html_is_its_main_text(tmp_path):
    (tmp_path / "bees.HTML").write_text(PAGE)
    (tmp_path / "short.htm").write_text("<p>A word.</p>")
    (tmp_path / "other.css").write_text("p {}")
    bees, short = rows(tmp_path)
    assert bees["file"] == "bees.HTML"
    assert bees["text"].startswith("# Bees\n\nA honey bee colony has one queen.")
    assert "## Honey\n\nTo make" in bees["text"]
    assert "flowers & more" in bees["text"]
    assert not any(word in bees["text"] for word in ("Home", "Cookies", "script"))
    assert short == {"file": "short.htm", "text": "A word."}


def test_an_old_page_is_read_in_its_encoding(tmp_path):
    text = "<html><head><meta charset='iso-8859-1'></head><body><p>Der Bär läuft über die Straße.</p></body></html>"
    (tmp_path / "bear.html").write_bytes(text.encode("latin-1"))
    assert rows(tmp_path)[0]["text"] == "Der Bär läuft über die Straße."


def test_a_pdf_has_a_row_a_page_and_its_broken_words_are_whole(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf("First page, with in-\nformation.", "", "Third page."))
    (tmp_path / "b.txt").write_text("Text.")
    assert rows(tmp_path) == [
        {"file": "a.pdf", "page": 1, "text": "First page, with information."},
        {"file": "a.pdf", "page": 2, "text": ""},
        {"file": "a.pdf", "page": 3, "text": "Third page."},
        {"file": "b.txt", "text": "Text."},
    ]
    assert columns(Source(texts=str(tmp_path)), tmp_path) == ["file", "page", "text"]


def test_passages_know_their_page_and_a_page_without_text_is_rejected_not_lost(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf("One two three. Four five six.", ""))
    result = run(Recipe(source=Source(texts=str(tmp_path)), steps=[Chunk(words=5)]), out=tmp_path / "out")
    assert [(row["text"], row["page"]) for row in result.kept] == [("One two three.", 1), ("Four five six.", 1)]
    assert result.manifest["rejected_by_reason"] == {"empty": 1}


def test_an_encrypted_pdf_and_a_damaged_one_are_named(tmp_path):
    from io import BytesIO

    writer = pypdf.PdfWriter(clone_from=BytesIO(pdf("Secret.")))
    writer.encrypt("word", algorithm="RC4-128")
    writer.write(tmp_path / "closed.pdf")
    with pytest.raises(InputError, match=r"closed\.pdf: is encrypted"):
        rows(tmp_path)
    (tmp_path / "closed.pdf").rename(tmp_path / "closed")
    writer = pypdf.PdfWriter(clone_from=BytesIO(pdf("Open to all.")))
    writer.encrypt("", "owner", algorithm="RC4-128")
    writer.write(tmp_path / "a.pdf")
    assert rows(tmp_path)[0]["text"] == "Open to all."
    (tmp_path / "cut.pdf").write_bytes(pdf("Some text.")[:60])
    with pytest.raises(InputError, match=r"cut\.pdf: cannot be read"):
        rows(tmp_path)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.pdf").write_bytes(pdf("Text."))
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtra, match=r"a source with \.pdf files needs the extra 'documents'"):
        rows(tmp_path)


def test_a_heading_stands_with_what_follows_it():
    text = "# Bees\n\nOne two three.\n\n## Honey\n\nFour five six seven."
    assert passages(text, 7) == ["# Bees\n\nOne two three.", "## Honey\n\nFour five six seven."]
    assert passages(text, 5) == ["# Bees\n\nOne two three.", "## Honey", "Four five six seven."]
