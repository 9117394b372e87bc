"""`synth-llm evaluate`, and the section `evaluate` of a recipe: what is printed, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth_llm import cli
from synth_llm.recipe import load_recipe, recipe_schema
from tests.evaluation import ROWS, counted, write

__all__ = ["counted"]

RECIPE = """\
source: {file: made.jsonl}
steps:
  - filter: {use: [{length: {min_words: 1}}]}
evaluate:
  real: real.jsonl
  test: {file: test.jsonl}
  gate: {tstr: ">= 0.7"}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, counted) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("made", "real", "test"):
        write(tmp_path / f"{name}.jsonl")
    (tmp_path / "lines.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def synth(capfd):
    def run(*args: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit:
            cli.main(list(args))
        said = capfd.readouterr()
        assert "Traceback" not in said.out + said.err
        return int(exit.value.code or 0), said.out, said.err

    return run


def test_it_prints_figures_what_was_left_out_and_where_the_rest_is(synth):
    code, out, _ = synth("evaluate", "made.jsonl", "--real", "real.jsonl", "--test", "test.jsonl")
    assert code == 0
    assert "tstr" in out and "bias: left out: it needs groups" in out
    assert "in runs/made-evaluation: results.md" in out
    assert json.loads(Path("runs/made-evaluation/results.json").read_text())["figures"]["tstr"]["value"] == 0.75


@pytest.mark.parametrize(
    ("conditions", "code", "line"),
    [
        (["tstr>=0.7"], 0, ""),
        (["tstr>=0.8", "near_copies==0"], 4, "gate: tstr is 0.75, wanted >=0.8"),
        (["tstr low >= 0.7"], 4, "gate: tstr is low end 0.6, wanted low >= 0.7"),
    ],
)
def test_a_gate_that_is_not_passed_is_exit_code_4(synth, conditions, code, line):
    gates = [part for one in conditions for part in ("--gate", one)]
    got, out, _ = synth("evaluate", "made.jsonl", "--test", "test.jsonl", *gates)
    assert got == code and line in out and ("gate:" in out) == bool(line)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--gate", "tstrr>=1"], "evaluate.gate: no figure 'tstrr'; did you mean 'tstr'?"),
        (["--gate", "mauve>=1"], "gate: 'mauve' is a figure of fidelity, which needs real rows: --real FILE"),
        (["--gate", "tstr"], "--gate tstr: write it as 'tstr>=0.8'"),
        (["--gate", "tstr>=much"], "'>=much' is no condition"),
        (["--real", "gone.jsonl"], "gone.jsonl: no such file or folder"),
        (["--student", "prob"], "no student 'prob'; did you mean 'probe'?"),
        (["--label", "lable"], "made: no column 'lable'; did you mean 'label'?"),
        (["--parts", "diversity,privat"], "evaluate.parts.1: input should be 'diversity'"),
        (["--set", "evaluate.seed=3"], "no setting 'seed'; did you mean 'seeds'?"),
        (["--set", "evaluate.seeds=0"], "evaluate.seeds: input should be greater than or equal to 1, not 0"),
        (["--rename", "text"], "--rename text: write it as name=value"),
        (["--split", "test"], "--split is for datasets"),
        (["--ablate"], "ablation needs a run folder as its data"),
        (["--with", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_any_work(synth, counted, args, said):
    code, out, err = synth("evaluate", "made.jsonl", *args)
    assert (code, out, counted) == (2, "", [])
    assert said in err and err.count("\n") == 1


def test_a_part_that_fails_is_exit_code_2_after_the_others(synth, here):
    write(here / "real.jsonl", ROWS[:1])
    code, out, _ = synth("evaluate", "made.jsonl", "--real", "real.jsonl")
    assert code == 2
    assert "fidelity: failed: real: too few rows" in out and "near_copies" in out


def test_columns_by_other_names(synth, here):
    write(here / "theirs.jsonl", [{"sentence": row["text"], "class": row["label"]} for row in ROWS])
    renamed = ["--rename", "sentence=text", "--rename", "class=label"]
    code, _, _ = synth("evaluate", "theirs.jsonl", *renamed, "--test", "test.jsonl", "--out", "out")
    assert code == 0
    code, _, _ = synth(
        "evaluate", "made.jsonl", "--real", "theirs.jsonl", "--set", "evaluate.real.rename.sentence=text"
    )
    assert code == 0


def test_a_run_whose_recipe_says_so_is_evaluated(synth):
    code, out, _ = synth("run", "lines.yaml")
    assert code == 0
    assert out.index("6 kept") < out.index("tstr") < out.index("runs/lines/evaluation: results.md")
    assert "| tstr | 0.75 |" in Path("runs/lines/README.md").read_text()
    assert synth("run", "lines.yaml", "--set", "evaluate.gate.tstr='>= 0.8'")[0] == 4


def test_an_incomplete_run_is_not_evaluated(synth, counted):
    code, out, _ = synth("run", "lines.yaml", "--limit", "3")
    assert code == 3 and "not evaluated: the run is incomplete" in out and not counted


def test_a_run_folder_brings_its_settings_and_the_command_line_overrides_them(synth):
    synth("run", "lines.yaml")
    code, out, _ = synth("evaluate", "runs/lines", "--gate", "tstr>=0.9")
    assert code == 4 and "gate: tstr is 0.75, wanted >=0.9" in out
    assert synth("evaluate", "runs/lines", "--ablate")[0] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  seed: 3", "lines.yaml:8: no setting 'seed'; did you mean 'seeds'?"),
        ("  holdout: {fil: x}", "lines.yaml:8: no setting 'fil'; did you mean 'file'?"),
        ("  column: sentence", "lines.yaml:8: evaluate.column: no column 'sentence' after the last step"),
        ("  holdout: gone.jsonl", "lines.yaml:8: evaluate.holdout: no file or folder 'gone.jsonl'"),
        ("  baselines: [reel]", "lines.yaml:8: evaluate.baselines.0: input should be"),
    ],
)
def test_errors_of_the_section_name_file_and_line(synth, here, line, said):
    (here / "lines.yaml").write_text(f"{RECIPE}{line}\n")
    code, _, err = synth("check", "lines.yaml")
    assert code == 2 and said in err


def test_the_section_is_checked_by_the_schema(here):
    import jsonschema_rs

    schema = recipe_schema()
    valid = jsonschema_rs.validator_for(schema)
    value = load_recipe(here / "lines.yaml")[1].value
    assert valid.is_valid(value)
    assert not valid.is_valid({**value, "evaluate": {"real": 3}})
    assert not valid.is_valid({**value, "evaluate": {"reel": "real.jsonl"}})
    shown = schema["$defs"]["Evaluate"]["properties"]
    assert all(setting.get("description") for setting in shown.values())
