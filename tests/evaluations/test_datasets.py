"""Reading BEIR folders: what is accepted, what is counted, and which line is named when it is refused."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from evaluations import datasets
from evaluations.datasets import load
from evaluations.datasets.checksums import checksum
from evaluations.errors import EvaluationError


def test_it_works(write_dataset):
    dataset = load(write_dataset())
    assert dataset.documents.ids == ["d1", "d2", "d3"]
    assert dataset.documents.texts[0] == "Wing lift of a swept wing"
    assert dataset.qrels == {"q1": {"d1": 1}, "q2": {"d2": 1, "d3": 2}}
    assert (dataset.name, dataset.split, dataset.self_hits) == ("tiny", "test", "keep")
    assert dataset.warnings == ()


def test_the_title_is_joined_by_one_space_and_the_whole_is_stripped(write_dataset):
    assert load(write_dataset()).documents.texts[1] == "boundary layer on a flat plate"


def test_only_the_judged_queries_of_the_split_count(write_dataset):
    assert set(load(write_dataset()).queries) == {"q1", "q2"}


@pytest.mark.parametrize("variant", [{"zipped": True}, {"line_end": "\r\n"}, {"header": False}])
def test_compression_line_ends_and_a_missing_header_change_nothing(write_dataset, variant):
    plain, other = load(write_dataset("plain")), load(write_dataset("other", **variant))
    assert other.checksums == plain.checksums
    assert other.qrels == plain.qrels
    assert list(other.documents.texts) == list(plain.documents.texts)


def test_the_order_of_lines_and_of_keys_does_not_change_the_checksums(write_dataset):
    plain = load(write_dataset("plain"))
    folder = write_dataset("other", qrels=(("q2", "d3", 2), ("q2", "d2", 1), ("q1", "d1", 1)))
    lines = (folder / "corpus.jsonl").read_text().splitlines()
    turned = [json.dumps(dict(reversed(json.loads(line).items()))) for line in reversed(lines)]
    (folder / "corpus.jsonl").write_text("\n".join(turned))
    assert load(folder).checksums == plain.checksums


def test_a_checksum_is_the_hash_of_the_sorted_hashes_of_all_records():
    """Of 20,000 some hashes begin with a byte 0, and some end with one."""
    records = [(f"d{number}", "wing", number) for number in range(20_000)]
    hashes = [hashlib.sha256(f'["d{number}","wing",{number}]'.encode()).digest() for number in range(20_000)]
    assert checksum(records) == hashlib.sha256(b"".join(sorted(hashes))).hexdigest()
    assert checksum([]) == hashlib.sha256(b"").hexdigest()


def test_one_changed_grade_changes_only_the_checksum_of_the_qrels(write_dataset):
    plain = load(write_dataset("plain"))
    other = load(write_dataset("other", qrels=(("q1", "d1", 1), ("q2", "d2", 1), ("q2", "d3", 1))))
    assert other.checksums.qrels != plain.checksums.qrels
    assert other.checksums.corpus == plain.checksums.corpus
    assert other.checksums.queries == plain.checksums.queries


def test_moving_a_word_from_the_text_to_the_title_changes_the_checksum_though_the_joined_text_is_equal(
    write_dataset,
):
    one = load(write_dataset("one", documents=[("d1", "a", "b c")], qrels=[("q1", "d1", 1)]))
    other = load(write_dataset("other", documents=[("d1", "a b", "c")], qrels=[("q1", "d1", 1)]))
    assert list(one.documents.texts) == list(other.documents.texts)
    assert one.checksums.corpus != other.checksums.corpus


def test_a_byte_order_mark_is_no_part_of_the_first_line(write_dataset):
    folder = write_dataset()
    for path in (folder / "corpus.jsonl", folder / "queries.jsonl", folder / "qrels" / "test.tsv"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(folder).qrels == {"q1": {"d1": 1}, "q2": {"d2": 1, "d3": 2}}


def test_a_dataset_without_corpus_loads_and_says_so(write_dataset):
    dataset = load(write_dataset(documents=None))
    assert dataset.documents is None
    assert dataset.document_count is None
    assert dataset.checksums.corpus is None


def test_leaving_out_the_texts_keeps_the_count_and_the_checksum(write_dataset):
    folder = write_dataset()
    without = load(folder, corpus=False)
    assert without.documents is None
    assert without.document_count == 3
    assert without.checksums == load(folder).checksums


def test_a_folder_without_qrels_has_all_its_queries_judged(write_dataset):
    dataset = load(write_dataset(qrels=None))
    assert set(dataset.queries) == {"q1", "q2", "q3"}
    assert dataset.qrels is None
    assert dataset.checksums.qrels is None


def test_empty_documents_are_kept_and_counted(write_dataset):
    dataset = load(write_dataset(documents=[("d1", "", "  "), ("d2", "", "x"), ("d3", "y", "")]))
    assert dataset.document_count == 3
    assert dataset.warnings == ("1 of 3 documents are empty; they are kept",)


def test_a_judged_query_without_text_stays_judged_and_is_warned_about(write_dataset):
    dataset = load(write_dataset(qrels=(("q1", "d1", 1), ("q9", "d1", 1))))
    assert "q9" in dataset.qrels
    assert "q9" not in dataset.queries
    assert dataset.warnings == ("1 judged queries have no text and score 0, such as q9",)


def test_a_judged_document_that_is_not_in_the_corpus_is_warned_about(write_dataset):
    dataset = load(write_dataset(qrels=(("q1", "d1", 1), ("q1", "d7", 1))))
    assert dataset.qrels["q1"] == {"d1": 1, "d7": 1}
    assert dataset.warnings == ("1 judged documents are not in the corpus, such as d7",)


def test_a_judgement_repeated_unchanged_counts_once(write_dataset):
    dataset = load(write_dataset("twice", qrels=(("q1", "d1", 1), ("q1", "d1", 1))))
    assert dataset.checksums.qrels == load(write_dataset("once", qrels=[("q1", "d1", 1)])).checksums.qrels
    assert "more than once" in dataset.warnings[0]


def test_negative_grades_are_kept(write_dataset):
    assert load(write_dataset(qrels=(("q1", "d1", 1), ("q1", "d2", -1)))).qrels["q1"]["d2"] == -1


def test_what_a_folder_declares_holds_until_the_caller_says_otherwise(write_dataset):
    folder = write_dataset(split="dev", declaration={"name": "a/b", "split": "dev", "self_hits": "remove"})
    dataset = load(folder)
    assert (dataset.name, dataset.split, dataset.self_hits) == ("a/b", "dev", "remove")
    assert load(folder, self_hits="keep").self_hits == "keep"


CORPUS_FAULTS = {
    "not JSON": b'{"_id": "d1", "text": \n',
    "an array": b'["d1", "text"]\n',
    "a number for an id": b'{"_id": 1, "text": "x"}\n',
    "no id": b'{"text": "x"}\n',
    "no text": b'{"_id": "d1", "title": "x"}\n',
    "an empty id": b'{"_id": "", "text": "x"}\n',
    "an id with a space": b'{"_id": "d 1", "text": "x"}\n',
    "an id with a NUL": b'{"_id": "d\\u0000", "text": "x"}\n',
    "a title that is a list": b'{"_id": "d1", "title": [], "text": "x"}\n',
    "half a surrogate pair": b'{"_id": "d1", "text": "\\ud800"}\n',
    "a huge id": b'{"_id": "' + b"d" * 2000 + b'", "text": "x"}\n',
    "JSON without end": b"[" * 100_000,
}


@pytest.mark.parametrize("fault", CORPUS_FAULTS)
def test_a_malformed_document_is_refused_with_its_file_and_line(write_dataset, fault):
    folder = write_dataset()
    (folder / "corpus.jsonl").write_bytes(b'{"_id": "fine", "text": "x"}\n\n' + CORPUS_FAULTS[fault])
    with pytest.raises(EvaluationError, match=r"^error\[DATASET-LINE\]: corpus.jsonl line 3: "):
        load(folder)


def test_latin_1_is_refused_with_its_line(write_dataset):
    folder = write_dataset()
    (folder / "queries.jsonl").write_bytes('{"_id": "q1", "text": "café"}\n'.encode("latin-1"))
    with pytest.raises(
        EvaluationError, match=r"error\[DATASET-ENCODING\]: queries.jsonl line 1: is not UTF-8"
    ):
        load(folder)


@pytest.mark.parametrize(("name", "line"), [("corpus.jsonl", 4), ("queries.jsonl", 4)])
def test_an_id_that_is_there_twice_is_refused(write_dataset, name, line):
    folder = write_dataset()
    first = (folder / name).read_text().splitlines()[0]
    with (folder / name).open("a") as stream:
        stream.write(first + "\n")
    with pytest.raises(EvaluationError, match=rf"{name} line {line}: .* was there before"):
        load(folder)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q1 d1 1", "1 columns"),
        ("q1\t0\td1\t1", "4 columns"),
        ("q1\td1\tyes", "grade 'yes' is not a whole number"),
        ("q1\td1\t1.0", "grade '1.0' is not a whole number"),
        ("q1\td1\t99999", "grade '99999' is not a whole number"),
        ("q1\td1\t²", "grade '²' is not a whole number"),
        ("\td1\t1", "id '' is empty"),
        ("q1\td1\t5", "grades d1 for query q1 again, with another grade"),
    ],
)
def test_a_malformed_judgement_is_refused_with_its_line(write_dataset, line, problem):
    folder = write_dataset()
    with (folder / "qrels" / "test.tsv").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(EvaluationError) as caught:
        load(folder)
    assert str(caught.value).startswith("error[DATASET-LINE]: test.tsv line 5: ")
    assert problem in str(caught.value)


def test_a_split_that_is_not_there_is_refused_with_those_that_are(write_dataset):
    with pytest.raises(EvaluationError, match=r"DATASET-SPLIT.*no qrels/dev.tsv; its splits: test"):
        load(write_dataset(), split="dev")


@pytest.mark.parametrize("split", ["../test", "/etc/passwd", "a b", ""])
def test_a_split_is_a_name_and_never_a_path(write_dataset, split):
    folder = write_dataset()
    if split:
        with pytest.raises(EvaluationError, match="DATASET-SPLIT"):
            load(folder, split=split)
    else:
        assert load(folder, split=split).split == "test"


def test_a_damaged_gzip_file_is_refused_by_name(write_dataset):
    folder = write_dataset(zipped=True)
    path = folder / "corpus.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(EvaluationError, match=r"error\[DATASET-FILE\]: corpus.jsonl.gz: cannot be read"):
        load(folder)


def test_two_forms_of_the_same_file_are_refused(write_dataset):
    folder = write_dataset()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(EvaluationError, match="keep one"):
        load(folder)


def test_queries_of_which_none_is_judged_are_refused(write_dataset):
    with pytest.raises(EvaluationError, match="DATASET-QUERIES"):
        load(write_dataset(qrels=[("q7", "d1", 1)]))


@pytest.mark.parametrize(
    "declaration",
    [{"self_hits": "maybe"}, {"name": "../x"}, {"name": "a b"}, {"split": 3}, {"self_hits": []}],
)
def test_a_declaration_that_makes_no_sense_is_refused(write_dataset, declaration):
    with pytest.raises(EvaluationError, match=r"DATASET-(DECLARATION|SELF-HITS)"):
        load(write_dataset(declaration=declaration))


def test_a_name_that_is_neither_folder_nor_registered_gets_a_hint():
    with pytest.raises(EvaluationError, match=r"DATASET-MISSING.*the registered name is beir/scifact"):
        load("scifact")


def test_a_file_is_no_dataset(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(EvaluationError, match="DATASET-MISSING"):
        load(tmp_path / "file")


def test_mini_is_built_in():
    dataset = load("mini")
    assert (dataset.name, dataset.split, dataset.self_hits) == ("mini", "test", "keep")
    assert dataset.document_count > 100
    assert dataset.warnings == ()


def test_the_registered_names_are_those_of_ir_datasets():
    import ir_datasets

    ids = {each.ir_datasets_id for each in datasets.REGISTERED.values() if each.ir_datasets_id}
    assert ids <= set(ir_datasets.registry._registered)


def test_benchmarks_list_what_is_registered_and_have_their_sizes():
    sizes = {"mini": 1, "beir-13": 13, "beir-15": 15, "beir-18": 18}
    for name, benchmark in datasets.BENCHMARKS.items():
        assert len(benchmark.datasets) == sizes[name]
        for dataset in benchmark.datasets:
            for part in benchmark.groups.get(dataset, (dataset,)):
                assert part in datasets.REGISTERED
    assert len(datasets.BENCHMARKS["beir-15"].groups["cqadupstack"]) == 12


def test_self_hits_are_removed_where_queries_are_documents_and_only_there():
    assert {name for name, each in datasets.REGISTERED.items() if each.self_hits == "remove"} == {
        "arguana",
        "quora",
    }


def test_msmarco_is_judged_on_dev_and_touche_is_version_2():
    assert datasets.REGISTERED["msmarco"].split == "dev"
    assert datasets.REGISTERED["webis-touche2020"].ir_datasets_id == "beir/webis-touche2020/v2"


def test_a_blind_folder_shows_which_queries_are_judged_and_no_grade(write_dataset, tmp_path):
    source = write_dataset(declaration={"name": "named", "self_hits": "remove"})
    full = datasets.write_blind(source, tmp_path / "blind")
    blind = load(tmp_path / "blind")
    assert not (tmp_path / "blind" / "qrels").exists()
    assert blind.queries == full.queries
    assert set(blind.queries) == {"q1", "q2"}
    assert blind.checksums.queries == full.checksums.queries
    assert blind.checksums.corpus == full.checksums.corpus
    assert (blind.name, blind.split, blind.self_hits) == ("named", "test", "remove")
    content = "".join(path.read_text() for path in (tmp_path / "blind").iterdir())
    assert "never judged" not in content


def test_a_blind_folder_of_a_dataset_without_corpus_has_none(write_dataset, tmp_path):
    datasets.write_blind(write_dataset(documents=None), tmp_path / "blind")
    assert sorted(path.name for path in (tmp_path / "blind").iterdir()) == ["dataset.json", "queries.jsonl"]


def test_a_blind_folder_is_never_written_over_another(write_dataset, tmp_path):
    source = write_dataset()
    datasets.write_blind(source, tmp_path / "blind")
    with pytest.raises(FileExistsError):
        datasets.write_blind(source, tmp_path / "blind")


def test_judged_queries_without_text_do_not_tear_the_checksums_apart(write_dataset, tmp_path):
    source = write_dataset(qrels=(("q1", "d1", 1), ("q9", "d1", 1)))
    full = datasets.write_blind(source, tmp_path / "blind")
    assert load(tmp_path / "blind").checksums.queries == full.checksums.queries


def test_scifact_has_300_judged_queries_of_1109(shared_data: Path):
    dataset = load(shared_data / "scifact", corpus=False)
    assert (dataset.document_count, len(dataset.queries), len(dataset.qrels)) == (5183, 300, 300)
    assert len((shared_data / "scifact" / "queries.jsonl").read_text().splitlines()) == 1109


def test_cranfield_has_two_empty_documents(shared_data: Path):
    assert load(shared_data / "cranfield").warnings == ("2 of 1400 documents are empty; they are kept",)
