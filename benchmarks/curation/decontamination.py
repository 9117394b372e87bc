"""Bar *decontamination*: planted copies of evaluation items are all found, clean rows stay, rephrased items are found.

Items of GSM8K, MMLU, HumanEval, IFEval, MT-bench and Vicuna are planted into rows of Alpaca and Dolly. GPT-3's rule
(any 13 words in a row, arXiv 2005.14165, appendix C) is held against the same rows. The cosine from which two texts may
be the same is the step's default; it was chosen on the rephrased GSM8K questions, and holds for the algebra questions.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data import data
from synth_llm import Recipe, Source, run
from synth_llm.against import Against, Item, read_against
from synth_llm.similar.ngrams import SHORT, NgramIndex, words
from synth_llm.steps.context import Resources
from synth_llm.steps.decontaminate import Decontaminate

if TYPE_CHECKING:
    import numpy as np

Line = tuple[str, str, str, bool]
SETS = {
    "gsm8k/train_2000.jsonl": "question",
    "decontam_rephrased/mmlu_abstract_algebra_original.jsonl": "question",
    "benchmark_prompts/humaneval.jsonl": "prompt",
    "benchmark_prompts/ifeval_prompts.jsonl": "prompt",
    "benchmark_prompts/mt_bench_question.jsonl": "turns",
    "benchmark_prompts/vicuna_test.jsonl": "text",
}
ALGEBRA, GSM8K = list(SETS)[1], "gsm8k/model_solutions_dev.jsonl"
FORMS = ("whole", "other form", "embedded", "trimmed", "trimmed and embedded")
COLUMNS = ["instruction", "input", "output"]
STEP = Decontaminate(against=[Against(examples=True)])


def bar() -> Iterator[Line]:
    """(name, figure, goal, ok)."""
    against = [{"file": str(data(name)), "column": column} for name, column in SETS.items()]
    some = use()
    items = read_against([Against.model_validate(entry) for entry in against], some, COLUMNS)
    hosts = rows("alpaca/alpaca_random_dev.jsonl") + rows("dolly/dolly_dev.jsonl")
    yield from planted(plants(items, hosts), against)
    yield clean(hosts, against, items)
    yield from meaning(some)
    yield alone(hosts, items, some)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data(name).read_text(encoding="utf-8").splitlines() if line.strip()]


def use() -> Resources:
    """What the packaged encoder is opened from."""
    return Resources(Recipe(source=Source(rows=[{"text": "any"}]), steps=[STEP]), Path())


# Copies


def plants(items: Sequence[Item], hosts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each item in each form that it is long enough for, with the form and the item's label."""
    drawn = random.Random(0)
    made = []
    for item in items:
        for form in FORMS if len(words(item.text)) >= SHORT else FORMS[:2]:
            host = drawn.choice(hosts)
            row = {column: host[column] for column in COLUMNS} | {"form": form, "item": item.label}
            text = cut(item.text, drawn) if "trimmed" in form else item.text
            if "embedded" in form:
                row[drawn.choice(COLUMNS)] = f"{host['instruction']}\n\n{text}\n\n{host['output']}"
            else:
                row["instruction"] = restyled(text) if form == "other form" else text
            made.append(row)
    return made


