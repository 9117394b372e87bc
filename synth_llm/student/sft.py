"""The student that writes: a small causal language model, fine-tuned on answers (trl, peft; extra `train`)."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from synth_llm.errors import InputError, MissingExtra
from synth_llm.models.weights import DEFAULT, WEIGHTS, locate
from synth_llm.row import Row
from synth_llm.student.chat import Chat, Turns
from synth_llm.student.student import Task, own_settings

if TYPE_CHECKING:
    import numpy as np
    import torch

    from synth_llm.models.pretrained import Pretrained

IGNORED = -100
"""PyTorch's label of a token that no loss is on."""
WARM = 20
"""The learning rate rises over one in so many steps."""


class Settings(BaseModel):
    """Settings of `student: sft`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = DEFAULT
    """The model it is trained from: known weights, a GGUF file, a folder of transformers, or a name on the Hub."""
    full: bool = False
    """Train all weights, and not a LoRA adapter (Hu et al. 2021) on all linear layers."""
    rank: int = Field(default=16, ge=1)
    """Of the adapter; it is scaled by 2."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the rows."""
    batch: int = Field(default=8, ge=1)
    """Rows a step."""
    learning_rate: float | None = Field(default=None, gt=0)
    """At its highest; by default 1e-3 for an adapter, 5e-5 for all weights."""
    max_tokens: int = Field(default=512, ge=16)
    """Of a prompt and its answer together, in training; longer rows are cut, and a note says how many."""
    answer_tokens: int = Field(default=128, ge=1)
    """Of an answer that it writes."""
    judge: str | None = None
    """For `evaluate`: a model of the recipe that compares its answers with those of the model it is trained from."""
    lm_eval: list[str] = []
    """For `evaluate`: tasks of lm-eval, where that is installed."""

    @property
    def rate(self) -> float:
        """The learning rate at its highest."""
        return self.learning_rate or (5e-5 if self.full else 1e-3)


