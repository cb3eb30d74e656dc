"""Every kind's way of a single query finds what the kind's run holds, by the same scores."""

import numpy as np
import pytest

from evaluations.datasets import Documents
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.abilities import Timed
from evaluations.systems.parse import parse_system
from tests.evaluations.systems import tiny_bert, tiny_sparse

DOCUMENTS = tiny_sparse.DOCUMENTS
QUERIES = {"q1": "swept wing lift", "q2": "heat flow", "q3": "wing wing", "q4": "boundary of a plate"}
TEN = 10


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tiny_sparse.one_of_each_form(tmp_path_factory.mktemp("sparse"))


def indexed(system, *settings):
    spec = parse_system(system, settings)
    loaded = KINDS[spec.kind].load(spec, Runtime(device="cpu", threads=1))
    loaded.index(Documents(list(DOCUMENTS), list(DOCUMENTS.values())), Progress())
    return loaded


def assert_path_equals_run(system, *, exactly=True):
    path = system.query_path(TEN, threads=1)
    run = system.retrieve(QUERIES, TEN, Progress())
    for query_id, text in QUERIES.items():
        found, expected = path.search(path.encode(path.tokenise(text))), run.lists[query_id]
        assert [system.document_ids[row] for row in found.rows] == list(expected.document_ids)
        assert found.scores == pytest.approx(expected.scores, rel=0 if exactly else 1e-5)
    return path


@pytest.mark.parametrize("form", ["plain", "siamese", "autoencoder"])
def test_a_learned_sparse_query_goes_through_its_model(folders, form):
    path = assert_path_equals_run(indexed(f"sparse:{getattr(folders, form)}"), exactly=False)
    assert (path.encoder, path.index) == ("neural", "sparse")


def test_an_inference_free_query_is_a_look_up(folders):
    path = assert_path_equals_run(indexed(f"sparse:{folders.router}"))
    assert (path.encoder, path.index) == ("table", "sparse")
    assert path.encode(path.tokenise("wing of no lift")).weights.tolist() == [3.0, 2.5]


def test_an_inference_free_query_keeps_its_prompt_and_its_length(folders):
    system = indexed(f"sparse:{folders.router}", "query_prompt=lift ", "max_length=2")
    path = assert_path_equals_run(system)
    assert path.encode(path.tokenise("wing")).weights.tolist() == [3.0, 2.5]
    assert len(path.encode(path.tokenise("heat wing")).weights) == 1  # the wing is beyond the length


def test_a_bare_idf_file_is_a_look_up_too(folders):
    path = assert_path_equals_run(indexed(f"sparse:{folders.idf}", "activation=relu"))
    assert path.encoder == "table"


def test_a_dense_query_goes_through_its_model(minilm):
    system = indexed(f"dense:{minilm}")
    path = assert_path_equals_run(system, exactly=False)
    assert (path.encoder, path.index, path.precision) == ("neural", "dense", "fp32")


def test_a_static_embedding_of_queries_is_a_look_up(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_bert.masked_lm(tmp_path / "bert") / "tokenizer.json"))
    weights = np.random.default_rng(0).standard_normal((tokenizer.get_vocab_size(), 8), dtype=np.float32)
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")
    model.save_pretrained(str(tmp_path / "static"))
    path = assert_path_equals_run(indexed(f"dense:{tmp_path / 'static'}"), exactly=False)
    assert (path.encoder, path.index) == ("table", "dense")


@pytest.mark.parametrize("form", ["plain", "router"])
def test_a_sparse_index_built_anew_is_the_one_that_is_searched(folders, form):
    system = indexed(f"sparse:{getattr(folders, form)}")
    for built, held in zip(system.build_index(1), system._index.arrays, strict=True):
        assert (built == held).all()
    system.encode_documents(["swept wing"])
    assert_path_equals_run(system, exactly=False)  # as before


def test_every_kind_with_the_latency_track_has_a_way_to_time():
    timed = [name for name, kind in KINDS.items() if "latency" in kind.tracks]
    assert set(timed) == set(KINDS) - {"run"}
    assert isinstance(indexed("bm25"), Timed)
