import json
import sys

import pytest

from synth_llm.errors import InputError, MissingExtra
from synth_llm.models import pretrained


def load(name):
    return pretrained.load(str(name), revision="", device=None, dtype=None, languages=None)


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'synth-llm\[transformers\]'"):
        load(tmp_path)


def test_a_name_of_the_hub_becomes_a_folder_without_pickles(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: asked.append((a, k)) or str(tmp_path))
    assert pretrained.folder_of("org/name", "v1") == tmp_path
    ((name,), settings) = asked[0]
    assert (name, settings["revision"]) == ("org/name", "v1")
    assert "*.safetensors" in settings["allow_patterns"]
    assert not [pattern for pattern in settings["allow_patterns"] if "bin" in pattern]
    assert pretrained.folder_of(str(tmp_path), "v1") == tmp_path


@pytest.mark.parametrize("name", ["org/gone", "../up", "no such name"])
def test_a_name_that_is_nowhere_is_one_line(name):
    with pytest.raises(InputError, match=r"no folder .*, and the Hub does not give it: ") as error:
        pretrained.folder_of(name, "")
    assert "\n" not in str(error.value)


class Tokenizer:
    src_lang = "eng_Latn"
    all_special_tokens = ("<s>", "eng_Latn", "fra_Latn")

    def convert_tokens_to_ids(self, token):
        return self.all_special_tokens.index(token)


class Untranslated:
    class generation_config:
        forced_bos_token_id = None


def test_languages_are_those_of_the_tokenizer(tmp_path):
    tokenizer = Tokenizer()
    assert pretrained._language(Untranslated(), tokenizer, ("fra_Latn", "eng_Latn"), tmp_path) == 1
    assert tokenizer.src_lang == "fra_Latn"
    with pytest.raises(InputError, match=r"translate: this model has no language 'french'; known: eng_Latn, fra_Latn"):
        pretrained._language(Untranslated(), tokenizer, ("eng_Latn", "french"), tmp_path)


def test_an_adapter_needs_its_weights_as_safetensors(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    (tmp_path / "adapter_model.bin").write_bytes(b"pickled")
    with pytest.raises(InputError, match=r"no weights as \*\.safetensors"):
        pretrained.refuse_pickles(tmp_path, "adapter_model")
