"""A corpus' texts in a file: the same texts, whatever is done with them, and little memory."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluations.datasets import load, texts
from evaluations.datasets.texts import MappedTexts, TextStore, in_batches
from evaluations.errors import EvaluationFailed
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.systems.parse import parse_system

ROOT = Path(__file__).parents[3]
ODD = ["", "wing", "\u03b1\U0001f600", "wing", "", "half a pair \ud83d", "a\x00b\r\n\u2028", ""]


@pytest.fixture
def always_a_file(monkeypatch):
    monkeypatch.setattr(texts, "IN_MEMORY_BYTES", 0)


def stored(given_texts):
    store = TextStore()
    for text in given_texts:
        store.append(text)
    return store.finished()


def test_few_texts_stay_a_list():
    assert stored(ODD) == ODD
    assert isinstance(stored(ODD), list)


def test_a_file_gives_back_every_text(always_a_file):
    found = stored(ODD)
    assert isinstance(found, MappedTexts)
    assert len(found) == len(ODD)
    assert list(found) == ODD
    assert [found[place] for place in range(-len(ODD), len(ODD))] == ODD * 2
    assert found[np.int64(2)] == ODD[2]


@pytest.mark.parametrize("place", [8, -9])
def test_a_place_beyond_the_texts_is_an_index_error(always_a_file, place):
    with pytest.raises(IndexError):
        stored(ODD)[place]


def test_texts_without_a_character_can_be_in_a_file(always_a_file):
    assert list(stored(["", ""])) == ["", ""]


def test_texts_move_to_the_file_when_they_have_become_large(monkeypatch):
    monkeypatch.setattr(texts, "IN_MEMORY_BYTES", 1000)
    few, many = ["wing" * 100] * 2, [f"{number} wing" for number in range(40)]
    assert isinstance(stored(few), list)
    assert isinstance(stored(few + many), MappedTexts)
    assert list(stored(few + many)) == few + many


every_character = st.characters(codec=None, exclude_categories=())


@given(
    st.lists(st.text(every_character), min_size=1),
    st.slices(12),
)
def test_slices_are_those_of_a_list(given_texts, piece):
    before, texts.IN_MEMORY_BYTES = texts.IN_MEMORY_BYTES, 0
    try:
        found = stored(given_texts)
    finally:
        texts.IN_MEMORY_BYTES = before
    assert isinstance(found, MappedTexts)
    assert found[piece] == given_texts[piece]


def test_pages_are_let_go_and_read_again(always_a_file, monkeypatch):
    monkeypatch.setattr(texts, "RESIDENT_BYTES", 1 << 17)
    large = [f"{number} wing" * (number % 7 * 5000) for number in range(60)]
    found = stored(large)
    order = np.random.default_rng(0).permutation(60).tolist()
    assert [found[place] for place in order] == [large[place] for place in order]
    assert list(found) == large


def test_a_file_that_cannot_be_written_says_what_to_do(always_a_file, monkeypatch):
    monkeypatch.setattr(texts, "scratch_file", lambda: open("/dev/full", "w+b"))  # noqa: SIM115
    with pytest.raises(EvaluationFailed, match=r"No space left on device; make room .* TMPDIR") as raised:
        stored(["wing"])
    assert raised.value.code == "SCRATCH"


def test_nothing_is_left_where_temporary_files_go(always_a_file, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = stored(ODD)
    assert not list(tmp_path.iterdir())
    assert list(found) == ODD


def test_a_mapping_ends_with_its_texts(always_a_file):
    def mapped():
        return Path("/proc/self/maps").read_text().count("(deleted)")

    gc.collect()
    before = mapped()
    found = stored(ODD)
    assert mapped() == before + 1
    del found
    gc.collect()
    assert mapped() == before


def test_a_folder_read_into_a_file_is_the_same_dataset(write_dataset, always_a_file):
    documents = [("d1", "Wing", " lift "), ("d2", "", ""), ("d3", "\u03b1", "\U0001f600"), ("d4", "A", "b")]
    dataset = load(write_dataset(documents=documents))
    assert isinstance(dataset.documents.texts, MappedTexts)
    assert list(dataset.documents.texts) == ["Wing  lift", "", "\u03b1 \U0001f600", "A b"]
    assert dataset.documents.ids == ["d1", "d2", "d3", "d4"]
    assert dataset.warnings == ("1 of 4 documents are empty; they are kept",)


def test_batches_are_full_or_end_before_a_text_that_is_too_much():
    found = in_batches(["aa", "b", "", "cccc", "dddddd", "e"], most=3, characters=5)
    assert list(found) == [["aa", "b", ""], ["cccc"], ["dddddd"], ["e"]]
    assert list(in_batches([], 3, 5)) == []


def run_of(dataset, system):
    system.index(dataset.documents, Progress())
    run = system.retrieve(dataset.queries, 100, Progress())
    return {query: (list(found.document_ids), found.scores.tobytes()) for query, found in run.lists.items()}


def test_bm25_finds_the_same_in_a_corpus_that_is_in_a_file(monkeypatch):
    spec = parse_system("bm25")
    dataset = load("mini")
    whole = run_of(dataset, KINDS["bm25"].load(spec, Runtime("cpu", 1)))
    assert isinstance(dataset.documents.texts, list)
    monkeypatch.setattr(texts, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("evaluations.systems.bm25_terms.BATCH_CHARACTERS", 10_000)
    dataset = load("mini")
    assert isinstance(dataset.documents.texts, MappedTexts)
    assert run_of(dataset, KINDS["bm25"].load(spec, Runtime("cpu", 1))) == whole


READING = """
import sys
from pathlib import Path
from evaluations.datasets import load, texts
from evaluations.encoding.chunks import chunks
from evaluations.sparsity.sample import chosen

def peak():  # not ru_maxrss, which begins with that of the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

texts.IN_MEMORY_BYTES = texts.RESIDENT_BYTES = 4 << 20
before = peak()
documents = load(sys.argv[1]).documents
read = sum(len(text) for chunk in chunks(documents.texts) for text in chunk.texts)
sampled = chosen(documents.texts, 32)
batched = sum(map(len, texts.in_batches(documents.texts, 4096, 4 << 20)))
print(type(documents.texts).__name__, read, len(sampled), batched, (peak() - before) * 1024)
"""


def test_a_corpus_larger_than_the_memory_given_to_it_is_read_and_cut_into_chunks(write_dataset):
    """100 MB of texts, in a process of its own: at most 4 MiB of texts and 4 MiB of the file are held, beside
    a batch, or a chunk, of 4 million characters. The rest is room for the interpreter."""
    folder = write_dataset(qrels=[("q1", "d1", 1)])
    block = "lift of a swept wing, " * 4500  # 99,000 characters
    with (folder / "corpus.jsonl").open("w") as stream:
        for number in range(1000):
            stream.write(f'{{"_id": "d{number}", "text": "{number:06d} {block}"}}\n')
    command = [sys.executable, "-c", READING, str(folder)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    characters = 1000 * (7 + 99_000 - 1)  # the last blank is stripped
    assert found[:4] == ["MappedTexts", str(characters), "32", "1000"]
    assert int(found[4]) < 40e6
