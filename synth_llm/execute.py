"""The executor: a recipe, its rows, its seed and its journal become kept and rejected rows."""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_llm import html_page, output
from synth_llm.before_after import measures
from synth_llm.candidates import Candidates
from synth_llm.errors import FatalError, InputError, Reject
from synth_llm.inputs import INPUTS, Reads, listing, reading
from synth_llm.journal import Journal
from synth_llm.library import file_hash
from synth_llm.manifest import State, facts
from synth_llm.models import ENGINES, address, identity, limiter, shared
from synth_llm.models.budget import Budget, Limits, Spent
from synth_llm.models.call import Asked, Caller, Endpoint
from synth_llm.models.request import Model
from synth_llm.plan import Plan, PlannedStep, plan
from synth_llm.publish.origin import HUB, Origin, fetch
from synth_llm.recipe import Recipe, RecipeFile, load_recipe
from synth_llm.rounds import Rounds
from synth_llm.row import ID, PARENT, Row
from synth_llm.segment import Segment, Stage, Tally
from synth_llm.spool import Ordinal, RejectedRow, Spool, ordinal
from synth_llm.steps.context import CACHE, Context
from synth_llm.steps.step import Rejected
from synth_llm.vectors import VECTORS, keys_of

if TYPE_CHECKING:
    import datasets

INTERRUPTED = "interrupted; run again to go on"
SHOWN = 5
"""Rows that a notebook shows of a result."""
COLLECT_AFTER = 10_000
"""Python looks for cycles of garbage after so many new objects, instead of 700."""


@dataclass
class Result:
    """What a run produced."""

    path: Path
    complete: bool
    why: str
    """Why it is not complete, or empty."""
    manifest: dict[str, Any]

    @property
    def stats(self) -> dict[str, Any]:
        """The manifest's counts: candidates, kept, rejected, unfinished."""
        counts: dict[str, Any] = self.manifest["counts"]
        return counts

    @cached_property
    def kept(self) -> datasets.Dataset:
        """The kept rows."""
        return self._read(output.KEPT)

    @cached_property
    def rejected(self) -> datasets.Dataset:
        """The rejected rows: step, reason, detail, value, raw, row (JSON text)."""
        return self._read(output.REJECTED)

    def _repr_html_(self) -> str:
        """For notebooks: the funnel and some rows."""
        return html_page.result(self.manifest, itertools.islice(self.kept, SHOWN))

    def _read(self, name: str) -> datasets.Dataset:
        import datasets
        import pyarrow.parquet as pq

        # named by the file's hash: to find a name of its own, `datasets` would go through all rows
        mark = self.manifest.get("sha256", {}).get(name) or file_hash(self.path / name)
        return datasets.Dataset(pq.read_table(self.path / name), fingerprint=mark[:16])


@dataclass(frozen=True)
class Preview:
    """The first candidates of a run, carried through all steps."""

    path: Path
    rows: list[tuple[Row, RejectedRow | None]]
    """What they became, in candidate order: each row, and its rejection if it was rejected."""
    why: str
    """Why some of them are unfinished, or empty."""
    unfinished: int


Watch = Callable[[State], Any]
"""Makes a context manager that shows the state while the run works."""


def run(
    recipe: Recipe | Origin | str | Path,
    *,
    out: str | Path | None = None,
    limits: Limits | None = None,
    journals: Sequence[str | Path] = (),
    retry: Sequence[str] = (),
    sets: Sequence[str] = (),
    models: Sequence[str] = (),
    watch: Watch | None = None,
    trust: bool = False,
) -> Result:
    """Run a recipe, or finish an earlier run of it: what the run folder's journal holds is never asked again.

    `out` is the run folder, `runs/<recipe>` by default; `limits` replace the recipe's; `journals` are further journals
    to read answers from; rows rejected for a reason in `retry` are asked again; `sets` and `models` override a recipe
    file's settings (`target.rows=100`, `writer=openai:gpt-5-mini`).

    `hf://org/name` is the recipe of a dataset on the Hub, with its prompts, inputs and journal: what was answered there
    is not asked. With `trust` its filters may run, its own endpoints be asked and other files be read.

    Raises InputError before any call when something cannot run, FatalError when the run cannot go on.
    """
    work = run_async(
        recipe,
        out=out,
        limits=limits,
        journals=journals,
        retry=retry,
        sets=sets,
        models=models,
        watch=watch,
        trust=trust,
    )
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, "synth-llm-run") as thread:  # in a notebook, whose own loop runs this call
        return thread.submit(asyncio.run, work).result()


