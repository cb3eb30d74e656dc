"""Vectors kept from one evaluation to the next, and an evaluation that was killed halfway."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluations.datasets import Documents
from evaluations.datasets.texts import MappedTexts, TextStore
from evaluations.encoding.cache import SUFFIX, Identity, VectorCache
from evaluations.encoding.chunks import chunks
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system
from tests.evaluations.encoding import tiny_dense
from tests.evaluations.systems import tiny_mistral, tiny_sparse

ROOT = Path(__file__).parents[3]
TEXTS = [f"{word} of a {other}" for word in tiny_dense.WORDS for other in tiny_dense.WORDS]
ARRAYS = {"vectors": np.arange(12, dtype=np.float32).reshape(3, 4), "offsets": np.array([0, 1, 3])}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tiny_dense.one_of_each(tmp_path_factory.mktemp("cached")).bert


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("evaluations.encoding.chunks.CHUNK_TEXTS", 20)


def loaded(kind, folder, cache, *settings):
    runtime = Runtime("cpu", 1, cache)
    return KINDS[kind].load(parse_system(f"{kind}:{folder}", settings), runtime)


def indexed(kind, folder, cache, *settings, texts=TEXTS):
    system = loaded(kind, folder, cache, *settings)
    system.index(Documents([f"d{place}" for place in range(len(texts))], texts), Progress())
    return system


def kept(folder):
    return sorted(folder.glob(f"??/*{SUFFIX}"))


def equal(arrays, others):
    return arrays.keys() == others.keys() and all(
        arrays[name].dtype == others[name].dtype and (arrays[name] == others[name]).all() for name in arrays
    )


def test_what_was_put_is_got(tmp_path):
    cache = VectorCache(tmp_path, 10_000)
    assert cache.get("ab" * 32) is None
    cache.put("ab" * 32, ARRAYS)
    assert equal(VectorCache(tmp_path, 10_000).get("ab" * 32), ARRAYS)


@pytest.mark.parametrize("damage", ["a byte", "cut", "empty", "header"])
def test_a_damaged_file_is_removed_and_not_used(tmp_path, damage):
    cache = VectorCache(tmp_path, 10_000)
    cache.put("ab" * 32, ARRAYS)
    (path,) = kept(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "a byte":
        content[-3] ^= 1
    elif damage == "header":
        content[:400] = b"{" * 400
    path.write_bytes({"cut": content[:-5], "empty": b""}.get(damage, content))
    assert cache.get("ab" * 32) is None
    assert not path.exists()


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    cache = VectorCache(tmp_path, 1000)
    big = {"vectors": np.zeros(75, dtype=np.float32)}  # 300 bytes and a header
    for place, name in enumerate(("aa", "bb")):
        cache.put(name * 32, big)
        os.utime(kept(tmp_path)[place], (place, place))
    assert cache.get("aa" * 32) is not None
    cache.put("cc" * 32, big)
    assert [path.name[:2] for path in kept(tmp_path)] == ["aa", "cc"]
    assert sum(path.stat().st_size for path in kept(tmp_path)) <= 1000


def test_a_folder_that_cannot_be_written_to_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = VectorCache(tmp_path / "file", 1000)
    cache.put("ab" * 32, ARRAYS)
    assert cache.get("ab" * 32) is None


def test_an_option_of_one_side_leaves_the_other_sides_vectors():
    first = Identity({"kind": "dense"}, {"query_prompt": "a", "max_length": 3})
    second = replace(first, options={"query_prompt": "b", "max_length": 3})
    assert first.key("document", "t") == second.key("document", "t")
    assert first.key("query", "t") != second.key("query", "t")
    assert first.key("query", "t") != first.key("query", "u")
    assert first.modified("pruned").key("query", "t") != first.key("query", "t")


def test_a_querys_option_that_is_unset_may_be_the_documents():
    """As `query_template` of a decoder-only encoder is."""
    unset = Identity({}, {"document_template": "{text}", "query_template": None})
    other = replace(unset, options={**unset.options, "document_template": "say {text}"})
    assert unset.key("query", "t") != other.key("query", "t")
    own = [replace(each, options={**each.options, "query_template": "ask {text}"}) for each in (unset, other)]
    assert own[0].key("query", "t") == own[1].key("query", "t")
    assert own[0].key("document", "t") != own[1].key("document", "t")


def test_another_template_of_documents_finds_no_query_of_the_former(tmp_path):
    folder = tiny_mistral.speaking(tmp_path / "speaking")

    def query(template, cache):
        encoder = loaded("sparse", folder, cache, f"document_template={template}").encoder
        return encoder.vectors(["swept wing"], "query").toarray()

    once, twice = "say : {text}", "say : {text} again : {text}"
    first = query(once, tmp_path / "cache")
    second = query(twice, tmp_path / "cache")
    assert not np.array_equal(first, second)
    assert np.array_equal(second, query(twice, None))


def test_texts_that_join_to_the_same_have_other_checksums():
    (one,), (other,) = chunks(["ab", "c"]), chunks(["a", "bc"])
    assert one.checksum != other.checksum


def test_a_second_evaluation_encodes_nothing_and_finds_the_same(bert, tmp_path, small_chunks):
    first = indexed("dense", bert, tmp_path)
    second = indexed("dense", bert, tmp_path)
    assert (first.provenance()["texts_encoded"], first.provenance()["texts_from_cache"]) == (121, 0)
    assert (second.provenance()["texts_encoded"], second.provenance()["texts_from_cache"]) == (0, 121)
    assert first.document_vectors.tobytes() == second.document_vectors.tobytes()


@pytest.mark.parametrize(
    "settings", [["max_length=3"], ["dimensions=4"], ["precision=bf16"], ["document_prompt=a "]]
)
def test_another_setting_finds_none_of_them(bert, tmp_path, settings):
    indexed("dense", bert, tmp_path)
    assert indexed("dense", bert, tmp_path, *settings).provenance()["texts_from_cache"] == 0


def test_other_weights_find_none_of_them(bert, tmp_path):
    import shutil

    from safetensors.numpy import load_file, save_file

    indexed("dense", bert, tmp_path / "cache")
    other = shutil.copytree(bert, tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] *= 2
    save_file(tensors, other / "model.safetensors", metadata={"format": "pt"})
    assert indexed("dense", other, tmp_path / "cache").provenance()["texts_from_cache"] == 0


def test_a_damaged_chunk_alone_is_encoded_anew(bert, tmp_path, small_chunks):
    first = indexed("dense", bert, tmp_path)
    damaged = kept(tmp_path)[2]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    second = indexed("dense", bert, tmp_path)
    assert 0 < second.provenance()["texts_encoded"] <= 20
    assert first.document_vectors == pytest.approx(second.document_vectors, abs=1e-6)


def test_sparse_vectors_and_those_of_tokens_come_back_as_they_were(tmp_path, small_chunks):
    tiny = tiny_sparse.one_of_each_form(tmp_path / "models")
    texts = [*TEXTS[:50], "", *TEXTS[:5]]
    sparse = [indexed("sparse", tiny.plain, tmp_path / "s", texts=texts) for _ in range(2)]
    assert sparse[1].provenance()["texts_encoded"] == 0
    assert (sparse[0].document_vectors != sparse[1].document_vectors).nnz == 0
    late = [indexed("late-interaction", _colbert(tmp_path), tmp_path / "t", texts=texts) for _ in range(2)]
    assert late[1].provenance()["texts_encoded"] == 0
    first, second = (system.document_vectors for system in late)
    assert first.vectors.tobytes() == second.vectors.tobytes()
    assert (first.offsets == second.offsets).all()


def test_two_processes_at_once_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_many, args=(tmp_path,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(kept(tmp_path)) == 50
    assert all(equal(VectorCache(tmp_path, 10**6).get(f"{n:064x}"), ARRAYS) for n in range(50))


def _put_many(folder):
    cache = VectorCache(folder, 10**6)
    for number in range(50):
        cache.put(f"{number:064x}", ARRAYS)
        found = cache.get(f"{number:064x}")
        assert found is not None


KILLED = """
import sys
from pathlib import Path
import evaluations.encoding.chunks as chunks
from evaluations.encoding.encoder import Encoder
from tests.evaluations.encoding.test_cache import indexed