def cut(text: str, drawn: random.Random) -> str:
    """Half of a text in a row, or more where that is less than 10 words or mostly numbers."""
    parts = re.findall(r"\S+\s*", text)
    least = min(10, max(SHORT, -(-3 * len(words(text)) // 4)))
    for size in range(len(parts) // 2, len(parts)):
        at = drawn.randint(0, len(parts) - size)
        piece = words("".join(parts[at : at + size]))
        if len(piece) >= least and 2 * sum(map(str.isdecimal, piece)) <= len(piece):
            return "".join(parts[at : at + size])
    return text


def restyled(text: str) -> str:
    """The same words in upper case, in other spaces, with other sentence punctuation."""
    return re.sub(r"\s+", "\n  ", re.sub(r"[.,!?;:]+(?=\s|$)", " ...", text)).upper()


def rejected(made: Sequence[dict[str, Any]], against: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """What the step rejects of these rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
        step = Decontaminate.model_validate({"column": COLUMNS, "against": list(against)})
        result = run(Recipe(source=Source(file=str(path)), steps=[step]), out=Path(folder) / "out")
        return [{**json.loads(row["row"]), "other": row["other"], "detail": row["detail"]} for row in result.rejected]


def planted(made: Sequence[dict[str, Any]], against: Sequence[dict[str, str]]) -> Iterator[Line]:
    found = rejected(made, against)
    of, hits = Counter(row["form"] for row in made), Counter(row["form"] for row in found)
    for form in FORMS:
        yield f"planted, {form}", f"{hits[form]:,} of {of[form]:,}", "all", hits[form] == of[form] > 0
    named = sum(row["item"] == row["other"] for row in found)
    share = named / len(found)
    yield "planted, named", f"{share:.2%} name the item that was planted", ">= 99 %", share >= 0.99


def clean(hosts: Sequence[dict[str, Any]], against: Sequence[dict[str, str]], items: Sequence[Item]) -> Line:
    """Rows that nobody planted anything in. GPT-3's rule is measured on items that are long enough for it."""
    ours = rejected([{column: row[column] for column in COLUMNS} for row in hosts], against)
    seen = {gram for item in items for gram in grams(item.text)}
    theirs = sum(not seen.isdisjoint(grams("\n".join(row[column] for column in COLUMNS))) for row in hosts)
    share = len(ours) / len(hosts)
    figure = f"{len(ours)} of {len(hosts):,} rows rejected ({share:.2%}); GPT-3's rule: {theirs}"
    return "clean rows", figure, "<= 0.1 %", share <= 0.001


def grams(text: str) -> set[tuple[str, ...]]:
    """The 13-grams of a text's words."""
    own = words(text)
    return {tuple(own[at : at + 13]) for at in range(len(own) - 12)}


# Meaning


def meaning(some: Resources) -> Iterator[Line]:
    """Rephrased items against their originals; all other pairs are none."""
    goal = "recall >= .98, false positives <= .06"
    chosen = pairs(some, GSM8K, "rephrase_gsm8k_dev.jsonl")
    yield "meaning, gsm8k", *judged(*chosen, "where the default was chosen; " + goal)
    found = pairs(some, ALGEBRA, "mmlu_abstract_algebra_rephrase_english.jsonl")
    yield "meaning, algebra", *judged(*found, goal)
    same, _ = pairs(some, ALGEBRA, "mmlu_abstract_algebra_chinese.jsonl")
    share = float((same >= STEP.floor).mean())
    yield "meaning, Chinese", f"recall {share:.3f}", "told, not held: the packaged encoder reads English", True


def pairs(some: Resources, originals: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The cosines of items and their rephrasings (blank ones left out), and of all other pairs."""
    import numpy as np

    said = [question(row["text"]) for row in rows(f"decontam_rephrased/{name}")]
    encode = some.encoder().encode
    there = np.flatnonzero([bool(text.strip()) for text in said])
    cosines = encode([row["question"] for row in rows(originals)]) @ encode(said)[there].T
    own = np.zeros(cosines.shape, dtype=bool)
    own[there, np.arange(len(there))] = True
    return cosines[own], cosines[~own]


def question(text: str) -> str:
    """The question alone: GSM8K's rephrasings stand between `Question:` and `Answer:`."""
    return text.removeprefix("Question: ").partition("\nAnswer:")[0]


def judged(same: np.ndarray, others: np.ndarray, goal: str) -> tuple[str, str, bool]:
    recall, false = float((same >= STEP.floor).mean()), float((others >= STEP.floor).mean())
    figure = f"at {STEP.floor}: recall {recall:.4f} of {len(same)}, false positives {false:.4f} of {len(others):,}"
    return figure, goal, recall >= 0.98 and false <= 0.06


def alone(hosts: Sequence[dict[str, Any]], items: Sequence[Item], some: Resources) -> Line:
    """Rows that meaning rejects without a judge: clean ones, and rephrased items."""
    encode = some.encoder().encode
    others = encode([item.text for item in items])
    copies = NgramIndex([item.text for item in items], STEP.ngram)
    texts = [row["instruction"] for row in hosts if copies.longest(row["instruction"]) is None]
    false = sum(
        int(((encode(texts[at : at + 512]) @ others.T).max(1) >= STEP.threshold).sum())
        for at in range(0, len(texts), 512)
    )
    recalls = [
        f"{name} {float((pairs(some, originals, file)[0] >= STEP.threshold).mean()):.3f}"
        for name, originals, file in (
            ("gsm8k", GSM8K, "rephrase_gsm8k_dev.jsonl"),
            ("algebra", ALGEBRA, "mmlu_abstract_algebra_rephrase_english.jsonl"),
        )
    ]
    share = false / len(texts)
    figure = (
        f"at {STEP.threshold}: {false} of {len(texts):,} clean rows rejected ({share:.2%}); recall {', '.join(recalls)}"
    )
    return "no judge", figure, "<= 0.2 % of clean rows", share <= 0.002