async def run_async(
    recipe: Recipe | Origin | str | Path,
    *,
    out: str | Path | None = None,
    limits: Limits | None = None,
    journals: Sequence[str | Path] = (),
    retry: Sequence[str] = (),
    sets: Sequence[str] = (),
    models: Sequence[str] = (),
    watch: Watch | None = None,
    trust: bool = False,
) -> Result:
    """`run`, inside a running event loop."""
    folder, origin = Path(out) if out is not None else None, None
    if isinstance(recipe, str) and recipe[: len(HUB)] == HUB:
        recipe, folder = await asyncio.to_thread(fetch, recipe, folder, trust=trust)
    if isinstance(recipe, Origin):
        origin, journals, recipe = recipe, [*journals, *recipe.journals], recipe.recipe
        sets = [*origin.overrides(models), *sets]
    with ExitStack() as stack:
        reads = stack.enter_context(reading(origin.within if origin else None))
        ready, file = prepare(recipe, sets, models, evaluated=origin is None)
        folder = folder or Path("runs") / ready.recipe.name
        stack.enter_context(_seldom_collected())
        _claim(folder, stack)
        job = Run(ready, folder, limits or ready.recipe.limits, journals, frozenset(retry), stack, origin)
        return await job.finish(file, watch, reads)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Python looks for cycles of garbage less often: rows leave few, and looking took 4 % of a run's CPU."""
    before = gc.get_threshold()
    if 0 < before[0] < COLLECT_AFTER:
        gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def preview(
    recipe: Recipe | str | Path,
    *,
    n: int = 10,
    out: str | Path | None = None,
    journals: Sequence[str | Path] = (),
    sets: Sequence[str] = (),
    models: Sequence[str] = (),
    watch: Watch | None = None,
) -> Preview:
    """Carry the first `n` candidates through all steps.

    Their answers stay in the run folder's journal, so that `run` pays nothing for them; its outputs are left as they
    are. The other arguments, and what is raised, are those of `run`.
    """
    ready, _ = prepare(recipe, sets, models)
    folder = Path(out) if out is not None else Path("runs") / ready.recipe.name
    with ExitStack() as stack:
        _claim(folder, stack)
        limits = ready.recipe.limits.model_copy(update={"candidates": n})
        job = Run(ready, folder, limits, journals, frozenset(), stack)
        why = asyncio.run(job.work(watch))
        unfinished = sum(tally.unfinished for tally in job.state.tallies)
        return Preview(folder, list(job.outcomes()), "" if why == job.cut_short else why, unfinished)


def prepare(
    recipe: Recipe | str | Path, sets: Sequence[str] = (), models: Sequence[str] = (), *, evaluated: bool = True
) -> tuple[Plan, RecipeFile | None]:
    """Load and check a recipe, with or without what is to be evaluated after the run. Raises InputError."""
    if isinstance(recipe, Recipe):
        if sets or models:
            raise InputError("overrides are for recipe files; change the Recipe object")
        return plan(recipe, Path.cwd()), None
    loaded, file = load_recipe(Path(recipe), sets, models)
    if not evaluated:
        loaded = loaded.model_copy(update={"evaluate": None})
    return plan(loaded, file.base, file.error), file


def _claim(folder: Path, stack: ExitStack) -> None:
    """Make the run folder and lock it for this process."""
    import filelock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / ".lock", timeout=0)
        stack.enter_context(lock)
    except filelock.Timeout:
        raise InputError(f"{folder}: another process is running here; wait for it, or give another --out") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be the run folder: {error.strerror}") from None


