"""`synth-llm doctor`: what is here, and the command for what is not."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from synth_llm import doctor, installed
from synth_llm.cli import main
from synth_llm.errors import InputError
from synth_llm.models import ENGINES


def test_every_engine_and_extra_is_looked_at() -> None:
    found = doctor.findings()
    assert {one.what for one in found["engines"]} == set(ENGINES)
    declared = set(metadata.metadata("synth-llm").get_all("Provides-Extra") or ())
    assert {one.what for one in found["extras"]} == declared - {"dev"}


def nowhere(name: str) -> Path:
    raise InputError(f"no {name}")


def test_what_is_missing_is_one_command_away(monkeypatch: pytest.MonkeyPatch) -> None:
    known = installed._version
    monkeypatch.setattr(installed, "_version", lambda name: None if name in {"xllamacpp"} else known(name))
    monkeypatch.setattr("synth_llm.models.weights.locate", nowhere)
    found = {name: {one.what: one for one in some} for name, some in doctor.findings().items()}
    assert not found["engines"]["local"].works
    assert found["engines"]["local"].said.startswith("pip install 'synth-llm[local]'  (lacks xllamacpp")
    assert found["engines"]["function"].works
    assert "xllamacpp" in doctor.extras()["all"], "an extra lacks what the extras in it lack"
    weights = found["weights"]["all-minilm-l6-v2"]
    assert not weights.works and weights.said.startswith("synth-llm fetch all-minilm-l6-v2")


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "synth-llm" in said.splitlines()[0] and "engines" in said and "OPENAI_API_KEY" in said
