"""The student that writes: what its loss is on, that it learns, that its folder is whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from synth_llm import InputError
from synth_llm.student.sft import IGNORED, Settings, Sft
from synth_llm.student.student import Task
from tests import tiny_models

ROWS = [{"instruction": f"Name a {what}.", "output": f"A {what} it is."} for what in ("cat", "dog", "tool", "sea")]


def task(model: Any, **settings: Any) -> Task:
    given = {"model": str(model), "epochs": 1, "batch": 2, "rank": 4, "answer_tokens": 8, **settings}
    return Task(["output"], prompt=["instruction", "input"], answer="output", settings=given)


def test_unknown_settings_are_refused():
    with pytest.raises(InputError, match=r"sft.*epoch.*epochs"):
        Sft(Task(["output"], settings={"epoch": 3}))
    with pytest.raises(InputError, match="rank"):
        Sft(Task(["output"], settings={"rank": 0}))
    assert Sft(Task(["output"], settings={"epochs": 7, "classifier": {"batch": 1}})).settings == Settings(epochs=7)


def test_no_rows_teach_nothing():
    with pytest.raises(InputError, match="there is none"):
        Sft(Task(["output"])).fit([])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_models.causal(tmp_path_factory.mktemp("tiny") / "model")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny_models.causal(tmp_path_factory.mktemp("plain") / "model", template=None)


@pytest.mark.transformers
class TestTurns:
    """What the model is given, and what it learns."""

    def texts(self, student: Sft, row: dict[str, Any]) -> tuple[str, str]:
        (turns,) = student._turns([row], "measured")
        return tuple(student._loaded.tokenizer.decode(part) for part in (turns.prompt, turns.answer))

    def test_the_loss_is_on_the_answer_and_its_end(self, tiny):
        row = {"instruction": "Say it.", "input": "cat", "output": "A cat."}
        assert self.texts(Sft(task(tiny)), row) == ("<s>user: Say it.\ncat</s><s>assistant:", " A cat.</s>")

    def test_a_model_without_a_template_reads_prompt_and_answer(self, plain):
        assert self.texts(Sft(task(plain)), ROWS[0]) == ("<s>Name a cat.\n\n", "A cat it is.</s>")

    def test_a_template_that_ends_with_a_line_teaches_up_to_its_mark(self, tmp_path):
        template = tiny_models.TEMPLATE.replace("</s>{% endfor %}", "</s>\n{% endfor %}")
        model = tiny_models.causal(tmp_path / "lines", template=template)
        assert self.texts(Sft(task(model)), ROWS[0])[1] == " A cat it is.</s>"

    def test_a_long_prompt_loses_its_middle_and_no_answer_is_dropped(self, tiny):
        student = Sft(task(tiny, max_tokens=40))
        prompt, answer = self.texts(student, {"instruction": "x" * 200, "output": "A cat."})
        assert prompt.startswith("<s>user:")
        assert prompt.endswith("</s><s>assistant:")
        assert answer == " A cat.</s>"
        assert student.notes == ["sft: 1 of 1 rows measured were cut to 40 tokens; see `max_tokens`"]

    def test_a_long_answer_loses_its_end(self, tiny):
        student = Sft(task(tiny, max_tokens=40))
        (turns,) = student._turns([{"instruction": "y" * 99, "output": "x" * 99}], "measured")
        assert len(turns.prompt) == 10
        assert len(turns.answer) == 30
        assert student._loaded.tokenizer.eos_token_id not in turns.answer

    def test_a_row_without_an_answer_is_named(self, tiny):
        with pytest.raises(InputError, match="row 2 has no 'output'"):
            Sft(task(tiny)).losses([ROWS[0], {"instruction": "What?"}])

    def test_what_the_trainer_is_given(self, tiny, monkeypatch):
        import trl

        seen: dict[str, Any] = {}

        class Stop(Exception):
            pass

        def trainer(**given: Any) -> Any:
            seen.update(given)
            raise Stop

        monkeypatch.setattr(trl, "SFTTrainer", trainer)
        with pytest.raises(Stop):
            Sft(task(tiny)).fit(ROWS[:1])
        (row,) = seen["train_dataset"].to_list()
        learned = [token for token in row["labels"] if token != IGNORED]
        tokenizer = seen["processing_class"]
        assert tokenizer.decode(learned) == " A cat it is.</s>"
        assert row["input_ids"][-len(learned) :] == learned
        assert not seen["args"].gradient_checkpointing
        assert seen["args"].report_to == []


@pytest.mark.transformers
class TestLearning:
    @pytest.mark.parametrize("how", [{"learning_rate": 0.02}, {"full": True, "learning_rate": 0.01}])
    def test_loss_falls_and_the_seed_decides(self, tiny, how, capfd):
        done = []
        given = task(tiny, epochs=4, **how)
        given = Task(**{**vars(given), "doing": lambda *what: done.append(what)})
        before = Sft(given).losses(ROWS)
        one, again, other = (Sft(given, seed).fit(ROWS) for seed in (1, 1, 2))
        after = one.losses(ROWS)
        assert after.mean() < before.mean() - 0.5
        assert again.losses(ROWS).tolist() == after.tolist()
        assert other.losses(ROWS).tolist() != after.tolist()
        assert ("training", 8, 8) in done
        assert capfd.readouterr().out == ""

    def test_losses_are_those_of_transformers_and_the_order_does_not_matter(self, tiny):
        import torch

        student = Sft(task(tiny))
        found = student.losses(ROWS)
        (turns,) = student._turns(ROWS[1:2], "measured")
        ids = torch.tensor([[*turns.prompt, *turns.answer]])
        labels = torch.tensor([[IGNORED] * len(turns.prompt) + turns.answer])
        with torch.inference_mode():
            loss = student._loaded.model(input_ids=ids, labels=labels).loss
        assert found[1] == pytest.approx(float(loss), rel=1e-4)
        assert student.losses(ROWS[::-1])[::-1] == pytest.approx(found, rel=1e-5)

    def test_it_writes_as_greedy_generation_does(self, tiny):
        import torch

        student = Sft(task(tiny))
        said = student.predict(ROWS)
        base = student._loaded
        for row, answer in zip(ROWS, said, strict=True):
            ids = torch.tensor([student._chat.prompt(row, ["instruction", "input"])])
            mask = torch.ones_like(ids)
            made = base.model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=8, do_sample=False)
            tokens = made[0, ids.shape[1] :].tolist()
            whole = tokens[: tokens.index(1)] if 1 in tokens else tokens
            assert answer == base.tokenizer.decode(whole, skip_special_tokens=True).strip()

    def test_it_learns_to_write_what_it_is_shown(self, tiny):
        student = Sft(task(tiny, epochs=60, batch=4, learning_rate=0.02, rank=16)).fit(ROWS[:1])
        assert student.predict(ROWS[:1])[0].startswith("A c")


@pytest.mark.transformers
class TestFolder:
    def test_it_loads_anywhere_and_names_no_place(self, tiny, tmp_path):
        import transformers

        student = Sft(task(tiny, learning_rate=0.02), 3).fit(ROWS)
        folder = tmp_path / "saved"
        student.save(folder, {"data": "colours"})
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        assert model.generation_config.eos_token_id == 1
        assert tokenizer.chat_template == tiny_models.TEMPLATE
        assert not list(folder.glob("adapter*"))
        assert Sft(task(folder)).losses(ROWS) == pytest.approx(student.losses(ROWS), rel=1e-3)
        for file in folder.glob("*.json"):
            assert str(tiny.parent) not in file.read_text()
        card = (folder / "README.md").read_text()
        assert "colours" in card
        assert "| Setting `learning_rate` | 0.02 |" in card
        assert "base_model" not in card

    def test_weights_keep_the_precision_they_came_in(self, tmp_path):
        import torch
        import transformers

        base = tiny_models.causal(tmp_path / "base")
        transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
        student = Sft(task(base)).fit(ROWS[:2])
        before = student.losses(ROWS).tolist()
        student.save(tmp_path / "saved", {})
        assert json.loads((tmp_path / "saved" / "config.json").read_text())["dtype"] == "bfloat16"
        assert student.losses(ROWS).tolist() == before

    def test_a_folder_that_cannot_be_written(self, tiny, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be saved"):
            Sft(task(tiny)).save(tmp_path / "file", {})

    def test_models_that_cannot_learn_this_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="no causal language model"):
            Sft(task(tiny_models.seq2seq(tmp_path))).losses(ROWS)
        with pytest.raises(InputError, match="no-such"):
            Sft(task(tmp_path / "no-such.gguf")).losses(ROWS)
