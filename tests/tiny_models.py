"""Models of a few thousand random weights, made on the spot in the form that fine-tuning leaves behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXTS = [
    "Name an animal: a cat or a dog.",
    "The river runs to the sea.",
    "A hammer is a tool.",
    "äöü 🎬 {} [] 0123456789",
]
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


def tokenizer(folder: Path, template: str | None = TEMPLATE, special: tuple[str, ...] = ()) -> Any:
    """A byte-level tokenizer of 300 and some tokens; with an end after each text where there is no template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<s>", "</s>", "<pad>", *special]
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    if template is None:
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    whole = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    whole.chat_template = template
    whole.save_pretrained(folder)
    return whole


def causal(folder: Path, template: str | None = TEMPLATE, **settings: Any) -> Path:
    """A Llama with a context of 128 tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    vocabulary = len(tokenizer(folder, template))
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = LlamaConfig(
        vocab_size=vocabulary, max_position_embeddings=128, initializer_range=0.5, **sizes, **ends, **settings
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def seq2seq(folder: Path) -> Path:
    """A T5."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    vocabulary = len(tokenizer(folder, None))
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=vocabulary,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        pad_token_id=2,
        eos_token_id=1,
        decoder_start_token_id=2,
        initializer_factor=5.0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def encoder(folder: Path) -> Path:
    """A BERT that reads 64 tokens."""
    import torch
    from transformers import BertConfig, BertModel

    vocabulary = len(tokenizer(folder, None))
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=vocabulary, max_position_embeddings=64, pad_token_id=2, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


def translator(folder: Path) -> Path:
    """An M2M100 with the tokenizer of NLLB, which knows its languages."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = {name: at for at, name in enumerate(["<s>", "<pad>", "</s>", "<unk>", "▁", *letters])}
    tokens = NllbTokenizer(vocab=vocabulary, merges=[])
    tokens.save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = M2M100Config(
        vocab_size=len(tokens), d_model=16, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64, **sizes
    )
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def adapter(folder: Path, base: Path) -> Path:
    """A LoRA adapter on a causal model, with weights that change what it says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_pretrained(base)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(folder)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    return folder
