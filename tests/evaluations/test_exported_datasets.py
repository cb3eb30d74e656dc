"""ir_datasets names become BEIR folders once. The source is a real ir_datasets object over local files."""

import pytest

from evaluations.datasets import REGISTERED, exported, load
from evaluations.errors import EvaluationFailed

ARGUANA = REGISTERED["arguana"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSEBOARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    """Three local TSV files as ir_datasets sees them."""
    import ir_datasets
    from ir_datasets.formats import TrecQrels, TsvDocs, TsvQueries
    from ir_datasets.util import Cache, LocalDownload

    (tmp_path / "docs.tsv").write_text("d1\tswept wing\nq1\tthe query itself\n")
    (tmp_path / "queries.tsv").write_text("q1\twing\n")
    (tmp_path / "qrels.txt").write_text("q1 0 d1 1\n")

    def local(name):
        return Cache(LocalDownload(tmp_path / name, mkdir=False), tmp_path / name)

    return ir_datasets.Dataset(
        TsvDocs(local("docs.tsv")), TsvQueries(local("queries.tsv")), TrecQrels(local("qrels.txt"), {})
    )


def test_it_works(cache, source):
    folder = exported.exported_folder(ARGUANA, load=lambda _: source)
    dataset = load(folder)
    assert dict(dataset.queries) == {"q1": "wing"}
    assert dataset.documents.ids == ["d1", "q1"]
    assert dataset.qrels == {"q1": {"d1": 1}}
    assert (dataset.name, dataset.split, dataset.self_hits) == ("arguana", "test", "remove")


def test_the_registered_name_reads_the_cache_and_asks_ir_datasets_no_more(cache, source):
    exported.exported_folder(ARGUANA, load=lambda _: source)
    assert load("beir/arguana").self_hits == "remove"


def test_it_asks_for_the_registered_id(cache, source):
    asked = []
    exported.exported_folder(REGISTERED["msmarco"], load=lambda name: asked.append(name) or source)
    assert asked == ["beir/msmarco/dev"]


def test_an_export_that_breaks_off_leaves_nothing_behind(cache, source):
    class BreaksOff:
        docs_iter = source.docs_iter

        def queries_iter(self):
            raise OSError("connection reset")

    with pytest.raises(
        EvaluationFailed, match=r"error\[DATASET-DOWNLOAD\]: beir/arguana could not be fetched"
    ):
        exported.exported_folder(ARGUANA, load=lambda _: BreaksOff())
    assert list((cache / "datasets").iterdir()) == []


def test_another_process_that_was_faster_wins(cache, source):
    class Slow:
        docs_iter, queries_iter = source.docs_iter, source.queries_iter

        def qrels_iter(self):
            exported.exported_folder(ARGUANA, load=lambda _: source)
            return source.qrels_iter()

    folder = exported.exported_folder(ARGUANA, load=lambda _: Slow())
    assert load(folder).document_count == 2
    assert [path.name for path in (cache / "datasets").iterdir()] == [folder.name]


def test_no_network_is_a_failure_of_ours_and_no_traceback(cache, monkeypatch):
    def away(_):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(exported, "_ir_dataset", away)
    with pytest.raises(EvaluationFailed, match=r"DATASET-DOWNLOAD.*no route to host"):
        load("beir/scifact")
