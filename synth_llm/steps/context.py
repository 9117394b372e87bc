"""What steps work with: the recipe's prompts, filters and examples, and the way to ask a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from synth_llm.errors import InputError, Reject, nearest
from synth_llm.files import plain
from synth_llm.gives import Gives
from synth_llm.library import SUFFIX, Library, load_filter
from synth_llm.models import template
from synth_llm.models.call import Asked, Caller
from synth_llm.models.chat_template import ChatTemplate, of_run
from synth_llm.models.request import TEXT, Message, Schema
from synth_llm.parse import parse
from synth_llm.prompt import Prompt, load_prompt
from synth_llm.row import ID, LINEAGE, Row, canonical, public
from synth_llm.scores import Notes, Scores
from synth_llm.source import columns, read_examples, read_rows

if TYPE_CHECKING:
    import numpy as np

    from synth_llm.recipe import ModelEntry, Recipe
    from synth_llm.vectors import StoredEncoder

T = TypeVar("T")

SHOWN = 4000
"""Characters of an answer that are shown to the model for repair."""
CORRECT = "Answer again, in the form that was asked for, and with nothing else."

CACHE = ".cache"
"""The run folder's folder for what can be computed again."""

EXAMPLES, ACCEPTED = "examples", "accepted"
"""The pools of rows that a step can look at: the recipe's seed examples, and what earlier rounds accepted."""


class Resources:
    """A recipe's files, each read once."""

    def __init__(self, recipe: Recipe, base: Path) -> None:
        self.recipe, self.base, self.library = recipe, base, Library(base)
        self.prompts: dict[str, Prompt] = {}
        self.filters: dict[str, Callable[..., Any]] = {}
        self.encoders: dict[str | None, StoredEncoder] = {}
        self.templates: dict[str, ChatTemplate] = {}
        self.notices: list[str] = []
        """What went wrong with files that can be made anew."""

    def prompt(self, name: str, gives: Any = None) -> Prompt:
        """A prompt by name; with `gives`, what a step of the recipe says it gives back instead."""
        key = name if gives is None else f"{name} {canonical(gives)}"
        if key not in self.prompts:
            prompt = load_prompt(name, self.library)
            if gives is not None:
                form = Gives.of(gives)
                prompt = replace(prompt, gives=form, needs=prompt.needs | form.needs)
            self.prompts[key] = prompt
        return self.prompts[key]

    def filter(self, name: str) -> Callable[..., Any]:
        """A filter's function by name."""
        if name not in self.filters:
            self.filters[name] = load_filter(name, self.library)
        return self.filters[name]

    @cached_property
    def examples(self) -> list[Row]:
        """The recipe's seed examples."""
        if self.recipe.source.examples is None:
            raise InputError("the recipe's source has no 'examples'")
        return read_examples(self.recipe.source, self.base)

    def labels(self, column: str) -> list[str]:
        """The values a column has in the source, or else in the examples, in order of appearance, as text."""
        if column in columns(self.recipe.source, self.base):
            rows: Iterable[Row] = read_rows(self.recipe.source, self.base)
        else:
            rows = self.examples if self.recipe.source.examples is not None else ()
        return list(dict.fromkeys(str(row[column]) for row in rows if row.get(column) is not None))

    def model(self, name: str) -> ModelEntry:
        """A named model of the recipe."""
        models = self.recipe.models
        if name not in models:
            raise InputError(f"no model '{name}' in this recipe{nearest(name, models)}")
        return models[name]

    def template(self, name: str) -> ChatTemplate:
        """The chat template of a named model. Raises InputError when it is not known."""
        if name not in self.templates:
            try:
                self.templates[name] = template(name, self.model(name), self.base)
            except InputError as error:
                try:
                    self.templates[name] = of_run(self.base, name)  # the folder of a run whose weights are elsewhere
                except InputError:
                    raise error from None
        return self.templates[name]

    def texts(self) -> dict[str, str]:
        """The files of the prompts and filters that were used, by their paths; not what is named as `builtin:`."""
        parts = {name: text for prompt in self.prompts.values() for name, text in prompt.texts.items()}
        found = {f"prompts/{name}{SUFFIX['prompts']}": text for name, text in parts.items() if ":" not in name}
        for name in self.filters:
            if ":" not in name:
                path = self.library.find("filters", name)
                found[f"filters/{name.removesuffix('.py')}.py"] = path.read_text(encoding="utf-8", errors="replace")
        return found

    def encoder(self, name: str | None = None) -> StoredEncoder:
        """A named encoder of the recipe, over the vectors it stored; without a name the packaged one.

        Raises InputError for an unknown name, and as `check` of `encoders` does for one that cannot be opened.
        """
        if name not in self.encoders:
            from synth_llm.encoders import EncoderEntry, stored_encoder

            entries = self.recipe.encoders
            if name is not None and name not in entries:
                raise InputError(f"no encoder '{name}' in this recipe{nearest(name, entries)}")
            entry = EncoderEntry() if name is None else entries[name]
            self.encoders[name] = stored_encoder(entry, self.base, self.notices.append)
        return self.encoders[name]

    def variables(self, row: Row) -> dict[str, Any]:
        """What a prompt sees: the recipe's `about`, and the row's columns over it."""
        return {"about": self.recipe.about, **public(row)}

    @property
    def constants(self) -> frozenset[str]:
        """Names a prompt can use beside the row's columns."""
        return frozenset({"about"} if self.recipe.about else ())


