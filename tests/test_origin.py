"""A recipe from the Hub: made again from its journal, gone on with, and held back from what a stranger must not do."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from synth_llm import Recipe, run
from synth_llm.errors import InputError, SynthError
from synth_llm.inputs import INPUTS, library
from synth_llm.mock import Mock
from synth_llm.publish.card import found_languages
from synth_llm.publish.hub import pull, push
from tests.hub_server import Hub, Repo, client, serving

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

RECIPE = """
about: Short reviews.
models:
  writer: {engine: openai, model: m, url: %s, max_tokens: 40}
source: {file: ../data/topics.jsonl, repeat: true}
steps:
  - generate: {prompt: mine/review, model: writer}
  - filter: {use: [length, {calm: {}}]}
target: {rows: 6}
limits: {requests: 200}
publish: {languages: [en]}  # to find them takes seconds
evaluate: {column: text, real: {file: ../data/secret_test.jsonl}}
"""
PROMPT = "{% include 'blocks/tone' %} Write a review of {{ topic }}.\n"
CALM = """
from synth_llm import Row, Verdict


def calm(row: Row, column: str = "text") -> Verdict:
    return Verdict("!!!" not in row[column], "shouts")
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as server, client(server.url):
        yield server


def made(root: Path, patch: pytest.MonkeyPatch) -> Path:
    """A project of its own prompts, filters and data, run once against an endpoint that is gone afterwards."""
    for folder in ("recipes", "prompts/mine", "prompts/blocks", "filters", "data"):
        (root / folder).mkdir(parents=True)
    with Mock() as mock:
        (root / "recipes/reviews.yaml").write_text(RECIPE % mock.url)
        (root / "prompts/mine/review.jinja").write_text(PROMPT)
        (root / "prompts/blocks/tone.jinja").write_text("Be kind.")
        (root / "filters/calm.py").write_text(CALM)
        (root / "data/topics.jsonl").write_text("".join(f'{{"topic": "{one}"}}\n' for one in ("bread", "a lamp")))
        (root / "data/secret_test.jsonl").write_text('{"text": "held out"}\n')
        patch.chdir(root)
        assert run("recipes/reviews.yaml", out="runs/reviews").complete
    return root


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return made(tmp_path / "project", monkeypatch)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], bytes]:
    """What a push of it puts on the Hub, and the bytes of what was kept; the project is gone."""
    root = tmp_path_factory.mktemp("there") / "project"
    with pytest.MonkeyPatch.context() as patch, serving() as server, client(server.url):
        made(root, patch)
        push(root / "runs/reviews", "someone/reviews")
        kept = (root / "runs/reviews/kept.parquet").read_bytes()
        shutil.rmtree(root)
        return server.repos["someone/reviews"].commits[-1], kept


@pytest.fixture
def elsewhere(
    pushed: tuple[dict[str, bytes], bytes], hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, bytes]:
    """An empty folder, and the dataset on the Hub. Returns its name and the bytes of what was kept."""
    hub.repos["someone/reviews"] = Repo(private=True, commits=[{}, pushed[0]])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return "hf://someone/reviews", pushed[1]


def test_a_push_brings_what_the_recipe_is_made_of(project: Path, hub: Hub) -> None:
    push(project / "runs/reviews", "someone/reviews")
    files = hub.repos["someone/reviews"].commits[-1]
    assert files["prompts/mine/review.jinja"].decode() == PROMPT
    assert files["prompts/blocks/tone.jinja"] == b"Be kind."
    assert files["filters/calm.py"].decode() == CALM
    assert files["inputs/0-topics.jsonl"] == (project / "data/topics.jsonl").read_bytes()
    assert json.loads(files[INPUTS])["files"].keys() == {"../data/topics.jsonl"}
    everything = b"".join(content for path, content in files.items() if not path.endswith((".parquet", ".sqlite")))
    assert b"held out" not in everything
    assert str(project).encode() not in everything


def test_what_was_edited_since_is_pushed_as_it_was_or_not_at_all(project: Path, hub: Hub) -> None:
    (project / "prompts/mine/review.jinja").write_text("Another prompt.")
    push(project / "runs/reviews", "someone/reviews")
    assert hub.repos["someone/reviews"].commits[-1]["prompts/mine/review.jinja"].decode() == PROMPT
    (project / "data/topics.jsonl").write_text('{"topic": "glue"}\n')
    with pytest.raises(InputError, match=r"input '../data/topics.jsonl' is not what the run read.*--no-inputs"):
        push(project / "runs/reviews", "someone/reviews")
    push(project / "runs/reviews", "someone/reviews", inputs=False)
    assert not [path for path in hub.repos["someone/reviews"].commits[-1] if path.startswith("inputs/")]


def test_it_is_made_again_byte_for_byte_without_a_model(elsewhere: tuple[str, bytes]) -> None:
    address, kept = elsewhere
    result = run(address, trust=True)
    assert result.complete
    assert result.path == Path("runs/reviews")
    assert (result.path / "kept.parquet").read_bytes() == kept
    assert result.manifest["spent"]["this run"]["requests"] == 0
    assert result.manifest["name"] == "reviews"
    again = run(address, trust=True)  # from what was fetched, into the same folder
    assert (again.path / "kept.parquet").read_bytes() == kept


