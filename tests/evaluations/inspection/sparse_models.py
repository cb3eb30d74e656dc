"""Files of sparse encoders by their names and headers alone: no weight in them means anything."""

import json

from tests.evaluations.hostile import forging

HEAD = "cls.predictions.transform.dense.weight"  # of BertForMaskedLM
LIBRARY = "sentence_transformers.sparse_encoder.models."


def weights(*names):
    """Tensors of 5 by 4."""
    header = {name: forging.tensor([5, 4], 80 * at, 80 * at + 80) for at, name in enumerate(names)}
    return forging.safetensors(header, b"\0" * 80 * len(names))


def config(architecture="BertForMaskedLM", model_type="bert", **more):
    named = {"architectures": [architecture], "model_type": model_type}
    return json.dumps({**json.loads(forging.CONFIG), **named, **more}).encode()


def plain(*tensors, **settings):
    """Without modules.json."""
    return {**forging.MODEL, "config.json": config(**settings), "model.safetensors": weights("w", *tensors)}


def saved(second, *tensors):
    """A SparseEncoder of a transformer and a second module."""
    modules = [forging.MODULES[0], {"idx": 1, "name": "1", "path": f"1_{second}", "type": LIBRARY + second}]
    return {
        **plain(*tensors),
        "modules.json": json.dumps(modules).encode(),
        "config_sentence_transformers.json": b'{"model_type": "SparseEncoder"}',
        f"1_{second}/config.json": b"{}",
    }


def sharded(*tensors):
    index = {"weight_map": dict.fromkeys(("w", *tensors), "model-1.safetensors")}
    files = plain(*tensors)
    files["model-1.safetensors"] = files.pop("model.safetensors")
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


WHOLE = {
    "splade": saved("SpladePooling", HEAD),
    "plain": plain(HEAD),
    "sharded": sharded(HEAD),
    "causal": plain("lm_head.weight", architecture="MistralForCausalLM", model_type="mistral",
                    tie_word_embeddings=False),
    "tied": plain(architecture="MistralForCausalLM", model_type="mistral", tie_word_embeddings=True),
    "other": plain(architecture="OtherForMaskedLM", model_type="other"),
    "autoencoder": {**saved("SparseAutoEncoder"), "1_SparseAutoEncoder/model.safetensors": weights("w")},
}  # fmt: skip
FORMS = {"splade": "modules", "plain": "masked", "sharded": "masked", "causal": "causal", "tied": "causal",
         "other": "masked", "autoencoder": "modules"}  # fmt: skip
NO_HEAD = {
    "dense": ({**forging.MODEL, "modules.json": json.dumps(forging.MODULES[:1]).encode()}, "no sparse head"),
    "bare": (forging.MODEL, "no sparse head"),
    "splade-without": (saved("SpladePooling"), f"tensor {HEAD} is not in its files"),
    "plain-without": (plain(), f"tensor {HEAD} is not in its files"),
    "sharded-without": (sharded(), f"tensor {HEAD} is not in its files"),
    "causal-without": (plain(architecture="MistralForCausalLM", model_type="mistral",
                             tie_word_embeddings=False), "tensor lm_head.weight is not"),
    "autoencoder-without": (saved("SparseAutoEncoder"), "1_SparseAutoEncoder/model.safetensors with"),
    "static-without": (saved("SparseStaticEmbedding"), "1_SparseStaticEmbedding/model.safetensors with"),
}  # fmt: skip