@dataclass
class Context:
    """One step's view of the run."""

    step: str
    number: int
    use: Resources
    callers: Mapping[str, Caller]
    retry: frozenset[str]
    accepted: Callable[[], Iterable[Row]]
    """The rows that earlier rounds accepted, in candidate order: for a row step as they left the run, for a dataset
    step as they left that step."""

    notes: Notes = field(default_factory=Notes)
    """What the step says of its rows beside its verdicts."""
    folder: Path | None = None
    """The run folder, when there is one."""
    doing: Callable[[str], object] = lambda _: None
    """Told what takes long in a dataset step, for whoever watches; told nothing when it is over."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What the step keeps from one round to the next."""
    _cache: dict[str, Any] = field(default_factory=dict)

    def cached(self, name: str, make: Callable[[], T]) -> T:
        """What `make` makes, once a round."""
        if name not in self._cache:
            self._cache[name] = make()
        value: T = self._cache[name]
        return value

    def note(self, name: str, row: Row, value: float | None, keep: bool) -> None:
        """Note what a threshold was held against, for a row that was kept or rejected: a histogram in the manifest."""
        if value is not None:
            scores = self.notes.scores.get(name)
            if scores is None:
                scores = self.notes.scores[name] = Scores()
            scores.add(row[ID], value, keep)

    def report(self, name: str, value: Any) -> None:
        """Say something of the whole step in the manifest: a JSON value."""
        self.notes.report[name] = value

    def encode(self, texts: Sequence[str], encoder: str | None = None) -> np.ndarray:
        """(n, d) float32 vectors of length one in the order of the texts, zeros for a blank text; each text once.

        `encoder` is a name of the recipe's `encoders`, by default the packaged one. Raises as the encoder does.
        """
        return self.use.encoder(encoder).encode(texts, self._watch_encoding)

    def _watch_encoding(self, done: int, new: int) -> None:
        self.doing(f"{self.step}: embedding {done:,} of {new:,}" if done < new else "")

    def cache_file(self, name: str) -> Path | None:
        """A file of the run folder for what can be computed again; None when there is no run folder."""
        if self.folder is None:
            return None
        place = self.folder / CACHE
        place.mkdir(exist_ok=True)
        return place / name

    def new_round(self) -> None:
        """Forget what was cached."""
        self._cache.clear()

    def no_more_rounds(self) -> None:
        """Forget what was kept for another round too."""
        self.new_round()
        self.kept.clear()

    @property
    def filled(self) -> float:
        """The share of the target that earlier rounds accepted, 0 to 1; 0 without a target."""
        target = self.use.recipe.target
        return self.cached("filled", lambda: sum(1 for _ in self.accepted()) / target.rows) if target else 0.0

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return self.use.recipe.seed

    async def ask(
        self,
        model: str,
        prompt: Prompt,
        row: Row,
        variables: Mapping[str, Any],
        sample: int = 0,
        temperature: float | None = None,
    ) -> tuple[list[Row], list[Row]]:
        """Ask `model` with `prompt` rendered on `variables`; an answer that cannot be read is repaired by the model.

        With a `temperature` instead of the model's own.

        Returns the records of the answer, and the row's lineage with this call added. Raises Reject when the prompt
        cannot be rendered, or the answer is a refusal or cannot be read.
        """
        caller, attempt, repairs = self.callers[model], 0, 0
        messages, mendable = prompt.render(variables, self.seed), caller.repairs
        changed: dict[str, Any] = {} if temperature is None else {"temperature": temperature}
        if prompt.speaks == "user":
            mendable = 0  # it answers nobody who could say what is wrong
            text, ends = self.use.template(model).user_turn(messages)
            messages = [{"role": TEXT, "content": text}]
            changed["stop"] = [*dict.fromkeys((*(self.use.model(model).stop or ()), *ends))]
        schema = prompt.gives.schema(variables)
        request = caller.request(messages, schema, row["_id"], sample, attempt, 0, changed)
        while True:
            replayed = False
            try:
                asked = await caller.ask(request, -self.number, self.step)
                replayed = asked.replayed
                return _records(asked, prompt.gives, schema), self._lineage(row, request.key)
            except Reject as reject:
                if reject.reason == "unavailable":
                    raise
                turns = _repair(messages, reject) if repairs < mendable else None
                repairs += 1
                if turns is None:
                    again = caller.request(messages, schema, row["_id"], sample, attempt + 1, 0, changed)
                    if caller.known(again) is None and not (replayed and reject.reason in self.retry):
                        reject.lineage = self._lineage(row, request.key)
                        raise
                    attempt, repairs, request = attempt + 1, 0, again
                else:
                    request = caller.request(turns, schema, row["_id"], sample, attempt, repairs, changed)

    def _lineage(self, row: Row, key: str) -> list[Row]:
        return [*row[LINEAGE], {"step": self.step, "row": row["_id"], "key": key}]