def test_python_of_a_stranger_runs_only_when_trusted(
    elsewhere: tuple[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    address, kept = elsewhere
    mark = hashlib.sha256(CALM.encode()).hexdigest()[:16]
    with pytest.raises(InputError, match=rf"a filter of its own.*'calm' \(SHA-256 {mark}\).*--trust"):
        run(address)
    assert not list(Path().rglob("calm.py"))
    Path("filters").mkdir()
    Path("filters/calm.py").write_text(CALM + "# ours\n")
    assert (run(address).path / "kept.parquet").read_bytes() == kept
    assert "filter calm here is not the one" in caplog.text
    run(address, trust=True)
    assert f"filter calm of someone/reviews runs (SHA-256 {mark})" in caplog.text
    run(address)
    assert not list(Path("runs").rglob("calm.py"))


def test_more_of_it_asks_no_endpoint_that_it_names(elsewhere: tuple[str, bytes]) -> None:
    address, _ = elsewhere
    Path("filters").mkdir()
    Path("filters/calm.py").write_text(CALM)
    with pytest.raises(
        SynthError, match=r"asks model 'writer' at http://127.* --model writer=ENGINE:MODEL, or --trust"
    ):
        run(address, sets=["target.rows=9"])


def test_a_model_of_ours_goes_on_with_it(
    elsewhere: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address, _ = elsewhere
    Path("filters").mkdir()
    Path("filters/calm.py").write_text(CALM)
    with Mock() as mock:
        monkeypatch.setenv("OPENAI_API_KEY", "of-ours")
        monkeypatch.setattr("synth_llm.models.openai.URL", mock.url)
        result = run(address, sets=["target.rows=9"], models=["writer=openai:m"])
    assert result.stats["kept"] == 9
    assert 0 < result.manifest["spent"]["this run"]["requests"] < 9


@pytest.mark.parametrize("path", ["/etc/hostname", "../../../../../../secret.jsonl", "~/secret.jsonl"])
def test_it_reads_no_file_that_did_not_come_with_it(
    path: str, elsewhere: tuple[str, bytes], hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret.jsonl").write_text('{"topic": "mine"}\n')
    files = hub.repos["someone/reviews"].commits[-1]
    for name, old in (("recipe.yaml", "../data/topics.jsonl"), (INPUTS, "inputs/0-topics.jsonl")):
        hub.repos["someone/reviews"].commits.append(files | {name: files[name].replace(old.encode(), path.encode())})
        Path("filters").mkdir(exist_ok=True)
        Path("filters/calm.py").write_text(CALM)
        with pytest.raises(InputError, match="did not come with this recipe"):
            run("hf://someone/reviews")


def test_a_repository_without_a_run_is_one_line(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SynthError, match="someone/nothing"):
        run("hf://someone/nothing")
    with pytest.raises(InputError, match="names no owner"):
        run("hf://nothing")


def test_a_run_folder_finds_what_its_run_read(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    monkeypatch.setenv("SYNTH_LLM_PATH", str(project))
    result = run(
        project / "runs/reviews/recipe.yaml",
        out="again",
        journals=[project / "runs/reviews"],
        sets=["evaluate=null"],
    )
    assert result.manifest["spent"]["this run"]["requests"] == 0
    assert (result.path / "kept.parquet").read_bytes() == (project / "runs/reviews/kept.parquet").read_bytes()


def test_what_was_pulled_is_pushed_again_without_a_change(elsewhere: tuple[str, bytes], hub: Hub) -> None:
    before = hub.repos["someone/reviews"].commits[-1]
    folder = pull("someone/reviews", Path("pulled"))
    assert not push(folder, "someone/reviews").changed
    push(folder, "someone/copy")
    copy = hub.repos["someone/copy"].commits[-1]
    assert copy.keys() == before.keys()
    assert {path for path in copy if copy[path] != before[path]} == {"README.md"}
    assert b"hf://someone/copy" in copy["README.md"]


@pytest.mark.parametrize("path", ["prompts/../../../secret", "/etc/hostname", "data/secret"])
def test_a_list_of_inputs_names_prompts_and_filters_alone(path: str, tmp_path: Path) -> None:
    (tmp_path / INPUTS).write_text(json.dumps({"files": {}, "beside": [path]}))
    with pytest.raises(InputError, match="not a list of inputs"):
        library(tmp_path)


def test_the_card_says_what_made_it_and_how_to_make_it_again(project: Path, hub: Hub) -> None:
    terms = "Output may be used to train models that do not compete with the provider's."
    settings = {"license": "cc-by-4.0", "languages": ["en"], "terms": terms, "splits": {"test": 0.34}}
    run("recipes/reviews.yaml", out="runs/reviews", sets=[f"publish={json.dumps(settings)}"])
    push(project / "runs/reviews", "someone/reviews")
    _, head, body = hub.repos["someone/reviews"].commits[-1]["README.md"].decode().split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["license"] == "cc-by-4.0"
    assert [one["split"] for one in facts["configs"][0]["data_files"]] == ["train", "test"]
    assert {"name": "topic", "dtype": "string"} in facts["dataset_info"]["features"]
    assert "synth-llm run hf://someone/reviews" in body
    assert "[`prompts/mine/review.jinja`](prompts/mine/review.jinja)" in body
    assert terms in body
    assert "not verified" in body
    push(project / "runs/reviews", "someone/reviews", journal=False)
    assert "asks the models anew" in hub.repos["someone/reviews"].commits[-1]["README.md"].decode()


def test_languages_are_found_in_the_rows_and_a_licence_never_is(tmp_path: Path) -> None:
    texts = [
        "the river runs past the old bridge in the evening",
        "der Fluss fließt am Abend an der alten Brücke vorbei, und niemand sagt etwas dazu",
    ] * 3
    rows = [{"text": f"{text} {number}"} for number, text in enumerate(texts)]
    recipe = Recipe.model_validate({"source": {"rows": rows}, "steps": [{"map": {"drop": []}}]})
    result = run(recipe, out=tmp_path / "run")
    assert sorted(found_languages(result.path / "kept.parquet")) == ["de", "en"]
    assert "license" not in (result.path / "README.md").read_text().split("---")[1]