class Sft:
    """A causal language model that learns to write the answers of rows; before `fit` it is the model it starts from.

    The prompt is given in the model's chat template, and the loss is on answers only. In float32 on a CPU; a GPU is
    used when there is one. The same rows in the same order and the same seed give the same student on one machine.
    """

    draws: ClassVar[bool] = True

    def __init__(self, task: Task, seed: int = 0) -> None:
        self.task, self.seed = task, seed
        self.settings: Settings = own_settings("sft", Settings, task.settings)
        self.notes: list[str] = []
        """What a reader must know of what it was given: how many rows were cut."""
        self._rows = 0
        self._base: Pretrained | None = None
        self._kind: Any = None

    def fit(self, rows: Sequence[Row]) -> Sft:
        """Learn to write the column `answer` from the columns `prompt`.

        Raises InputError for no rows, a row without an answer, or a model that cannot be loaded, MissingExtra.
        """
        if not rows:
            raise InputError("a student needs rows to learn from; there is none")
        turns = self._turns(rows, "learned from")
        self._train(turns)
        self._rows = len(rows)
        return self

    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The answer it writes to each row's prompt: the likeliest token each time, `answer_tokens` at most."""
        import torch

        base, chat = self._loaded, self._chat
        given = [chat.prompt(row, self.task.prompt) for row in rows]
        said = [""] * len(rows)
        for batch in self._batches([len(one) for one in given], given, "answers"):
            ids, mask = _padded([given[at] for at in batch], base.tokenizer.pad_token_id, left=True)
            with torch.inference_mode():
                made = base.model.generate(
                    input_ids=ids.to(base.device),
                    attention_mask=mask.to(base.device),
                    max_new_tokens=self.settings.answer_tokens,
                    do_sample=False,
                    temperature=None,
                    top_p=None,
                    top_k=None,
                    eos_token_id=chat.ends,
                    pad_token_id=base.tokenizer.pad_token_id,
                )
            for at, tokens in zip(batch, made[:, ids.shape[1] :].tolist(), strict=True):
                said[at] = base.text(_until(tokens, chat.ends)).strip()
        return said

    def losses(self, rows: Sequence[Row]) -> np.ndarray:
        """(n,) of each row the mean loss on the tokens of its answer and of its end, in nats a token.

        Raises InputError for a row without an answer.
        """
        import numpy as np
        import torch

        base, turns = self._loaded, self._turns(rows, "measured")
        found = np.zeros(len(rows))
        whole = [[*one.prompt, *one.answer] for one in turns]
        for batch in self._batches([len(one) for one in whole], whole, "losses"):
            ids, mask = _padded([whole[at] for at in batch], base.tokenizer.pad_token_id, left=False)
            with torch.inference_mode():
                logits = base.model(input_ids=ids.to(base.device), attention_mask=mask.to(base.device)).logits
            for line, at in enumerate(batch):
                first, last = len(turns[at].prompt), len(whole[at])
                right = ids[line, first:last].to(base.device)
                loss = torch.nn.functional.cross_entropy(logits[line, first - 1 : last - 1].float(), right)
                found[at] = float(loss)
        return found

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """A plain folder that transformers and vLLM load: merged weights in the precision of the model it started from,
        tokenizer with chat template, the tokens that end an answer, and a card. Raises InputError for a bad folder.
        """
        import copy

        import transformers

        base, chat = self._loaded, self._chat
        model = copy.deepcopy(base.model).to(self._kind)
        model.generation_config.eos_token_id = chat.ends if len(chat.ends) > 1 else chat.ends[0]
        model.generation_config.pad_token_id = base.tokenizer.pad_token_id
        tokenizer = copy.deepcopy(base.tokenizer)
        for loading in ("is_local", "local_files_only", "name_or_path"):
            tokenizer.init_kwargs.pop(loading, None)
        model.config._name_or_path = tokenizer.name_or_path = ""
        progress: Any = transformers.utils.logging
        progress.disable_progress_bar()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except OSError as error:
            raise InputError(f"the student cannot be saved: {error.strerror}", folder) from None
        self._card(folder, facts)

    def _card(self, folder: Path, facts: Mapping[str, Any]) -> None:
        from synth_llm.student.card import write_card

        name = self.settings.model
        known = WEIGHTS[name].source.removeprefix("https://huggingface.co/") if name in WEIGHTS else name
        write_card(
            folder,
            {"rows": self._rows, "seed": self.seed, **facts},
            about=f"Writes `{self.task.answer}` given {' and '.join(f'`{one}`' for one in self.task.prompt)}.",
            task="text-generation",
            load='from transformers import pipeline\n\nwrite = pipeline("text-generation", "FOLDER")\n'
            'write([{"role": "user", "content": "..."}])',
            library="transformers",
            base=None if Path(name).exists() or name.endswith(".gguf") else known,
            settings=self.settings.model_dump(exclude={"model", "judge", "lm_eval"})
            | {"learning_rate": self.settings.rate},
        )

    @property
    def _loaded(self) -> Pretrained:
        if self._base is None:
            self._base, self._kind = _load(self.settings.model)
        return self._base

    @property
    def _chat(self) -> Chat:
        base = self._loaded
        most = self.settings.max_tokens
        return Chat(base.tokenizer, base.ends, most if base.context is None else min(most, base.context))

    def _turns(self, rows: Sequence[Row], what: str) -> list[Turns]:
        chat = self._chat
        turns = [chat.turns(row, self.task.prompt, self.task.answer, number) for number, row in enumerate(rows, 1)]
        cut = sum(one.cut for one in turns)
        note = f"sft: {cut} of {len(rows)} rows {what} were cut to {chat.max_tokens} tokens; see `max_tokens`"
        if cut and note not in self.notes:
            self.notes.append(note)
        return turns

    def _batches(self, lengths: Sequence[int], keys: Sequence[list[int]], what: str) -> Iterator[list[int]]:
        """The numbers of rows of about one length, the longest first; the order of the rows does not matter."""
        order = sorted(range(len(lengths)), key=lambda at: (-lengths[at], keys[at]))
        for start in range(0, len(order), self.settings.batch):
            yield order[start : start + self.settings.batch]
            self.task.doing(what, min(start + self.settings.batch, len(order)), len(order))

    def _train(self, turns: Sequence[Turns]) -> None:
        try:
            import datasets
            import peft
            import torch
            import transformers

            trl: Any = import_module("trl")
        except ImportError:
            raise MissingExtra("student sft", "train") from None
        base, settings = self._loaded, self.settings
        steps = settings.epochs * -(-len(turns) // settings.batch)
        on_cpu = base.device == "cpu"
        rows = [
            {"input_ids": [*one.prompt, *one.answer], "labels": [IGNORED] * len(one.prompt) + one.answer}
            for one in turns
        ]
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries about each other
            config = trl.SFTConfig(
                output_dir=folder,
                seed=self.seed,
                num_train_epochs=settings.epochs,
                per_device_train_batch_size=settings.batch,
                learning_rate=settings.rate,
                warmup_steps=steps // WARM,
                max_length=None,  # the rows are cut
                packing=False,
                gradient_checkpointing=False,
                bf16=base.device.startswith("cuda") and torch.cuda.is_bf16_supported(),
                use_cpu=on_cpu,
                dataloader_pin_memory=not on_cpu,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            )
            config._n_gpu = min(config.n_gpu, 1)  # several in one process are refused
            transformers.set_seed(self.seed)  # the adapter is drawn before the trainer sets it
            trainer = trl.SFTTrainer(
                model=base.model,
                args=config,
                train_dataset=datasets.Dataset.from_list(rows),
                processing_class=base.tokenizer,
                peft_config=None
                if settings.full
                else peft.LoraConfig(
                    r=settings.rank, lora_alpha=2 * settings.rank, target_modules="all-linear", task_type="CAUSAL_LM"
                ),
                callbacks=[_watch(self.task.doing)],
            )
            trainer.remove_callback(transformers.PrinterCallback)
            trainer.train()
        model: Any = trainer.model
        model = model if settings.full else model.merge_and_unload()
        self._base = replace(base, model=model.eval())


def _load(name: str) -> tuple[Pretrained, Any]:
    """The model in float32, and the precision in which its weights lie."""
    try:
        import torch
        import transformers

        from synth_llm.models.convert import folder_of
        from synth_llm.models.pretrained import load
    except ImportError:
        raise MissingExtra("student sft", "train") from None
    path = locate(name) if name in WEIGHTS or name.endswith(".gguf") else Path(name)
    folder = str(folder_of(path)) if path.suffix == ".gguf" else name
    threads = torch.get_num_threads()
    base = load(folder, revision="", device=None, dtype="float32", languages=None)
    torch.set_num_threads(threads)  # of an engine that answers beside other work it is one less
    if base.seq2seq:
        raise InputError(f"student sft: {name} is no causal language model; one that goes on with a text is needed")
    model = base.model.merge_and_unload() if hasattr(base.model, "merge_and_unload") else base.model
    kind = transformers.AutoConfig.from_pretrained(model.name_or_path, local_files_only=True).dtype
    if base.tokenizer.pad_token_id is None:
        base.tokenizer.pad_token = base.tokenizer.eos_token
    return replace(base, model=model), kind or model.dtype


def _padded(rows: Sequence[Sequence[int]], blank: int, *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, longest) tokens, and which of them are not padding."""
    import torch

    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), blank), torch.zeros((len(rows), longest), dtype=torch.long)
    for line, tokens in enumerate(rows):
        at = slice(longest - len(tokens), longest) if left else slice(len(tokens))
        ids[line, at], mask[line, at] = torch.tensor(tokens), 1
    return ids, mask


def _until(tokens: list[int], ends: Sequence[int]) -> list[int]:
    return next((tokens[:at] for at, token in enumerate(tokens) if token in ends), tokens)


def _watch(doing: Callable[[str, int, int], object]) -> Any:
    """Tells how many steps of training are done."""
    callback: Any = import_module("transformers").TrainerCallback

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
        doing("training", state.global_step, state.max_steps)

    return type("Watch", (callback,), {"on_step_end": on_step_end})()
