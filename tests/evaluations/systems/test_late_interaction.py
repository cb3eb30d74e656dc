"""Late interaction: tiny ColBERT models made here, scored by a float64 loop in the test."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from evaluations.datasets import Documents
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.systems import tiny_bert

WORDS = ["wing", "swept", "lift", "heat", "layer", "boundary", "flow", "of", "a", ".", "q", "d", "##s"]
DOCUMENTS = {
    "d1": "swept wing",
    "d2": "boundary layer . flow",
    "d3": "heat flow of a wing",
    "d4": "swept wing",
    "d5": "",
}
QUERY = "wing of a layer"
WIDTH = 12


def encoder(folder, **settings):
    """What a person makes with sentence-transformers: transformer, projection, mask, length one."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from torch import nn

    transformer = Transformer(str(folder), **settings)
    hidden = transformer.get_embedding_dimension()
    projection = Dense(
        hidden, WIDTH, bias=False, activation_function=nn.Identity(), module_input_name="token_embeddings"
    )
    modules = [
        transformer,
        projection,
        MultiVectorMask(["."]),
        Normalize(module_input_name="token_embeddings"),
    ]
    return MultiVectorEncoder(modules=modules, prompts={"query": "q ", "document": "d "}, device="cpu")


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """A BERT of a few thousand random parameters."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("late-bert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    config = BertConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def colbert(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colbert")
    encoder(backbone, document_length=24).save(str(folder), safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def expanding(backbone, tmp_path_factory):
    """As ColBERT: queries are filled up with [MASK] to eight tokens, which score too."""
    folder = tmp_path_factory.mktemp("expanding")
    expansion = {"strategy": "fixed", "attend": False, "length": 8}
    encoder(backbone, query_expansion=expansion).save(str(folder), safe_serialization=True)
    return folder


@pytest.fixture
def copy(colbert, tmp_path):
    return shutil.copytree(colbert, tmp_path / "copy")


def loaded(folder, *settings, documents=DOCUMENTS):
    system = KINDS["late-interaction"].load(
        parse_system(f"late-interaction:{folder}", settings), Runtime(device="cpu", threads=1)
    )
    system.index(Documents(list(documents), list(documents.values())), Progress())
    return system


def retrieved(system, text=QUERY, depth=10):
    ranked = system.retrieve({"q": text}, depth, Progress()).lists["q"]
    return dict(zip(ranked.document_ids, ranked.scores.tolist(), strict=True))


def refusal(folder, *settings):
    with pytest.raises(EvaluationError) as caught:
        loaded(folder, *settings)
    return str(caught.value)


def by_loop(folder, text=QUERY, documents=DOCUMENTS):
    """The sum over the query's vectors of the best product, in float64, of what the library gives."""
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(folder), device="cpu", local_files_only=True)
    query = model.encode_query([text], convert_to_numpy=True)[0].astype(np.float64)
    found = {}
    for key, document in documents.items():
        vectors = model.encode_document([document], convert_to_numpy=True)[0].astype(np.float64)
        found[key] = sum(max(float(one @ other) for other in vectors) for one in query)
    return found


def test_it_works(colbert):
    found = retrieved(loaded(colbert))
    expected = by_loop(colbert)
    assert found == pytest.approx(expected, rel=1e-5)
    assert list(found) == sorted(expected, key=lambda key: (round(expected[key], 5), key), reverse=True)


@pytest.mark.parametrize("folder", ["colbert", "expanding"])
def test_a_single_query_timed_finds_what_the_run_holds(folder, request):
    system = loaded(request.getfixturevalue(folder))
    path = system.query_path(10, threads=1)
    found = path.search(path.encode(path.tokenise(QUERY)))
    expected = retrieved(system)
    assert [system.document_ids[row] for row in found.rows] == list(expected)
    assert found.scores.tolist() == pytest.approx(list(expected.values()), rel=1e-6)
    assert (path.encoder, path.index) == ("neural", "multi-vector")
    system.encode_documents(["swept wing"])
    held = system.document_vectors
    assert sum(array.nbytes for array in system.build_index(1)) > held.vectors.nbytes + held.offsets.nbytes