class Run:
    """One invocation on one run folder."""

    def __init__(
        self,
        ready: Plan,
        folder: Path,
        limits: Limits,
        journals: Sequence[str | Path],
        retry: frozenset[str],
        stack: ExitStack,
        origin: Origin | None = None,
    ) -> None:
        ready.check_dollars(limits)
        self.origin = origin
        self.plan, self.recipe, self.folder, self.limits = ready, ready.recipe, folder, limits
        self.notices = ready.use.notices
        self.spool = Spool(folder / ".spool.sqlite")
        stack.callback(self.spool.close)
        per = self.recipe.target.per if self.recipe.target else None
        self.candidates = Candidates(self.recipe.source, ready.use.base, self.spool, per)
        self.journal = Journal.open(folder / output.JOURNAL, on_notice=self.notices.append)
        stack.callback(self.journal.close)
        self.others = [
            Journal.open(_journal_file(Path(path)), read_only=True, on_notice=self.notices.append) for path in journals
        ]
        for other in self.others:
            stack.callback(other.close)
        spent = self.journal.spent()
        before = Spent(spent.requests, spent.prompt_tokens + spent.completion_tokens, spent.dollars, spent.seconds)
        self.budget = Budget(limits, before)
        self.endpoints: dict[tuple[object, ...], Endpoint] = {}
        self.inflight: dict[str, asyncio.Future[Asked]] = {}
        callers = {name: self._caller(name) for name in self.recipe.models}
        tallies = [Tally(step.title) for step in ready.steps]
        self.met, target = Tally("target"), None
        if self.recipe.target:
            tallies.insert(ready.closing, self.met)
            target = self.recipe.target.rows
        self.state = State(tallies, callers, self.budget, target, self.met, ready.prices, notices=self.notices)
        self.journal.account = self.state.account
        self.round_start: Ordinal = b""
        self.cut_short = ""
        self.blocks = self._blocks(retry)

    # Preparing

    def _address(self, name: str) -> tuple[object, ...]:
        """What a model shares with others, see `address`; weights that only who made the dataset has are nobody's."""
        try:
            return address(self.recipe.models[name], self.plan.use.base)
        except InputError:
            if not self._revision(name):
                raise
            return ("not here", name)

    def _identity(self, name: str) -> tuple[str, str]:
        """A model's name and revision as keys know them; of weights that are not here, those of the dataset's maker."""
        theirs = self._revision(name)
        try:
            model, revision = identity(self.recipe.models[name], self.plan.use.base)
        except InputError:
            if not theirs:
                raise
            return "", theirs
        return ("", theirs) if model and theirs else (model, revision)

    def _revision(self, name: str) -> str:
        """The revision that weights had where a recipe of the Hub was run; empty when no weights are meant."""
        entry = self.recipe.models[name]
        return self.origin.revision(name, entry) if self.origin else ""

    def _caller(self, name: str) -> Caller:
        entry, base = self.recipe.models[name], self.plan.use.base
        where = self._address(name)
        if where not in self.endpoints:
            models = self.recipe.models
            opened = shared({other: models[other] for other in models if self._address(other) == where})

            def start() -> Model:
                if self.origin is not None:
                    self.origin.check(name, opened)
                return ENGINES[entry.engine](opened, base)

            endpoint = Endpoint(start, limiter(opened), say=self.notices.append)
            self.budget.on_halt.append(endpoint.limiter.open)
            self.endpoints[where] = endpoint
        model, revision = self._identity(name)
        price = self.plan.prices[name].price
        return Caller(
            name,
            model,
            revision,
            entry.sampling,
            self.endpoints[where],
            self.journal,
            self.others,
            self.budget,
            self.inflight,
            seed=self.recipe.seed,
            retries=entry.retries,
            price=(price.input, price.output) if price else (0.0, 0.0),
            chat=entry.api == "chat",
            repairs=entry.repairs if entry.api == "chat" else 0,
        )

    def _blocks(self, retry: frozenset[str]) -> list[list[Stage]]:
        """The steps, cut: each block is row steps, or one dataset step. Rounds end before block `self.after`."""
        blocks: list[list[Stage]] = [[]]
        self.after: int | None = None
        tallies = [tally for tally in self.state.tallies if tally is not self.met]
        for number, (step, tally) in enumerate(zip(self.plan.steps, tallies, strict=True)):
            context = Context(
                step.title,
                number,
                self.plan.use,
                self.state.callers,
                retry,
                self._accepted_view(step, len(blocks)),
                tally.notes,
                self.folder,
                self._doing,
            )
            stage = Stage(step.step, context, tally)
            if number == self.plan.closing:
                self.after = len(blocks)
            if step.is_barrier:
                blocks += [[stage], []]
            else:
                blocks[-1].append(stage)
        return blocks

    def _doing(self, what: str) -> None:
        """What takes long in a dataset step, for whoever watches."""
        self.state.doing = what

    def _accepted_view(self, step: PlannedStep, block: int) -> Callable[[], Iterable[Row]]:
        """Accepted rows of earlier rounds: at the end of the run, or as they left a dataset step."""
        if step.is_barrier:
            return lambda: (row for _, row in self.spool.rows(block, accepted=True))
        return lambda: (row for _, row in self.spool.rows(self.last, accepted=True))

    @property
    def last(self) -> int:
        """The stage of rows that left a round's last block. Rows that leave block i are at stage i."""
        return self.end if self.after is None else self.after - 1

    @property
    def end(self) -> int:
        """The stage of rows that left the last block of all."""
        return len(self.blocks) - 1

    # Running

    async def finish(self, file: RecipeFile | None, watch: Watch | None, reads: Reads) -> Result:
        """Run to the end and write the run folder; `reads` is what was read since the recipe was planned."""
        return self._write(file, await self.work(watch), reads)

    async def work(self, watch: Watch | None) -> str:
        """Carry all candidates through all steps; returns why the run is incomplete, or nothing."""
        stop, timer = self._on_interrupt(), self.budget.halt_in_time()
        try:
            with watch(self.state) if watch else ExitStack():
                why = await self._all_rounds()
                if self.after is not None:
                    await self._close(self.after)
                if self.state.target is None or self.after is not None:
                    self.spool.accept_all(self.end)
                return why
        finally:
            stop()
            if timer is not None:
                timer.cancel()
            self.journal.spend(seconds=self.budget.seconds)
            for endpoint in self.endpoints.values():
                if endpoint.engine is not None:
                    await endpoint.engine.close()

    def _on_interrupt(self) -> Callable[[], None]:
        """Ctrl-C lets nothing more be asked and waits for what is in flight; twice stops at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            if self.budget.stop == INTERRUPTED and task is not None:
                task.cancel()
            self.budget.stop = ""
            self.budget.halt(INTERRUPTED)
            self.notices.append("stopping: waiting for the answers in flight; press Ctrl-C again to stop at once")

        try:
            loop.add_signal_handler(signal.SIGINT, interrupt)
        except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or not on this system
            return lambda: None

        def restore() -> None:
            loop.remove_signal_handler(signal.SIGINT)

        return restore

    async def _all_rounds(self) -> str:
        """Rounds until the target is met or cannot be; returns why the run is incomplete, or nothing."""
        target, cells = self.recipe.target, self.candidates.cells
        queues = {cell: self.candidates.queue(cell, once=target is None) for cell in cells}
        there = Counter(map(self.candidates.cell, self.plan.use.examples)) if target and target.counting else None
        rounds = Rounds(target.rows, cells, target.per, self.plan.expected, target.round, there) if target else None
        while True:
            sizes = rounds.sizes() if rounds else dict.fromkeys(cells, -1)
            taken = await self._round(queues, sizes)
            accepted = self._accept(rounds) if rounds else Counter[str]()
            why = self.budget.stop or self.cut_short or self._unavailable
            if why or rounds is None:
                return why
            for cell, size in sizes.items():
                rounds.note(cell, taken[cell], accepted[cell], asked_for=size)
            verdict = rounds.verdict()
            if verdict is not None:
                return verdict

    @property
    def _unavailable(self) -> str:
        """Why the run is incomplete, when rows failed for a reason that may pass."""
        count = sum(tally.rejected["unavailable"] for tally in self.state.tallies)
        return f"{count} rows got no answer from their endpoint; run again to ask for them" if count else ""

    async def _round(self, queues: dict[str, Iterator[Any]], sizes: dict[str, int]) -> Counter[str]:
        """Take up candidates and carry them through all blocks; returns how many of each cell."""
        state, taken = self.state, Counter[str]()
        state.round += 1
        state.taken_up, state.round_size = 0, max(0, sum(sizes.values())) or self.candidates.size
        self.round_start = ordinal(state.candidates)
        for block in self.blocks:
            for stage in block:
                stage.context.new_round()
        rows: Iterator[tuple[Ordinal, Row]] = self._take(queues, sizes, taken)
        for number in range(self.last + 1):
            await self._block(number, rows if number == 0 else self.spool.rows(number - 1, self.round_start))
        return taken

    async def _close(self, first: int) -> None:
        """What was accepted goes through the steps that run once, after the last round."""
        self.round_start, self.state.accepted = b"", 0
        for number in range(first, self.end + 1):
            await self._block(number, self.spool.rows(number - 1))

    async def _block(self, number: int, rows: Iterator[tuple[Ordinal, Row]]) -> None:
        """Carry the round's rows through a block."""
        block = self.blocks[number]
        if block and hasattr(block[0].step, "split"):
            await asyncio.to_thread(self._barrier, number, block[0])
            return
        segment = Segment(
            block,
            self._workers,
            lambda at, row: self._leave(number, at, row),
            self.spool.reject,
            self.budget.halt,
            self._drained,
        )
        await segment.run(rows)

    def _take(
        self, queues: dict[str, Iterator[Any]], sizes: dict[str, int], taken: Counter[str]
    ) -> Iterator[tuple[Ordinal, Row]]:
        """The round's candidates in the order of the source, numbered on from the last round."""

        def cell_rows(cell: str, size: int) -> Iterator[tuple[tuple[int, int], str, Row]]:
            while size != taken[cell] and (item := next(queues[cell], None)) is not None:
                taken[cell] += 1
                yield item[0], cell, item[1]

        for _, _, row in heapq.merge(
            *(cell_rows(cell, size) for cell, size in sizes.items()), key=lambda item: item[0]
        ):
            most = self.limits.candidates
            if most is not None and self.state.candidates >= most:
                self.cut_short = f"limit reached: candidates {most}; raise limits.candidates to go on"
                return
            self.state.candidates += 1
            self.state.taken_up += 1
            yield ordinal(self.state.candidates - 1), row

    def _leave(self, number: int, at: Ordinal, row: Row) -> None:
        self.spool.put(number, at, row)
        if number == self.end and (self.state.target is None or self.after is not None):
            self.state.accepted += 1

    def _barrier(self, number: int, stage: Stage) -> None:
        """Let a dataset step split the round's rows; every row must come out once."""
        tally, rows = stage.tally, self.spool.entering(number - 1, self.round_start)
        tally.entered += len(rows)
        places, done = self.spool.rows(number - 1, self.round_start), 0
        for item in stage.step.split(rows, stage.context):  # type: ignore[attr-defined]
            at, entered = next(places, (b"", {}))
            row = item.row if isinstance(item, Rejected) else item
            made = row if isinstance(row, list) else [row]
            if not entered or entered[ID] != made[0].get(PARENT if isinstance(row, list) else ID):
                raise FatalError(f"step {tally.step}: rows came out in another order than they went in; a step's bug")
            done += 1
            if isinstance(item, Rejected):
                tally.rejected[item.reject.reason] += 1
                self.spool.reject(at, tally.step, item.reject, item.row)
                continue
            if isinstance(row, list):
                tally.replaced += 1
                tally.made += len(made)
            tally.left += len(made)
            for child, one in enumerate(made):
                self._leave(number, at + ordinal(child) if isinstance(row, list) else at, one)
        if done != len(rows):
            raise FatalError(f"step {tally.step}: {len(rows) - done} rows did not come out; a step's bug")
        self.spool.remove(number - 1, self.round_start)
        if self.recipe.target is None:
            stage.context.no_more_rounds()

    def _accept(self, rounds: Rounds) -> Counter[str]:
        """Accept the round's rows up to the target, in candidate order; returns how many by cell."""
        tally = self.met
        accepted, ordinals, surplus = Counter[str](), [], []
        for at, row in self.spool.rows(self.last, self.round_start):
            tally.entered += 1
            name = self.candidates.cell(row)
            cell = rounds.cells.get(name)
            if cell is not None and accepted[name] < cell.missing:
                accepted[name] += 1
                ordinals.append(at)
            else:
                surplus.append(at)
                detail = f"{cell.label} has its {cell.want}" if cell else f"{name} is no value of the source"
                self.spool.reject(at, tally.step, Reject("over target", detail), row)
        self.spool.accept(self.last, ordinals, range(1, self.last, 2))
        for at in surplus:
            self.spool.remove(self.last, at, at)
        tally.left += len(ordinals)
        if surplus:
            tally.rejected["over target"] += len(surplus)
        self.state.accepted += len(ordinals)
        return accepted

    def _workers(self) -> int:
        """Rows in flight: enough that every endpoint is busy while other rows wait for their turn."""
        return max(16, 3 * sum(endpoint.limiter.size for endpoint in self.endpoints.values()))

    def _drained(self, yes: bool) -> None:
        """No new rows come: those with more steps before them go first, so that all end together.

        Not under a limit: what is not finished when it is reached was paid for nothing.
        """
        limits = self.limits
        if limits.requests is limits.tokens is limits.dollars is limits.seconds is None:
            for endpoint in self.endpoints.values():
                endpoint.limiter.shallow_first(yes)

    # Writing

    def kept(self) -> Iterator[Row]:
        """Accepted rows, in candidate order."""
        return (row for _, row in self.spool.rows(self.end, accepted=True))

    def _kept_texts(self) -> Iterator[str]:
        return (text for _, text in self.spool.texts(self.end, accepted=True))

    def outcomes(self) -> Iterator[tuple[Row, RejectedRow | None]]:
        """Accepted and rejected rows together, in candidate order."""
        accepted = ((at, row, None) for at, row in self.spool.rows(self.end, accepted=True))
        rejected = ((at, item.row, item) for at, item in self.spool.rejected())
        for _, row, item in heapq.merge(accepted, rejected, key=lambda outcome: outcome[0]):
            yield row, item

    def _write(self, file: RecipeFile | None, why: str, reads: Reads) -> Result:
        """Write the run folder."""
        folder = self.folder
        manifest = facts(self.plan, self.state, self.journal, folder, why)
        if self.recipe.objectives:
            made = (row for row, _ in self.outcomes())
            manifest["objectives"] = measures(self.plan, list(self.kept()), made)
        output.write_kept(folder / output.KEPT, self._kept_texts, self.plan.columns)
        output.write_rejected(folder / output.REJECTED, (item for _, item in self.spool.rejected()))
        output.write_text(folder / output.RECIPE, file.text if file else _yaml(self.plan.written))
        output.write_text(folder / output.CARD, output.card(manifest))
        output.write_text(folder / INPUTS, listing(reads, self.plan.use.texts()))
        self._write_keys(folder / CACHE / VECTORS)
        output.write_manifest(folder, manifest)
        return Result(folder, not why, why, manifest)

    def _write_keys(self, folder: Path) -> None:
        """Which vectors were used, so that a push can send them: the texts come again, these to the last bit do not."""
        shutil.rmtree(folder, ignore_errors=True)
        for encoder in self.plan.use.encoders.values():
            if encoder.used and encoder.vectors.path is not None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / encoder.vectors.path.name).with_suffix(".keys").write_bytes(keys_of(encoder))


def _journal_file(path: Path) -> Path:
    """A journal's file, given itself or its run folder."""
    return path / output.JOURNAL if path.is_dir() else path


def _yaml(recipe: Recipe) -> str:
    import yaml

    value = recipe.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