def _records(asked: Asked, gives: Gives, schema: Schema | None) -> list[Row]:
    """The records in an answer. Raises Reject."""
    said = asked.said
    if said.reason:
        raise Reject(said.reason, said.detail, raw=asked.answer.body.decode("utf-8", "replace"))
    if said.finish == "length" and gives.format != "label" and not (gives.format == "json" and _whole(said.text)):
        raise Reject("cut", "the answer reached max_tokens before its end", raw=said.text)
    return parse(said.text, gives, schema)


def _whole(text: str) -> bool:
    """Whether it is an object or a list in JSON from its first character to its last: nothing of it was cut off."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _repair(messages: Sequence[Message], reject: Reject) -> list[Message] | None:
    """The messages that show the model what is wrong with its answer; None when it gave none that could be mended."""
    if reject.reason != "unparseable" or not isinstance(reject.__cause__, ValueError | RecursionError):
        return None
    return [
        *messages,
        {"role": "assistant", "content": (reject.raw or "")[:SHOWN]},
        {"role": "user", "content": f"This cannot be used: {reject.detail}.\n{CORRECT}"},
    ]


def json_value(value: Any, what: str) -> Any:
    """The value as a JSON value that every file can hold. Raises Reject when it is none."""
    try:
        canonical(value)  # NaN is refused here, not made null
        return plain(value)
    except (TypeError, ValueError) as error:
        raise Reject("template", f"{what}: not a JSON value ({error})") from error