chunks.CHUNK_TEXTS = 20
original = Encoder._encoded

def slowly(self, chunk, side, advance):
    if self.counts.encoded == 60:
        print("three chunks", flush=True)
        sys.stdin.read()
    return original(self, chunk, side, advance)

Encoder._encoded = slowly
indexed("dense", sys.argv[1], Path(sys.argv[2]))
"""


def test_a_killed_evaluation_goes_on_at_the_chunk_it_had_reached(bert, tmp_path, small_chunks):
    whole = indexed("dense", bert, None)
    command = [sys.executable, "-c", KILLED, str(bert), str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "three chunks\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(kept(tmp_path)) == 3
    resumed = indexed("dense", bert, tmp_path)
    assert (resumed.provenance()["texts_from_cache"], resumed.provenance()["texts_encoded"]) == (60, 61)
    assert resumed.document_vectors == pytest.approx(whole.document_vectors, abs=1e-6)


def test_what_a_killed_writer_left_is_swept_once_it_is_old(tmp_path):
    cache = VectorCache(tmp_path, 100)
    cache.put("ab" * 32, ARRAYS)
    left = tmp_path / "ab" / ".writing-1"
    left.write_bytes(b"x" * 1000)
    young = tmp_path / "ab" / ".writing-2"
    young.write_bytes(b"x")
    old = time.time() - 7200
    os.utime(left, (old, old))
    VectorCache(tmp_path, 100).put("cd" * 32, ARRAYS)
    assert (left.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("kind", ["dense", "late-interaction"])
def test_vectors_that_would_take_too_much_memory_go_to_a_file(
    bert, tmp_path, small_chunks, monkeypatch, kind
):
    folder = bert if kind == "dense" else _colbert(tmp_path)
    texts = [*TEXTS, *TEXTS[:30]]
    there = indexed(kind, folder, None, texts=texts).document_vectors
    monkeypatch.setattr("evaluations.encoding.assembly._is_large", lambda _: True)
    mapped = indexed(kind, folder, tmp_path / "cache", texts=texts).document_vectors
    plain, from_file = (there, mapped) if kind == "dense" else (there.vectors, mapped.vectors)
    assert isinstance(from_file, np.memmap)
    assert plain.tobytes() == from_file.tobytes()


@pytest.mark.parametrize("kind", ["dense", "sparse", "late-interaction"])
def test_texts_in_a_file_are_encoded_as_those_in_memory(bert, tmp_path, small_chunks, monkeypatch, kind):
    texts = [*TEXTS[:50], "", *TEXTS[:5], ""]
    folder = {"dense": bert, "late-interaction": _colbert(tmp_path)}.get(kind)
    folder = folder or tiny_sparse.one_of_each_form(tmp_path / "models").plain
    in_memory = indexed(kind, folder, tmp_path / "cache", texts=texts)
    monkeypatch.setattr("evaluations.datasets.texts.IN_MEMORY_BYTES", 0)
    store = TextStore()
    for text in texts:
        store.append(text)
    mapped = store.finished()
    assert isinstance(mapped, MappedTexts)
    in_file = indexed(kind, folder, tmp_path / "cache", texts=mapped)
    assert in_file.provenance()["texts_encoded"] == 0  # chunks, and so their names in the cache, are equal
    assert in_file.provenance()["texts_from_cache"] == 51
    assert list(in_file.document_ids) == list(in_memory.document_ids)


def _colbert(tmp_path):
    from tests.evaluations.systems.test_late_interaction import encoder

    folder = tmp_path / "colbert"
    if not folder.exists():
        plain = tiny_dense._bert(tmp_path / "plain-bert")
        encoder(plain, document_length=24).save(str(folder), safe_serialization=True)
    return folder
