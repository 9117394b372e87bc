"""The dataset card of a run, as that of a repository on the Hub."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from synth_llm.errors import InputError, MissingExtra
from synth_llm.publish.settings import Publish
from synth_llm.row import Row

DEFAULT = "default"
MARK = "<!-- from here on written by synth-llm push -->"
ROWS = re.compile(r"\nrows = load_dataset.*")
LOADING = re.compile(r'load_dataset\("[^"]*"')
LOOKED_AT, COMMON = 500, 0.05
"""Rows that languages are told from, and the share of them from which a language is one of the dataset's."""


def of_repository(
    card: Path,
    repo: str,
    files: Mapping[str, Path],
    data: Mapping[str, str],
    configs: Collection[str],
    manifest: Mapping[str, Any],
    settings: Publish,
) -> str:
    """The card of a run for the dataset `repo`, whose splits lie in the files `data`; `files` are all by their paths.

    The splits are loaded by default; of the run's own configs those named in `configs` stay. Raises InputError for a
    card without its metadata.
    """
    import yaml

    try:
        _, head, body = card.read_text(encoding="utf-8").split("---\n", 2)
        facts: dict[str, Any] = yaml.safe_load(head)
        for name in ("language", "license", "dataset_info"):
            facts.pop(name, None)
        own = [config for config in facts["configs"] if config["config_name"] in configs]
    except (ValueError, KeyError, TypeError, yaml.YAMLError):
        raise InputError("has no metadata of a run; run its recipe again, which writes it", card) from None
    splits = [{"split": split, "path": path} for split, path in data.items()]
    rest = [{name: value for name, value in config.items() if name != "default"} for config in own]
    facts["configs"] = [{"config_name": DEFAULT, "default": True, "data_files": splits}, *rest]
    facts |= _features(files[next(iter(data.values()))])
    if languages := settings.languages or found_languages(files["kept.parquet"]):
        facts = {"language": languages, **facts}
    if settings.license:
        facts = {"license": settings.license, **facts}
    loading = f"load_dataset({json.dumps(repo)}"
    body = LOADING.sub(loading, ROWS.sub("", body))
    if "rejected" not in configs:
        body = re.sub(r"\nrejected = load_dataset.*", "", body)
    body = body.replace(f"\nkept = {loading}", f"\nrows = {loading})  # {', '.join(data)}\nkept = {loading}")
    parts = [body.partition(MARK)[0].rstrip("\n"), "", MARK, "", *_sections(repo, files, manifest, settings)]
    body = "\n".join(parts)
    return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n{body}"


def _features(path: Path) -> dict[str, Any]:
    """The columns' types as the Hub's metadata say them; nothing for files that do not tell."""
    if path.suffix != ".parquet":
        return {}
    import datasets
    import pyarrow.parquet as pq
    from huggingface_hub import DatasetCardData

    features = datasets.Features.from_arrow_schema(pq.read_schema(path))
    card, info = DatasetCardData(), datasets.DatasetInfo(features=features)
    datasets.info.DatasetInfosDict({DEFAULT: info}).to_dataset_card_data(card)
    said = card.get("dataset_info")
    return {"dataset_info": said} if said else {}


def found_languages(kept: Path) -> list[str]:
    """The languages that rows are written in, ISO 639-1, the commonest first; none without lingua or prose."""
    from synth_llm.languages import AMONG, detector, prose

    try:
        tell, _ = detector(AMONG, "languages of a card")
    except MissingExtra:
        return []
    told: Counter[str] = Counter()
    for row in islice(_rows(kept), LOOKED_AT):
        text = prose(" ".join(value for name, value in row.items() if isinstance(value, str) and name[:1] != "_"))
        if len(text.split()) > 2 and (language := tell.detect_language_of(text)) is not None:
            told[language.iso_code_639_1.name.lower()] += 1
    return [language for language, count in told.most_common() if count >= COMMON * told.total()]


def _rows(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(LOOKED_AT):
            yield from batch.to_pylist()


def _sections(repo: str, files: Mapping[str, Path], manifest: Mapping[str, Any], settings: Publish) -> Iterator[str]:
    """What made it, what it cost, how it is made again, terms, and what to keep in mind."""
    yield "## What made it\n"
    parts = [path for path in files if path.startswith(("prompts/", "filters/"))]
    yield ", ".join(f"[`{path}`]({path})" for path in ("recipe.yaml", *parts)) + "\n"
    spent = manifest["spent"]["all runs"]
    dollars = f", ${spent['dollars']:,.2f}" if spent["dollars"] else ""
    yield (
        f"It took {spent['requests']:,} requests, {spent['prompt_tokens']:,} prompt and "
        f"{spent['completion_tokens']:,} answer tokens{dollars}.\n"
    )
    revisions = [
        f"- `{name}`: {one.get('model') or one['engine']}, revision `{one['revision']}`"
        for name, one in manifest["models"].items()
        if one.get("revision")
    ]
    if revisions:
        yield "\n".join(revisions) + "\n"
    yield "## Make it again\n"
    again = "answers every request from the journal, so that no model is needed"
    anew = "asks the models anew: the journal was not sent"
    yield f"```console\n$ pip install synth-llm\n$ synth-llm run hf://{repo}\n```\n"
    yield f"It {again if 'journal.sqlite' in files else anew}; `--set target.rows=N` goes on from there.\n"
    if settings.terms:
        yield f"## Terms of the models\n\n{settings.terms}\n"
    yield "## To keep in mind\n"
    yield "\n".join(f"- {line}" for line in _limits(manifest)) + "\n"


def _limits(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What a user of the rows should know of them."""
    if manifest["models"]:
        yield "Texts were written by models: what they say is not verified, and they may share the models' biases."
    if not manifest["complete"]:
        yield f"The run was not complete: {manifest['why']}."
    if not (manifest["recipe"].get("evaluate") or manifest.get("evaluation")):
        yield "Nobody has measured what a model learns from these rows."
    checks = [step["step"] for step in manifest["funnel"] if step["rejected"]]
    yield (
        f"Rows were dropped by {', '.join(checks)}; what no step looks at is unchecked."
        if checks
        else ("No step dropped a row.")
    )
