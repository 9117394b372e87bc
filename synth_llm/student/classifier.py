"""The student `classifier`: a small encoder that is fine-tuned as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from synth_llm.against import joined
from synth_llm.errors import InputError, MissingExtra
from synth_llm.models.pretrained import best_device, first_line, folder_of, refuse_pickles
from synth_llm.models.weights import ENCODER, WEIGHTS, locate
from synth_llm.row import Row
from synth_llm.student.card import write_card
from synth_llm.student.student import Task, lesson, own_settings

if TYPE_CHECKING:
    import numpy as np

EPOCHS, MOST, UPDATES = 3, 20, 100
"""Epochs when none are set: 3, and for small sets as many as make 100 updates, but 20 at most. Few updates leave an
encoder that learned nothing, and its seeds apart (Mosbach et al. 2021, arXiv 2006.04884, section 6)."""
WARM = 0.1
"""The share of the updates in which the learning rate rises; then it falls to zero, both on a line."""
DECAY, LONGEST_STEP = 0.01, 1.0
"""Weight decay, and the norm that gradients are cut to: as in Mosbach et al."""
LOAD = """
from transformers import pipeline

pipeline("text-classification", "org/name")("...", truncation=True)
"""


class Settings(BaseModel):
    """How the student `classifier` learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    """The encoder to begin with: a folder, or a name on the Hub; the packaged all-MiniLM-L6-v2 when absent."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the rows. When absent 3, and for fewer than about 500 rows more, up to 20."""
    batch: int = Field(default=16, ge=1)
    """Rows of one update."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """The highest, after the warm-up."""
    max_tokens: int = Field(default=128, ge=2)
    """What is longer is cut."""


class Classifier:
    """An encoder with a new layer for the classes, all of it trained with AdamW, on the best device there is.

    The seed draws the new layer, the order of rows and the dropout: on a CPU, the same rows in the same order and the
    same number of threads give the same student; on a GPU, one that differs in how sums are rounded.
    """

    draws: ClassVar[bool] = True

    def __init__(self, task: Task, seed: int = 0) -> None:
        self.settings = own_settings("classifier", Settings, task.settings)
        self.task, self.seed, self.rows = task, seed, 0
        self.labels: list[str] = []
        """The k classes that it knows, sorted; empty before `fit`."""
        self._model: Any = None
        self._tokenizer: Any = None

    def fit(self, rows: Sequence[Row]) -> Classifier:
        """Learn. Raises InputError for a row without a class, fewer than two classes, rows without any text, or a model
        that cannot be used; MissingExtra.
        """
        texts, classes = lesson(rows, self.task)
        self.labels = sorted(set(classes))
        folder = self._folder()
        import torch

        cuda = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(cuda):
            torch.manual_seed(self.seed)
            self._load(folder)
            numbers = {label: number for number, label in enumerate(self.labels)}
            self._train(self._tokens(texts), torch.tensor([numbers[label] for label in classes]))
        self.rows = len(rows)
        return self

    def predict_proba(self, rows: Sequence[Row]) -> np.ndarray:
        """(n, k) float64, the probability of each of `labels`."""
        import numpy as np
        import torch

        tokens = self._tokens([joined(row, self.task.columns) for row in rows])
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]["input_ids"]))
        proba = np.zeros((len(tokens), len(self.labels)))
        with torch.inference_mode():
            for start in range(0, len(order), 2 * self.settings.batch):
                part = order[start : start + 2 * self.settings.batch]
                scores = self._model(**self._padded([tokens[at] for at in part])).logits
                proba[part] = scores.double().softmax(-1).cpu().numpy()
        return proba

    def predict(self, rows: Sequence[Row]) -> list[str]:
        """The likeliest class of each row."""
        return [self.labels[at] for at in self.predict_proba(rows).argmax(axis=1)]

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """A folder that `AutoModelForSequenceClassification` and `pipeline` load, with the names of the classes."""
        folder.mkdir(parents=True, exist_ok=True)
        self._model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        write_card(
            folder,
            {"rows": self.rows, "seed": self.seed, **facts},
            about=f"A fine-tuned encoder. It tells {', '.join(self.labels)} by the text of "
            f"{', '.join(self.task.columns)}, each on a line of its own.",
            task="text-classification",
            load=LOAD,
            library="transformers",
            base=self._base(),
            settings=self.settings.model_dump(exclude={"model", "epochs"}) | {"epochs": self._epochs(self.rows)},
        )

    def _folder(self) -> Path:
        """Where the model to begin with lies."""
        try:
            import torch  # noqa: F401
            import transformers
        except ImportError:
            raise MissingExtra("the student classifier", "evaluate") from None
        said: Any = transformers.logging
        said.set_verbosity_error()
        said.disable_progress_bar()
        name = self.settings.model
        folder = locate(ENCODER) if name in {None, ENCODER} else folder_of(str(name), "")
        refuse_pickles(folder, "")
        return folder

    def _base(self) -> str | None:
        """The name on the Hub of the model to begin with; None for a folder."""
        if self.settings.model in {None, ENCODER}:
            return WEIGHTS[ENCODER].source.removeprefix("https://huggingface.co/")
        return None if Path(str(self.settings.model)).is_dir() else self.settings.model

    def _load(self, folder: Path) -> None:
        import torch
        import transformers

        safe: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
        names = dict(enumerate(self.labels))
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **safe)
            model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                id2label=names,
                label2id={label: number for number, label in names.items()},
                ignore_mismatched_sizes=True,  # of a model that told other classes, the last layer is drawn anew
                **safe,
            )
        except Exception as error:  # what is wrong with a folder shows in any part of the library
            raise InputError(f"transformers cannot load it as a classifier: {first_line(error)}", folder) from error
        if self._tokenizer.pad_token_id is None:
            raise InputError("no encoder: its tokenizer has no padding, so that texts cannot be read together", folder)
        for loading in ("is_local", "local_files_only"):  # said to load it, and else saved with it
            self._tokenizer.init_kwargs.pop(loading, None)
        most = getattr(model.config, "max_position_embeddings", self.settings.max_tokens)
        self._tokenizer.model_max_length = min(self.settings.max_tokens, self._tokenizer.model_max_length, most)
        self._model = model.to(best_device(None))

    def _tokens(self, texts: Sequence[str]) -> list[dict[str, list[int]]]:
        """What the model reads of each text, not yet padded."""
        return [dict(self._tokenizer(text, truncation=True)) for text in texts]

    def _padded(self, tokens: list[dict[str, list[int]]]) -> Any:
        return self._tokenizer.pad(tokens, return_tensors="pt").to(self._model.device)

    def _epochs(self, rows: int) -> int:
        updates = math.ceil(rows / self.settings.batch) or 1
        return self.settings.epochs or min(MOST, max(EPOCHS, math.ceil(UPDATES / updates)))

    def _train(self, tokens: list[dict[str, list[int]]], classes: Any) -> None:
        import torch

        epochs = self._epochs(len(tokens))
        updates = epochs * math.ceil(len(tokens) / self.settings.batch)
        warm = max(1, round(WARM * updates))
        rate = self.settings.learning_rate
        optimizer = torch.optim.AdamW(self._model.parameters(), lr=rate, weight_decay=DECAY, fused=True)
        pace = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda done: min((done + 1) / warm, (updates - done) / max(1, updates - warm))
        )
        self._model.train()
        for done, part in enumerate(self._batches(len(tokens), epochs)):
            self.task.doing("classifier", done, updates)
            scores = self._model(**self._padded([tokens[at] for at in part])).logits
            loss: Any = torch.nn.functional.cross_entropy(scores, classes[part].to(scores.device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), LONGEST_STEP)
            optimizer.step()
            optimizer.zero_grad()
            pace.step()
        self.task.doing("classifier", updates, updates)
        self._model.eval()

    def _batches(self, rows: int, epochs: int) -> Iterator[list[int]]:
        """The numbers of the rows of each update: all rows in a new order in each epoch."""
        import torch

        for _ in range(epochs):
            order = torch.randperm(rows).tolist()
            yield from (order[at : at + self.settings.batch] for at in range(0, rows, self.settings.batch))
