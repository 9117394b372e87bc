"""The dataset card of a run, as that of a repository on the Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from synth_llm.errors import InputError

DEFAULT = "default"
ROWS = re.compile(r"\nrows = load_dataset.*")
LOADING = re.compile(r'load_dataset\("[^"]*"')


def of_repository(card: Path, repo: str, data: Mapping[str, str], configs: Collection[str]) -> str:
    """The card of a run for the dataset `repo`, whose splits lie in the files `data`.

    These are loaded by default; of the run's own configs those named in `configs` stay. Raises InputError for a card
    without its metadata.
    """
    import yaml

    try:
        _, head, body = card.read_text(encoding="utf-8").split("---\n", 2)
        facts: dict[str, Any] = yaml.safe_load(head)
        own = [config for config in facts["configs"] if config["config_name"] in configs]
    except (ValueError, KeyError, TypeError, yaml.YAMLError):
        raise InputError("has no metadata of a run; run its recipe again, which writes it", card) from None
    files = [{"split": split, "path": path} for split, path in data.items()]
    rest = [{name: value for name, value in config.items() if name != "default"} for config in own]
    facts["configs"] = [{"config_name": DEFAULT, "default": True, "data_files": files}, *rest]
    loading = f"load_dataset({json.dumps(repo)}"
    body = LOADING.sub(loading, ROWS.sub("", body))
    if "rejected" not in configs:
        body = re.sub(r"\nrejected = load_dataset.*", "", body)
    body = body.replace(f"\nkept = {loading}", f"\nrows = {loading})  # {', '.join(data)}\nkept = {loading}")
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n{body}"
