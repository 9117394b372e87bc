"""What the bar *secrets* runs in a process of its own, with every logger at DEBUG: `NAME ARGUMENT ...`."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def command(*args: str) -> None:
    """The command line."""
    from synth_llm.cli import main

    print(f"$ synth-llm {' '.join(args)}", flush=True)
    try:
        main(args)
    except SystemExit as exit:
        print(f"exit {exit.code}", flush=True)
    except BaseException:  # SYNTH_LLM_DEBUG=1 shows tracebacks
        traceback.print_exc()


def life(*recipes: str) -> None:
    """Runs, what looks at them afterwards, and the same from Python, whose errors nobody catches."""
    from synth_llm import run

    for recipe in recipes:
        folder = Path(recipe).stem
        command("run", recipe, "--out", folder)
        command("inspect", folder, "--rejected")
        command("run", recipe, "--out", f"{folder}-again", "--journal", folder)
        try:
            print(run(recipe, out=f"{folder}-python").stats, flush=True)
        except Exception:
            traceback.print_exc()


def tour(recipe: str) -> None:
    """Every command that a user may give for a recipe."""
    from synth_llm import run_folder

    folder = Path(recipe).stem
    command("check", recipe)
    command("preview", recipe, "-n", "2", "--prompts", "--out", folder)
    life(recipe)
    command("status", folder)
    command("inspect", folder)
    for path in (Path(folder), Path(f"{folder}-again")):
        for row in run_folder.sample(path, 1):
            command("inspect", folder, "--row", row["_id"])
        for _, examples in run_folder.rejections(path, None, 1):
            command("inspect", folder, "--row", examples[0]["_id"])
    command("push", folder, "me/echo")


def broken(recipe: str) -> None:
    """A run whose engine fails in a way that nobody foresaw."""
    import aiohttp

    from synth_llm import run

    async def fail(self: aiohttp.ClientResponse) -> bytes:
        raise ArithmeticError(f"not foreseen, of {self.url}")

    aiohttp.ClientResponse.read = fail  # type: ignore[method-assign]
    command("run", recipe, "--out", "broken")
    run(recipe, out="broken-python")


def encoder(*urls: str) -> None:
    """Embeddings of every kind of endpoint."""
    from synth_llm import embed

    embed.RETRIES = 1
    for url in urls:
        try:
            print(embed.EndpointEncoder("echo", url=url, key_env="PLANTED_KEY").encode(["a text"]))
        except Exception:
            traceback.print_exc()


def served(recipe: str, key: str) -> None:
    """A run with a served vLLM, whose own key is known."""
    import secrets

    secrets.token_hex = lambda nbytes=None: key  # type: ignore[method-assign]
    command("run", recipe, "--out", "served")


WAYS: dict[str, Callable[..., None]] = {
    "broken": broken,
    "command": command,
    "encoder": encoder,
    "life": life,
    "served": served,
    "tour": tour,
}

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
    WAYS[sys.argv[1]](*sys.argv[2:])
