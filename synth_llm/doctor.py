"""What is installed, which engines work here, and what to install or fetch for the rest."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from typing import NamedTuple

from synth_llm.errors import InputError
from synth_llm.installed import versions

ENGINES = {"openai": "", "local": "local", "transformers": "transformers", "vllm": "vllm", "function": "", "replay": ""}
"""The extra that each engine needs."""
_NEED = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[(?P<extras>[\w,-]+)\])?.*?;.*\bextra == ['\"](?P<extra>[\w-]+)['\"]"
)


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    works: bool
    said: str
    """What there is, or the command that gets it."""


def extras() -> dict[str, list[str]]:
    """The packages that each extra lacks here, by its name; those of the extras that it names too."""
    needs: dict[str, list[tuple[str, list[str]]]] = {}
    for requirement in metadata.requires("synth-llm") or ():
        if found := _NEED.match(requirement):
            inner = (found["extras"] or "").split(",") if found["extras"] else []
            needs.setdefault(found["extra"], []).append((found["name"], inner))

    def lacking(extra: str) -> list[str]:
        missing: list[str] = []
        for name, inner in needs.get(extra, ()):
            if name == "synth-llm":
                missing += [one for part in inner for one in lacking(part)]
            elif not versions(name):
                missing.append(name)
        return list(dict.fromkeys(missing))

    return {extra: lacking(extra) for extra in sorted(needs) if extra != "dev"}


def findings() -> dict[str, list[Finding]]:
    """What was found, by what it is about: engines, extras, weights."""
    lacks = extras()
    return {
        "engines": [_engine(name, lacks) for name in ENGINES],
        "extras": [_extra(name, missing) for name, missing in lacks.items()],
        "weights": list(_weights()),
    }


def system() -> str:
    """Versions and machine in one line."""
    return (
        f"synth-llm {versions('synth-llm').get('synth-llm', '?')}, Python {platform.python_version()}, "
        f"{platform.platform(terse=True)}, {os.cpu_count()} cores"
    )


def _engine(name: str, lacks: dict[str, list[str]]) -> Finding:
    missing = lacks.get(ENGINES[name], [])
    if missing:
        return Finding(name, False, _install(ENGINES[name], missing))
    if name == "openai":
        known = (
            "set" if os.environ.get("OPENAI_API_KEY") else "not set; other endpoints are named by `url` and `key_env`"
        )
        return Finding(name, True, f"any compatible endpoint; OPENAI_API_KEY is {known}")
    package = {"local": "xllamacpp", "transformers": "transformers", "vllm": "vllm"}.get(name)
    return Finding(name, True, f"{package} {versions(package)[package]}" if package else "comes with synth-llm")


def _extra(name: str, missing: list[str]) -> Finding:
    return Finding(name, not missing, _install(name, missing) if missing else "installed")


def _install(extra: str, missing: list[str]) -> str:
    return f"pip install 'synth-llm[{extra}]'  (lacks {', '.join(missing[:3])}{', ...' * (len(missing) > 3)})"


def _weights() -> list[Finding]:
    from synth_llm.models.weights import WEIGHTS, locate

    found = []
    for name, weights in sorted(WEIGHTS.items()):
        try:
            found.append(Finding(name, True, str(locate(name))))
        except InputError:
            found.append(Finding(name, False, f"synth-llm fetch {name}  ({weights.size / 1e6:,.0f} MB)"))
    return found
