"""What the kind sparse refuses: heads that a library would make up, dense vectors, idle settings."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from evaluations.errors import EvaluationError
from tests.evaluations.systems.tiny_sparse import IDF, loaded


def refusal(folder, *settings):
    with pytest.raises(EvaluationError) as caught:
        loaded(folder, *settings)
    return str(caught.value)


def test_a_length_beyond_the_models_positions_is_refused(tiny):
    assert "OPTION-RANGE" in refusal(tiny.siamese, "max_length=33")
    assert "OPTION-RANGE" in refusal(tiny.router, "max_length=33")


def test_nearly_dense_vectors_are_refused_with_the_number(copy):
    folder = copy("plain")
    tensors = load_file(folder / "model.safetensors")
    bias = tensors["cls.predictions.decoder.bias"]
    for name in ("cls.predictions.decoder.bias", "cls.predictions.bias"):
        tensors[name] = np.full_like(bias, 1.0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert "VECTORS-DENSE" in refusal(folder)
    assert "17.0 of 17 dimensions (100%)" in refusal(folder)


def test_a_large_corpus_of_dense_vectors_is_refused_by_a_sample(copy, monkeypatch):
    from evaluations.encoding.encoder import Encoder

    folder = copy("plain")
    tensors = load_file(folder / "model.safetensors")
    for name in ("cls.predictions.decoder.bias", "cls.predictions.bias"):
        tensors[name] = np.full_like(tensors[name], 1.0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setattr(Encoder, "blocks", counted(Encoder.blocks))
    documents = {f"d{place}": f"{'wing ' * (place % 7)}heat" for place in range(300)}
    with pytest.raises(EvaluationError, match="VECTORS-DENSE"):
        loaded(folder, documents=documents)
    assert counted.texts == 32


def counted(original):
    """`blocks` that notes of how many texts it was asked for vectors."""
    counted.texts = 0

    def blocks(self, texts, side, advance):
        counted.texts += len(texts)
        return original(self, texts, side, advance)

    return blocks


@pytest.mark.parametrize("part", ["transform.dense.weight", "decoder.weight"])
def test_a_head_that_is_not_whole_in_the_file_is_refused_before_loading_or_by_it(copy, part):
    folder = copy("siamese")
    tensors = load_file(folder / "model.safetensors")
    del tensors[f"cls.predictions.{part}"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    found = refusal(folder)
    assert found.startswith("error[HEAD-MISSING]")
    assert f"cls.predictions.{part}" in found


@pytest.mark.parametrize("name", ["encoder.weight", "latent_bias"])
def test_an_autoencoder_that_is_not_in_the_file_is_refused(copy, name):
    folder = copy("autoencoder")
    inner = folder / "2_SparseAutoEncoder" / "model.safetensors"
    tensors = load_file(inner)
    for each in list(tensors):
        if each == name or (name == "encoder.weight" and each == "decoder.linear.weight"):
            del tensors[each]
    save_file(tensors, inner)
    assert refusal(folder).startswith("error[HEAD-MISSING]")


def test_an_autoencoder_without_its_file_is_refused(copy):
    folder = copy("autoencoder")
    (folder / "2_SparseAutoEncoder" / "model.safetensors").unlink()
    assert refusal(folder).startswith("error[HEAD-MISSING]")


def test_a_plain_encoder_would_get_a_random_autoencoder_and_is_refused(tiny):
    assert refusal(tiny.headless).startswith("error[HEAD-MISSING]: the model declares no sparse head")


def test_a_dense_model_would_get_a_random_autoencoder_and_is_refused(copy):
    folder = copy("siamese")
    settings = folder / "config_sentence_transformers.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "model_type": "SentenceTransformer"}))
    assert refusal(folder).startswith("error[HEAD-MISSING]: the model declares no sparse head")


def test_an_idf_file_beside_a_model_without_a_head_is_refused(copy):
    folder = copy("headless")
    (folder / "idf.json").write_text(json.dumps(IDF))
    assert refusal(folder, "activation=relu").startswith("error[HEAD-MISSING]")


def test_an_idf_file_alone_does_not_say_its_activation(tiny):
    assert refusal(tiny.idf).startswith("error[OPTION-MISSING]")


@pytest.mark.parametrize(
    "content",
    [
        [], {}, {"wing": "3"}, {"wing": float("inf")}, {"wing": float("nan")}, {"wing": 1e39},
        {"wing": -1e39}, {"wing": 10**400}, {"elsewhere": 1.0},
    ],
)  # fmt: skip
def test_an_idf_file_of_anything_but_weights_is_refused(copy, content):
    folder = copy("idf")
    (folder / "idf.json").write_text(json.dumps(content))
    assert refusal(folder, "activation=relu").startswith("error[IDF-WEIGHTS]: idf.json")


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("siamese", "activation=relu"),
        ("plain", "document_template={text} {text}"),
        ("router", "query_template={text}"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(tiny, name, setting):
    assert refusal(getattr(tiny, name), setting).startswith("error[OPTION-UNUSED]")


def test_pickled_weights_of_a_routers_side_are_refused(copy):
    folder = copy("router")
    inner = next(folder.glob("query_*"))
    (inner / "model.safetensors").rename(inner / "pytorch_model.bin")
    assert refusal(folder).startswith("error[MODEL-WEIGHTS]")
