"""A causal language model of a few thousand parameters with a word-level tokeniser that begins with <s>."""

import json

WORDS = (
    "again",
    ":",
    "wing",
    "swept",
    "lift",
    "heat",
    "layer",
    "boundary",
    "flow",
    "plate",
    "of",
    "a",
    "say",
)
VOCABULARY = ("<unk>", "<s>", "</s>", *WORDS)
SIZE = len(VOCABULARY)  # 16, and as many hidden dimensions: an embedding can be one-hot
BEGIN = VOCABULARY.index("<s>")
OWN = 0.5  # what the head of the silent model gives a word for itself


def term(word):
    return VOCABULARY.index(word)


def silent(folder, **config):
    """Attention and MLP add nothing, embeddings are one-hot; RMSNorm makes a word 4 at its place, else 0.

    The head is OWN times the identity, so a token's logits are 2 at its own word and 0 elsewhere.
    """
    import torch

    model = _model(**config)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(SIZE))
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.copy_(OWN * torch.eye(SIZE))
    return _saved(model, folder)


def speaking(folder, **config):
    """Random weights, with attention that matters; the head knows a quarter of the words."""
    import torch

    torch.manual_seed(0)
    model = _model(**config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.3)
        for layer in model.model.layers:
            layer.input_layernorm.weight.fill_(1.0)
            layer.post_attention_layernorm.weight.fill_(1.0)
        model.model.norm.weight.fill_(1.0)
        if not model.config.tie_word_embeddings:
            model.lm_head.weight[4:] = 0
    return _saved(model, folder)


def adapter(folder, names, *, rank=2, alpha=8, seed=1, **config):
    """Writes a LoRA adapter beside the model, as peft does; returns each module's A and B."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(folder)
    pairs = {}
    for name in names:
        out, into = model.get_submodule(name).weight.shape
        pairs[name] = (
            torch.randn(rank, into, generator=generator) * 0.3,
            torch.randn(out, rank, generator=generator) * 0.3,
        )
    tensors = {}
    for name, (down, up) in pairs.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = down
        tensors[f"base_model.model.{name}.lora_B.weight"] = up
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "bias": "none"}
    settings["base_model_name_or_path"] = "org/another-model"
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **config}))
    return pairs


def _model(**config):
    from transformers import MistralConfig, MistralForCausalLM

    settings = {
        "vocab_size": SIZE, "hidden_size": SIZE, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "tie_word_embeddings": False, "bos_token_id": BEGIN, "eos_token_id": BEGIN + 1, "rms_norm_eps": 1e-12,
    }  # fmt: skip
    return MistralForCausalLM(MistralConfig(**{**settings, **config})).eval()


def _saved(model, folder):
    model.save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def _tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BEGIN), ("</s>", BEGIN + 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
