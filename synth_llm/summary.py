"""What `check`, `run`, `status` and `inspect` say: a checked recipe, a run's end, the story of one row."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from synth_llm import account, run_folder, screen
from synth_llm.account import StepUsage
from synth_llm.estimate import Estimate
from synth_llm.plan import Plan
from synth_llm.run_folder import Status


def checked(ready: Plan, asked: Estimate, folder: Path) -> str:
    """What `check` prints; `folder` is the run folder in which things were measured, or may be."""
    name = screen.one_line(f"{ready.recipe.name}: {ready.recipe.about or '(about is empty)'}", 300)
    rows = "rows without end" if asked.source_rows is None else f"{asked.source_rows:,} rows"
    before, steps = ready.source, []
    for planned in ready.steps:
        new, gone = sorted(planned.columns - before), sorted(before - planned.columns)
        change = [f"+ {column}" for column in new] + [f"- {column}" for column in gone]
        steps.append((planned.title, ", ".join(change), ", ".join(sorted(planned.columns))))
        before = planned.columns
    parts = [
        name,
        f"source: {rows}; columns {', '.join(sorted(ready.source)) or '(none)'}",
        "",
        screen.table(("step", "changes", "columns after it"), steps),
        *_by_objectives(ready),
        "",
    ]
    if not asked.steps:
        return "\n".join([*parts, "no model is asked"])
    return "\n".join([*parts, _calls(asked), "", *_prices(ready), "", *_in_all(ready, asked, folder)])


def _by_objectives(ready: Plan) -> list[str]:
    """What objectives make of the target; the steps that they add stand with the others, under their names."""
    target = ready.recipe.target
    if target is None or target == ready.written.target:
        return []
    said = ", ".join(f"{name} {value}" for name, value in target.model_dump(exclude_none=True).items())
    return ["", f"target, by the objectives: {said}"]


def _calls(asked: Estimate) -> str:
    """A table of what each step asks."""
    rows = []
    for item in asked.steps:
        most = "" if item.answers else "at most "
        rows.append(
            (
                item.step,
                item.model,
                f"{item.a_candidate:.3g}",
                f"{item.calls:,}",
                f"{item.prompt_tokens:,}",
                f"{most}{item.answer_tokens:,}",
                (most if item.dollars else "") + screen.dollars(item.dollars),
                f"{item.answers:,} answers" if item.answers else "a guess",
            )
        )
    numbers = ("calls a candidate", "calls", "prompt tokens", "answer tokens", "dollars")
    return screen.table(("step", "model", *numbers, "by"), rows, numbers)


def _prices(ready: Plan) -> list[str]:
    """A line for each model that is asked: what it costs, and how that is known."""
    lines = []
    for name in ready.used:
        price, origin = ready.prices[name]
        if price is None:
            lines.append(
                f"price of {name}: unknown ({origin}); write `price: {{input: ..., output: ...}}` at the model"
            )
        elif price.input or price.output:
            cost = f"${price.input:g} a million prompt tokens, ${price.output:g} a million answer tokens"
            lines.append(f"price of {name}: {cost} ({origin})")
        else:
            lines.append(f"price of {name}: nothing ({origin})")
    return lines


def _in_all(ready: Plan, asked: Estimate, folder: Path) -> list[str]:
    """The whole run on a few lines, and where that is known from."""
    known, target = asked.known, ready.recipe.target
    about = "about" if known and not asked.is_least else "at least" if target else "at most"
    wanted = f" for {target.rows:,} accepted rows" if target else ""
    lines = [f"in all: {about} {asked.calls:,} calls for {about} {asked.candidates:,} candidates{wanted}", _cost(asked)]
    low, high = (round(asked.candidates * factor) for factor in asked.share)
    if known and low != high:
        lines[0] += f" (between {low:,} and {high:,} candidates, as {known.candidates:,} tell)"
    if known and asked.is_least:
        lines[0] += f"; none of {known.candidates:,} candidates was accepted yet"
    if asked.seconds is not None and known:
        pace = f"at {known.pace:,.1f} requests/s with {known.in_flight:,.0f} in flight; more in flight are faster"
        lines.append(f"time: at most about {screen.duration(asked.seconds)} ({pace})")
    lines += [f"limit: {line}" for line in _limited(ready, asked)]
    if known is None:
        return [*lines, f"a guess: {folder} holds nothing measured yet; `synth-llm preview` measures"]
    lines.append(f"by: {known.candidates:,} candidates that went through the steps in {folder}")
    cost = f" for {screen.dollars(known.spent.dollars)}" if known.spent.dollars else ""
    return [*lines, f"of it, {known.spent.requests:,} requests{cost} were made already; their answers are kept"]


def _cost(asked: Estimate) -> str:
    """The dollars of the whole run."""
    cost, guessed = asked.known_dollars, [step.step for step in asked.steps if step.dollars and not step.answers]
    unknown = list(dict.fromkeys(step.model for step in asked.steps if step.dollars is None))
    if not cost:
        return f"dollars: unknown, for want of a price of {', '.join(unknown)}" if unknown else "dollars: none"
    low, high = (cost * factor for factor in asked.share)
    between = f" (between {screen.dollars(low)} and {screen.dollars(high)})" if low != high else ""
    most = f", if every answer of {', '.join(guessed)} has max_tokens" if guessed else ""
    rest = f"; and what {', '.join(unknown)} costs, whose price is unknown" if unknown else ""
    return f"dollars: about {screen.dollars(cost)}{between}{most}{rest}"


def _limited(ready: Plan, asked: Estimate) -> list[str]:
    """The limits of the recipe that stop the run before its end, by this estimate."""
    limits, lines = ready.recipe.limits, []
    tokens = sum(step.prompt_tokens + step.answer_tokens for step in asked.steps)
    wants = {"requests": asked.calls, "tokens": tokens, "dollars": asked.dollars, "seconds": asked.seconds}
    for name, want in wants.items():
        limit = getattr(limits, name)
        if limit is not None and want is not None and want > limit:
            lines.append(f"limits.{name} {limit:,} will stop the run before its end")
    return lines


def counts(manifest: dict[str, Any]) -> str:
    """What became of the candidates, on one line."""
    of = manifest["counts"]
    rounds = f" in {of['rounds']} rounds" if of["rounds"] > 1 else ""
    unfinished = f", {of['unfinished']:,} unfinished" if of["unfinished"] else ""
    return f"{of['kept']:,} kept, {of['rejected']:,} rejected{unfinished} of {of['candidates']:,} candidates{rounds}"


def ending(folder: Path, manifest: dict[str, Any]) -> str:
    """The last lines of a run: what it used, where it lies, what to do next."""
    here, used = manifest["spent"]["this run"], [StepUsage(**one) for one in manifest["usage"]["this run"]]
    replayed, reached = sum(one.replayed for one in used), screen.objectives(manifest)
    asked = screen.spent(here["requests"], here["seconds"], used)
    lines = [
        *["", screen.usage(used, replays=True)] * bool(used),
        *["", reached] * bool(reached),
        "",
        counts(manifest),
        f"asked: {asked}" + (f"; {replayed:,} answers from the journal" if replayed else ""),
        f"in {folder}: kept.parquet, rejected.parquet, manifest.json, README.md, journal.sqlite",
        f"look:  synth-llm inspect {folder} --rejected",
        f'use:   datasets.load_dataset("{folder}", split="train")',
    ]
    if not manifest["complete"]:
        lines.append(f"incomplete: {manifest['why']}")
    return "\n".join(lines)


def used(now: Status) -> str:
    """What a run used over all invocations: by step and model, then on one line."""
    usages = account.total(now.accounts)
    known, all_of_it = sum(one.requests for one in usages), now.spent
    if known < all_of_it.requests:  # by a version that did not say by which step
        rest = StepUsage("(not known)", "", all_of_it.requests - known)
        rest.prompt_tokens = max(0, all_of_it.prompt_tokens - sum(one.prompt_tokens for one in usages))
        rest.completion_tokens = max(0, all_of_it.completion_tokens - sum(one.completion_tokens for one in usages))
        rest.dollars = max(0.0, all_of_it.dollars - sum(one.dollars or 0.0 for one in usages))
        usages.append(rest)
    line = f"over all runs: {screen.spent(all_of_it.requests, all_of_it.seconds, usages)}"
    shown = [screen.usage(usages)] if usages else []
    return "\n".join([*shown, f"{line}; {now.answers:,} answers in the journal"])


def lineage(folder: Path, prefix: str, others: Sequence[Path]) -> str:
    """One row with every prompt and raw answer behind it."""
    row, is_kept = run_folder.find_row(folder, prefix)
    with ExitStack() as stack:
        journals = [stack.enter_context(run_folder.journal_of(place)) for place in (folder, *others)]
        made = [screen.call(call) for call in run_folder.calls(row, journals)]
    verdict = "kept" if is_kept else screen.rejection(row, raw=False)
    shown = screen.full(row if is_kept else run_folder.whole(row))
    return "\n\n".join([*made, f"row {row['_id']}: {verdict}\n{shown}"])
