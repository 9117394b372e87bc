"""What a run has done: its state while it works, and the facts its manifest holds afterwards."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synth_llm import account, output
from synth_llm.errors import InputError
from synth_llm.installed import versions
from synth_llm.journal import Journal
from synth_llm.library import file_hash
from synth_llm.models.budget import Budget
from synth_llm.models.call import Caller
from synth_llm.plan import Plan
from synth_llm.prices import Priced
from synth_llm.segment import Tally

PACKAGES = (
    "synth-llm",
    "datasets",
    "jinja2",
    "jsonschema-rs",
    "pyarrow",
    "pydantic",
    "sentence-transformers",
    "xllamacpp",
)
"""Whose versions a run keeps."""


@dataclass
class State:
    """What a run has done so far, for whoever shows it."""

    tallies: list[Tally]
    callers: dict[str, Caller]
    budget: Budget
    target: int | None
    met: Tally | None = None
    """The one of the target, when there is one."""
    prices: Mapping[str, Priced] = field(default_factory=dict)
    """By the names of the models; one that is missing has an unknown price."""
    candidates: int = 0
    accepted: int = 0
    round: int = 0
    taken_up: int = 0
    """Candidates of this round that entered the first step."""
    round_size: int = 0
    notices: list[str] = field(default_factory=list)
    doing: str = ""
    """What takes long just now, beside rows and requests."""
    _paced: tuple[int, float] = (-1, 0.0)

    def account(self) -> str:
        """What this invocation did so far, for the journal; its seconds end with what was last sent or answered."""
        usages = [usage for caller in self.callers.values() for usage in caller.usages.values()]
        count = sum(usage.sent + usage.completion_tokens for usage in usages)
        if count != self._paced[0]:
            self._paced = (count, self.budget.seconds)
        return account.account_text(self, self._paced[1])


def facts(plan: Plan, state: State, journal: Journal, folder: Path, why: str) -> dict[str, Any]:
    """The manifest of a run that ends now; `why` it is incomplete, or empty."""
    recipe, use = plan.recipe, plan.use
    rejected = sum((tally.rejected for tally in state.tallies), Counter[str]())
    models = {name: _model(plan, state, folder, name) for name in recipe.models}
    return {
        "name": recipe.name,
        "about": recipe.about,
        "complete": not why,
        "why": why,
        "counts": {
            "candidates": state.candidates,
            "rounds": state.round,
            "kept": state.accepted,
            "rejected": rejected.total(),
            "unfinished": sum(tally.unfinished for tally in state.tallies),
        },
        "rejected_by_reason": dict(sorted(rejected.items())),
        "funnel": [tally.as_dict() for tally in state.tallies],
        "models": models,
        "spent": {"this run": _spent(state), "all runs": asdict(journal.spent())},
        "usage": _usage(state, journal),
        "versions": _versions(),
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "recipe": plan.written.model_dump(mode="json", by_alias=True),
        "prompts": {name: prompt.sha256 for name, prompt in sorted(use.prompts.items())},
        "filters": {name: file_hash(use.library.find("filters", name)) for name in sorted(use.filters)},
        "notices": state.notices,
    }


def _model(plan: Plan, state: State, folder: Path, name: str) -> dict[str, Any]:
    """The facts of one model, with a notice when the server reports another one than before."""
    caller, entry = state.callers[name], plan.recipe.models[name]
    before: dict[str, int] = {}
    with suppress(InputError):  # a damaged manifest is about to be replaced
        before = output.read_manifest(folder).get("models", {}).get(name, {}).get("reported", {})
    now = set(caller.usage.reported)
    if before and now and now - set(before):
        state.notices.append(f"model {name}: the server reports {', '.join(sorted(now))}; before, {', '.join(before)}")
    reported = Counter(before) + Counter(caller.usage.reported)
    usage = asdict(caller.usage) | {"reported": dict(sorted(reported.items()))}
    price, origin = plan.prices[name]
    priced = {"input": price.input, "output": price.output, "from": origin} if price else None
    facts = {"engine": entry.engine, "model": entry.model, "revision": caller.revision, "price": priced, **usage}
    if template := plan.use.templates.get(name):  # a replay has no weights to read it from
        facts["template"] = {"source": template.source, "eos": template.eos}
    return facts


def _usage(state: State, journal: Journal) -> dict[str, list[dict[str, Any]]]:
    """What each step asked of each model: in this invocation, and in all of them."""
    everything = account.total(account.read_account(one) for one in journal.accounts())
    return {
        "this run": [asdict(usage) for usage in account.usages(state)],
        "all runs": [asdict(usage) for usage in everything],
    }


def _spent(state: State) -> dict[str, float]:
    usages = [caller.usage for caller in state.callers.values()]
    return {
        "requests": sum(usage.sent for usage in usages),
        "prompt_tokens": sum(usage.prompt_tokens for usage in usages),
        "completion_tokens": sum(usage.completion_tokens for usage in usages),
        "dollars": round(sum(usage.dollars for usage in usages), 6),
        "seconds": round(state.budget.seconds, 3),
    }


def _versions() -> dict[str, str]:
    python = {"python": platform.python_version(), "platform": platform.platform(terse=True)}
    return python | versions(*PACKAGES)
