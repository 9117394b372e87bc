"""docs: the site is built with every internal link and anchor checked, and every code block is held to what it is.

Python runs, in a folder with the files that it names. YAML loads as a recipe or as a part of one. Commands of
synth-llm are read as the command line reads them; those of the tutorial are run by the bar `new_user`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.core.recipes import Bar
from synth_llm.errors import SynthError
from tests.documentation import PAGES, ROOT, Block, all_blocks, commands, fragment, parsed

HREF = re.compile(r"(?:href|src)=\"([^\"#?][^\"]*)\"")


def bar() -> Iterator[Bar]:
    yield _site()
    with tempfile.TemporaryDirectory() as scratch:
        yield _line("Python blocks run", [(block.place, _runs(block, Path(scratch))) for block in all_blocks("python")])
        yield _line("YAML blocks load", [(block.place, _loads(block, Path(scratch))) for block in all_blocks("yaml")])
    typed = [(block.place, one) for block in all_blocks("console") for one in commands(block) if "synth-llm " in one]
    yield _line("commands are understood", [(place, _understood(one)) for place, one in typed])


def _line(what: str, said: list[tuple[str, str]]) -> Bar:
    wrong = [f"{place}: {why}" for place, why in said if why]
    for line in wrong:
        print(line, file=sys.stderr)
    return ("docs", f"{len(said) - len(wrong)} of {len(said)} {what}", f"{len(said)}", not wrong and bool(said))


def _site() -> Bar:
    """Build the site, strictly; then follow every link of what was built."""
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--quiet", "--site-dir", scratch],
            cwd=ROOT,
            env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stderr, file=sys.stderr)
        site, broken, count = Path(scratch), [], 0
        for page in site.rglob("*.html"):
            for link in HREF.findall(page.read_text(encoding="utf-8")):
                if re.match(r"(?:https?|data|mailto):", link) or page.name == "404.html":
                    continue
                count += 1
                path = page.parent / link.split("#")[0].split("?")[0]
                if not (path.is_file() or (path / "index.html").is_file()):
                    broken.append(f"{page.relative_to(site)}: {link}")
    for line in broken[:20]:
        print(line, file=sys.stderr)
    built = "built strictly" if not done.returncode else "NOT built"
    figure = f"{len(PAGES)} pages {built}, {count:,} internal links, {len(broken)} broken"
    return ("docs", figure, "0 broken", not done.returncode and not broken and count > 0)


def _runs(block: Block, scratch: Path) -> str:
    """Run a block in a folder with the files that pages speak of."""
    folder = scratch / re.sub(r"\W", "-", block.place)
    folder.mkdir()
    for name in ("made", "train", "test"):
        rows = [
            {"text": f"The {thing} was {word} {name} {n}.", "label": word}
            for n in range(10)
            for thing in ("film", "book")
            for word in ("good", "bad")
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = subprocess.run(
        [sys.executable, "-c", block.text], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no word"])[-1]


def _loads(block: Block, scratch: Path) -> str:
    try:
        fragment(block, scratch)
    except SynthError as error:
        return str(error)
    return ""


def _understood(command: str) -> str:
    try:
        parsed(command[command.index("synth-llm ") :])
    except Exception as error:  # typer's own errors
        return f"{command}: {error}"
    return ""
