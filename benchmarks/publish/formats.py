"""formats: what `export` writes is taken by the trainers that read it, and a step is taken on it.

The forms of trainers that are not installed here, LLaMA-Factory and Axolotl, are checked by schema. The others train:
TRL's SFTTrainer, DPOTrainer and KTOTrainer, sentence-transformers' trainer, and the Trainer of transformers, on models
of a few thousand weights; each on Parquet and on JSON Lines.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
from rich.progress import Progress

from benchmarks.core.recipes import Bar
from synth_llm import Recipe, run
from synth_llm.models.weights import ENCODER, fetch, locate
from synth_llm.publish.export import export
from tests import tiny_models

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function | tojson }}"
    "{% endfor %}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant:{% endif %}"
)
ANIMALS = ("cat", "dog", "hen", "cow", "fox", "owl", "bee", "ant")
LOOK = {"type": "function", "function": {"name": "look", "arguments": {"for": "cat"}}}
FOR = {"type": "object", "properties": {"for": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": FOR}}


def _asked(one: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"Name a {one}."}]


def _answered(one: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"A {one}."}


def _looked(one: str) -> list[dict[str, Any]]:
    call = {"role": "assistant", "content": "", "tool_calls": [LOOK]}
    return [*_asked(one), call, {"role": "tool", "name": "look", "content": one}, _answered(one)]


def _span(start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end, "type": "animal"}


ROWS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "messages": lambda one, n: {"messages": [*_asked(one), _answered(one)]},
    "prompt_completion": lambda one, n: {"instruction": f"Name a {one}.", "output": f"A {one}."},
    "text": lambda one, n: {"text": f"The {one} runs to the sea."},
    "tools": lambda one, n: {"messages": _looked(one), "tools": [TOOL]},
    "preference": lambda one, n: {"prompt": f"Name a {one}.", "chosen": f"A {one}.", "rejected": "No."},
    "kto": lambda one, n: {"prompt": f"Name a {one}.", "completion": f"A {one}.", "wanted": n % 2 == 0},
    "pairs": lambda one, n: {"first": f"A {one}.", "second": f"One {one}.", "score": n / 8},
    "triplets": lambda one, n: {"anchor": f"A {one}.", "positive": f"One {one}.", "negative": "No hammer."},
    "token_labels": lambda one, n: {"text": f"A {one} runs.", "spans": [_span(2, 2 + len(one))]},
    "classification": lambda one, n: {"text": f"A {one}.", "label": ("small", "large")[n % 2]},
}  # fmt: skip


def bar() -> Iterator[Bar]:
    with Progress(disable=True) as progress:
        fetch(ENCODER, progress)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        model = tiny_models.causal(scratch / "model", TEMPLATE)
        for name, row in ROWS.items():
            recipe = {"name": name, "source": {"rows": [row(one, n) for n, one in enumerate(ANIMALS)]}}
            done = run(Recipe.model_validate({**recipe, "steps": [{"filter": {"if": "1 == 1"}}]}), out=scratch / name)
            for files in ("parquet", "jsonl"):
                out = scratch / f"{name}-{files}"
                export(done.path, out, format=name, files=files)
                yield _step(name, files, out, model, scratch)
        for name, schemas in FORMS.items():
            yield from _form(name, schemas, scratch)


def _form(name: str, schemas: Mapping[str, Any], scratch: Path) -> Iterator[Bar]:
    """Conversations, with a system text and without, against the forms that trainers document."""
    said = [*_asked("cat"), _answered("cat")]
    longer = [*said, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    held = {"role": "system", "content": "Be brief."}
    talks = [said, [held, *said]] if name == "alpaca" else [said, longer, [held, *longer]]
    recipe = {"name": name, "source": {"rows": [{"messages": talk} for talk in talks]}}
    done = run(Recipe.model_validate({**recipe, "steps": [{"filter": {"if": "1 == 1"}}]}), out=scratch / f"form-{name}")
    export(done.path, scratch / f"formed-{name}", format=name, files="jsonl")
    rows = [json.loads(line) for line in (scratch / f"formed-{name}/train.jsonl").read_text().splitlines()]
    for reader, schema in schemas.items():
        check = jsonschema_rs.validator_for(schema)
        wrong = [error.message for row in rows for error in check.iter_errors(row)]
        figure = f"{name}: {len(rows)} rows in the form of {reader}" + (f": {wrong[0]}" if wrong else "")
        yield ("formats", figure, "all", len(rows) == len(talks) and not wrong)


def _object(properties: Mapping[str, Any], needs: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": needs, "additionalProperties": False}


def _step(name: str, files: str, out: Path, model: Path, scratch: Path) -> Bar:
    """A step of the trainer of a format on an exported folder."""
    import datasets

    try:
        rows = datasets.load_dataset(str(out), split="train", cache_dir=str(scratch / "cache"))
        trainer = TRAINERS[name](rows, model, scratch / "trained")
        loss = trainer.train().training_loss
    except Exception as error:  # whatever a trainer raises says that it does not take the rows
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return ("formats", f"{name} ({files}): {said}", "a step", False)
    return ("formats", f"{name} ({files}): {type(trainer).__name__}, a step, loss {loss:.3f}", "a step", loss == loss)


def _arguments(kind: Any, folder: Path, **more: Any) -> Any:
    one_step = {"max_steps": 1, "per_device_train_batch_size": 4, "report_to": "none", "save_strategy": "no"}
    return kind(output_dir=str(folder), use_cpu=True, disable_tqdm=True, logging_strategy="no", **one_step, **more)


def _trl(trainer: str, config: str) -> Callable[[Any, Path, Path], Any]:
    def make(rows: Any, model: Path, folder: Path) -> Any:
        import trl
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model)
        settings = _arguments(getattr(trl, config), folder, max_length=128, bf16=False)
        causal = AutoModelForCausalLM.from_pretrained(model)
        return getattr(trl, trainer)(model=causal, args=settings, train_dataset=rows, processing_class=tokenizer)

    return make


def _sentences(loss: str) -> Callable[[Any, Path, Path], Any]:
    def make(rows: Any, model: Path, folder: Path) -> Any:
        import sentence_transformers as st
        from sentence_transformers import losses

        encoder = st.SentenceTransformer(str(locate(ENCODER)), device="cpu")
        settings = _arguments(st.SentenceTransformerTrainingArguments, folder)
        return st.SentenceTransformerTrainer(encoder, settings, rows, loss=getattr(losses, loss)(encoder))

    return make


def _labels(rows: Any, model: Path, folder: Path) -> Any:
    """One label a token, or one a text; numbered as the file says, or by the alphabet where it names them."""
    import transformers

    tokens = "tokens" in rows.column_names
    column = "labels" if tokens else "label"
    names = sorted({name for value in rows[column] for name in (value if tokens else [value])})
    number = {name: at for at, name in enumerate(names)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)

    def encoded(row: Mapping[str, Any]) -> Any:
        made = tokenizer(row["tokens"] if tokens else row["text"], is_split_into_words=tokens)
        words = made.word_ids() if tokens else []
        made["labels"] = (
            [-100 if at is None else number[row[column][at]] for at in words] if tokens else number[row[column]]
        )
        return made

    config = transformers.AutoConfig.from_pretrained(model, num_labels=len(names))
    kind = transformers.AutoModelForTokenClassification if tokens else transformers.AutoModelForSequenceClassification
    collator = transformers.DataCollatorForTokenClassification if tokens else transformers.DataCollatorWithPadding
    return transformers.Trainer(
        kind.from_config(config),
        _arguments(transformers.TrainingArguments, folder),
        collator(tokenizer),
        rows.map(encoded, remove_columns=rows.column_names),
    )


TEXT = {"type": "string"}
ALPACA = _object(dict.fromkeys(("instruction", "input", "output", "system"), TEXT), ["instruction", "output"])
"""LLaMA-Factory, data/README.md, "Alpaca Format"; Axolotl, docs/dataset-formats/inst_tune, `alpaca`."""


def _turns(*of: str) -> dict[str, Any]:
    who, said = of[:2]
    return {"type": "array", "minItems": 2, "items": _object({who: {"enum": [*of[2:]]}, said: TEXT}, [who, said])}


FORMS = {
    "alpaca": {"LLaMA-Factory": ALPACA, "Axolotl": ALPACA},
    "sharegpt": {
        "LLaMA-Factory": _object(  # data/README.md, "Sharegpt Format"; its tags by default
            {"conversations": _turns("from", "value", "human", "gpt", "function_call", "observation", "system")},
            ["conversations"],
        )
    },
    "messages": {
        "Axolotl": _object(  # docs/dataset-formats/conversation, `chat_template`
            {"messages": _turns("role", "content", "system", "user", "assistant", "tool")}, ["messages"]
        )
    },
}
"""What trainers that are not installed document of the rows they read."""
SFT = _trl("SFTTrainer", "SFTConfig")
TRAINERS: dict[str, Callable[[Any, Path, Path], Any]] = {
    **dict.fromkeys(("messages", "prompt_completion", "text", "tools"), SFT),
    "preference": _trl("DPOTrainer", "DPOConfig"),
    "kto": _trl("KTOTrainer", "KTOConfig"),
    "pairs": _sentences("CoSENTLoss"),
    "triplets": _sentences("TripletLoss"),
    **dict.fromkeys(("token_labels", "classification"), _labels),
}