def test_scores_by_hand(tmp_path):
    """Each token is 4 at its word's place of 17 and -1/4 at the others.

    Its product with itself is 16 + 16/16 = 17, with another -2 + 15/16 = -17/16; of length one 1 and -1/16.
    """
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    transformer = Transformer(str(tiny_bert.backbone(tmp_path / "backbone")))
    skipped = MultiVectorMask(["[CLS]", "[SEP]"], skiplist_tasks=["query", "document"])
    modules = [transformer, skipped, Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, device="cpu").save(str(tmp_path / "model"), safe_serialization=True)
    system = loaded(tmp_path / "model", documents={"d1": "swept wing", "d2": "heat", "none": ""})
    assert retrieved(system, "wing lift") == pytest.approx({"d1": 1 - 1 / 16, "d2": -2 / 16}, abs=1e-5)
    assert system.sparsity().metrics["document_vectors_mean"] == 1.0  # 2, 1 and 0


def test_equal_texts_have_equal_scores_and_their_ids_decide_also_at_the_cut(colbert):
    system = loaded(colbert)
    found = retrieved(system, "swept wing")
    assert found["d1"] == found["d4"]
    assert list(found)[:2] == ["d4", "d1"]
    assert list(retrieved(system, "swept wing", depth=1)) == ["d4"]


def test_several_queries_keep_their_places(colbert):
    queries = {"a": "wing", "b": "heat flow of a boundary layer", "c": "wing"}
    run = loaded(colbert).retrieve(queries, 10, Progress())
    for key, text in queries.items():
        found = dict(zip(run.lists[key].document_ids, run.lists[key].scores.tolist(), strict=True))
        assert found == pytest.approx(by_loop(colbert, text), rel=1e-5)


def test_words_of_the_skip_list_keep_no_vector_in_documents(colbert):
    system = loaded(colbert, documents={"with": "wing . lift", "without": "wing lift"})
    assert np.diff(system.document_vectors.offsets).tolist() == [5, 5]  # [CLS], d, wing, lift, [SEP]


def test_queries_that_are_filled_up_are_scored_with_what_fills_them(expanding):
    system = loaded(expanding)
    assert retrieved(system) == pytest.approx(by_loop(expanding), rel=1e-5)
    assert system.sparsity().metrics["query_vectors_mean"] == 8.0
    assert system.provenance()["query_length"] == 8


def test_the_length_that_queries_are_filled_up_to_can_be_set(expanding):
    system = loaded(expanding, "query_length=6")
    retrieved(system)
    assert system.sparsity().metrics["query_vectors_mean"] == 6.0


def test_longest_texts_can_be_shortened_on_each_side(colbert):
    documents = {"long": "wing " * 30}
    system = loaded(colbert, documents=documents)
    assert len(system.document_vectors.vectors) == 24  # as the model has it
    system = loaded(colbert, "max_length=7", "query_length=5", documents=documents)
    retrieved(system, "heat " * 20)
    assert (len(system.document_vectors.vectors), len(system.query_vectors.vectors)) == (7, 5)


@pytest.mark.parametrize("option", ["max_length", "query_length"])
def test_a_length_beyond_the_models_positions_is_refused(colbert, option):
    assert refusal(colbert, f"{option}=65") == (
        f"error[OPTION-RANGE]: option {option}: 65 is more than the model's 64 positions"
    )


def test_prompts_are_the_models_and_can_be_replaced(colbert):
    own = retrieved(loaded(colbert))
    assert retrieved(loaded(colbert, "query_prompt=q ", "document_prompt=d ")) == own
    assert retrieved(loaded(colbert, "query_prompt=heat ")) != own
    assert retrieved(loaded(colbert, "document_prompt=heat ")) != own


def test_a_model_trained_with_the_mean_is_scored_with_it(copy, colbert):
    path = copy / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "similarity_fn_name": "meanmaxsim"}))
    vectors = len(["[CLS]", "q", "wing", "of", "a", "layer", "[SEP]"])
    expected = {key: score / vectors for key, score in by_loop(colbert).items()}
    assert retrieved(loaded(copy)) == pytest.approx(expected, rel=1e-5)


def test_bf16_is_near_fp32_and_not_it(colbert):
    fp32, bf16 = retrieved(loaded(colbert)), retrieved(loaded(colbert, "precision=bf16"))
    assert fp32 != bf16
    assert bf16 == pytest.approx(fp32, rel=0.05)


def test_vectors_and_bytes_a_document_are_reported(colbert):
    system = loaded(colbert, documents={"d1": "wing", "d2": "swept wing lift"})
    retrieved(system, "heat")
    vectors = len(["[CLS]", "d", "wing", "[SEP]"]) + len(["[CLS]", "d", "swept", "wing", "lift", "[SEP]"])
    index_bytes = vectors * WIDTH * 4 + 3 * 8  # and where each document begins, and the last ends
    stored = sum(
        tensor.size for path in colbert.rglob("*.safetensors") for tensor in load_file(path).values()
    )
    found = system.sparsity().metrics
    expected = {
        "parameters": stored,
        "active_parameters": stored,
        "query_vectors_mean": len(["[CLS]", "q", "heat", "[SEP]"]),
        "dimensions": WIDTH,
        "bytes_per_vector": 4 * WIDTH,
        "document_vectors_mean": vectors / 2,
        "bytes_per_document_mean": index_bytes / 2,
        "index_bytes": index_bytes,
    }
    assert {name: found[name] for name in expected} == expected
    assert 1 <= found["effective_rank"] <= WIDTH


def test_progress_counts_every_text_once(colbert):
    counts = []

    class Counting(Progress):
        def advanced(self, count):
            counts.append(count)

    system = KINDS["late-interaction"].load(parse_system(f"late-interaction:{colbert}"), Runtime(threads=1))
    system.index(Documents(list(DOCUMENTS), list(DOCUMENTS.values())), Counting())
    assert sum(counts) == len(DOCUMENTS)


def test_a_plain_transformer_has_no_projection(backbone):
    """sentence-transformers appends a random one."""
    assert refusal(backbone).startswith(
        "error[HEAD-MISSING]: 1 tensors are not in the model's files and would be random: 1.linear.weight"
    )


def test_a_projection_without_its_file_is_missing(copy):
    [path] = copy.glob("1_*/model.safetensors")
    path.unlink()
    assert refusal(copy).startswith("error[HEAD-MISSING]")


def test_a_projection_that_is_not_the_files_is_missing(copy):
    [path] = copy.glob("1_*/model.safetensors")
    save_file({"other": np.zeros((WIDTH, 16), dtype=np.float32)}, path)
    assert refusal(copy).startswith("error[HEAD-MISSING]")


def test_a_tensor_of_the_transformer_that_would_be_random_is_refused(copy):
    path = copy / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    assert "HEAD-MISSING" in refusal(copy)
    assert "encoder.layer.1.output.dense.weight" in refusal(copy)


def test_a_dense_encoder_is_not_scored_as_something_else(backbone, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    transformer = Transformer(str(backbone))
    modules = [transformer, Pooling(16), Dense(16, WIDTH)]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / "dense"))
    assert refusal(tmp_path / "dense") == (
        "error[MODEL-KIND]: dense pools its vectors into one: it is a dense encoder; submit it as dense"
    )


def stanford(backbone, folder, *, head=True):
    """As Stanford's ColBERT stores itself: one file, the projection beside the transformer."""
    shutil.copytree(backbone, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    if head:
        random = np.random.default_rng(0)
        tensors["linear.weight"] = random.standard_normal((WIDTH, 16)).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "artifact.metadata").write_text(json.dumps({"query_maxlen": 9, "doc_maxlen": 20}))
    return folder


def test_stanfords_form_is_loaded_with_its_projection_and_lengths(backbone, tmp_path):
    folder = stanford(backbone, tmp_path / "stanford")
    system = loaded(folder, documents={"d1": "wing " * 40})
    assert retrieved(system) == pytest.approx(by_loop(folder, documents={"d1": "wing " * 40}), rel=1e-5)
    assert (system.document_vectors.vectors.shape, len(system.query_vectors.vectors)) == ((20, WIDTH), 9)
    assert "artifact.metadata" in system.files


def test_stanfords_form_without_its_projection_is_refused(backbone, tmp_path):
    assert refusal(stanford(backbone, tmp_path / "stanford", head=False)) == (
        "error[HEAD-MISSING]: the projection linear.weight is not in the model's files; store them"
    )


def test_pylates_class_of_projection_is_taken_and_no_other(copy, colbert):
    path = copy / "modules.json"
    ours = path.read_text()
    path.write_text(
        ours.replace("sentence_transformers.base.modules.dense.Dense", "pylate.models.Dense.Dense")
    )
    assert "pylate" in path.read_text()
    assert retrieved(loaded(copy)) == retrieved(loaded(colbert))
    path.write_text(ours.replace("sentence_transformers.base.modules.dense.Dense", "pylate.models.Other"))
    assert refusal(copy).startswith("error[MODEL-CODE]: modules.json imports pylate.models.Other")


def test_a_model_of_nan_fails_by_name(copy):
    [path] = copy.glob("1_*/model.safetensors")
    save_file({name: np.full_like(each, np.nan) for name, each in load_file(path).items()}, path)
    with pytest.raises(EvaluationFailed, match="VECTORS"):
        retrieved(loaded(copy))
