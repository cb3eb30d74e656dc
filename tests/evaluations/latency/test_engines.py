"""Approximate engines: their recall and time beside the exact search, and that none is needed."""

import sys
import time
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

from evaluations.datasets import Documents, load
from evaluations.latency.approximate import measure_engines, recall, withheld
from evaluations.latency.engines import ENGINES
from evaluations.latency.engines.base import Engine, Served
from evaluations.latency.harness import empty_path
from evaluations.latency.schedule import Schedule
from evaluations.progress import Progress
from evaluations.search.dense import DenseIndex
from evaluations.search.found import Found, SparseQuery
from evaluations.search.order import id_ranks
from evaluations.systems import KINDS, Runtime
from evaluations.tracks import Findings

TEXTS = [f"query {number}" for number in range(30)]
SHORT = Schedule(block_s=0.0)


def found(*rows):
    return Found(np.array(rows, dtype=np.int64), np.zeros(len(rows), dtype=np.float32))


def engine(build, module="json", parameters=None):
    return Engine("stand-in", module, "numpy", parameters or {"effort": 3}, build)


def exact_path():
    """Finds 0 to 9 in two milliseconds, whatever is asked."""
    return replace(empty_path(), search=lambda _: time.sleep(0.002) or found(*range(10)))


def measured(build, **others):
    engines = {"sparse": (engine(build, **others),)}
    return measure_engines(exact_path(), lambda: "the vectors", TEXTS, 10, SHORT, engines).details["engines"]


def test_it_works():
    given = []

    def build(vectors, k, threads):
        given.append((vectors, k))
        time.sleep(0.2)
        return Served(lambda _: time.sleep(0.0005) or found(*range(5), *range(20, 25)), 1234)

    (shown,) = measured(build)
    assert given == [("the vectors", 10)]
    assert shown["recall@10"] == 0.5
    assert shown["search_latency_p50_ms"] < shown["exact_search_latency_p50_ms"]
    assert shown["exact_search_latency_p50_ms"] == pytest.approx(2.1, abs=0.3)
    assert shown["index_build_s"] == pytest.approx(0.2, rel=0.3)
    assert (shown["index_disk_bytes"], shown["parameters"]) == (1234, {"effort": 3})
    assert shown["version"] == np.__version__


def test_an_engine_that_is_not_installed_is_left_out_and_nothing_is_made_for_it():
    def never():
        raise AssertionError("vectors are large: they are not made for nobody")

    engines = {"sparse": (engine(None, module="no_such_module_anywhere"),)}
    assert measure_engines(exact_path(), never, TEXTS, 10, SHORT, engines).details["engines"] == []


def test_an_engine_that_fails_is_left_out_with_why_and_the_others_go_on():
    class PanicException(BaseException):
        """As a Rust library's, which is no Exception."""

    def raising(error):
        def build(vectors, k, threads):
            raise error

        return build

    def sound(vectors, k, threads):
        return Served(lambda _: found(*range(10)), 1)

    engines = {
        "sparse": (
            replace(engine(raising(ValueError("component 65536 exceeds the type"))), name="broken"),
            replace(engine(raising(PanicException("index out of bounds"))), name="panicking"),
            engine(sound),
        )
    }
    details = measure_engines(exact_path(), list, TEXTS, 10, SHORT, engines).details
    assert [each["engine"] for each in details["engines"]] == ["stand-in"]
    assert details["engines_failed"] == {
        "broken": "ValueError: component 65536 exceeds the type",
        "panicking": "PanicException: index out of bounds",
    }


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_not_an_engines_failure(ending):
    def build(vectors, k, threads):
        raise ending

    with pytest.raises(ending):
        measured(build)


def test_an_engine_of_another_package_has_the_version_that_its_module_tells():
    assert Engine("hnsw", "numpy", "no-such-package-anywhere", {}, None).version == np.__version__
    assert Engine("hnsw", "os.path", "no-such-package-anywhere", {}, None).version == "unknown"


def test_figures_of_a_machine_that_was_not_well_are_left_out():
    details = withheld(Findings(details={"engines": [{"recall@10": 1.0}]}), "busy").details
    assert details == {"engines": [], "engines_withheld": "busy"}


class SeismicModule(ModuleType):
    """A stand-in that writes down which of its forms were used."""

    def __init__(self):
        super().__init__("seismic")
        self.used = []
        for name in ("SeismicDataset", "SeismicDatasetLV", "SeismicIndex", "SeismicIndexLV"):
            setattr(self, name, self._form(name))

    def _form(self, name):
        def used(*_, **__):
            self.used.append(name)
            return SimpleNamespace(add_documents_by_id=lambda *_: None, save=lambda *_: None)

        return type(name, (), {"__new__": used, "build_from_dataset": used})

    def get_seismic_string(self):
        return "U30"


@pytest.mark.parametrize(("terms", "suffix"), [(65_535, ""), (65_536, "LV")])
def test_terms_that_do_not_fit_sixteen_bits_are_given_to_the_form_for_large_vocabularies(
    monkeypatch, terms, suffix
):
    module = SeismicModule()
    monkeypatch.setitem(sys.modules, "seismic", module)
    ENGINES["sparse"][0].build(csr_array((3, terms), dtype=np.float32), 10, 1)
    assert module.used == [f"SeismicDataset{suffix}", f"SeismicIndex{suffix}"]


def test_seismic_finds_terms_beyond_sixteen_bits():
    pytest.importorskip("seismic", reason="pyseismic-lsr is not installed")
    terms = np.array([0, 65_535, 65_536, 69_999])
    # document i is one term of weight i + 1, and document 4 all of them of weight 1
    rows, columns = [0, 1, 2, 3, 4, 4, 4, 4], [*terms, *terms]
    weights = np.array([1, 2, 3, 4, 1, 1, 1, 1], dtype=np.float32)
    documents = csr_array((weights, (rows, columns)), shape=(5, 70_000))
    search = ENGINES["sparse"][0].build(documents, 2, 1).search
    first = search(SparseQuery(np.array([65_536], dtype=np.int32), np.array([1.0], dtype=np.float32)))
    assert (first.rows.tolist(), first.scores.tolist()) == ([2, 4], [3.0, 1.0])


def test_recall_is_over_what_the_exact_search_found():
    exact = [found(1, 2, 3, 4), found(), found(7)]
    assert recall(exact, [found(4, 3, 9, 8), found(5), found(7, 8)]) == pytest.approx((0.5 + 1.0) / 2)


def test_hnsw_finds_nearly_what_the_exact_search_finds():
    pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    generator = np.random.default_rng(0)
    documents, queries = (generator.standard_normal((rows, 32), dtype=np.float32) for rows in (3000, 30))
    index = DenseIndex.build(documents, id_ranks([f"{row:04}" for row in range(3000)]))
    path = replace(
        empty_path(), tokenise=lambda text: int(text.split()[1]), encode=lambda row: queries[row : row + 1],
        search=lambda query: index.search(query, 10, 1)[0], index="dense",
    )  # fmt: skip
    (shown,) = measure_engines(path, lambda: documents, TEXTS, 10, SHORT).details["engines"]
    assert shown["recall@10"] > 0.9
    assert shown["index_disk_bytes"] > documents.nbytes
    served = ENGINES["dense"][0].build(documents, 10, 1).search(queries[:1])
    exact = {row: float(queries[0] @ documents[row]) for row in served.rows.tolist()}
    assert served.scores.tolist() == pytest.approx(list(exact.values()), rel=1e-5)


def test_seismic_finds_nearly_what_the_exact_search_finds(capfd):
    pytest.importorskip("seismic", reason="pyseismic-lsr is not installed")
    mini = load("mini")
    system = KINDS["bm25"].load(KINDS["bm25"].spec(), Runtime())
    system.index(Documents(mini.documents.ids, mini.documents.texts), Progress())
    texts = list(dict.fromkeys(mini.queries.values()))
    path = system.query_path(10, 1)
    (shown,) = measure_engines(path, lambda: system.document_vectors, texts, 10, SHORT).details["engines"]
    assert shown["recall@10"] > 0.7
    assert shown["index_disk_bytes"] > 0
    assert capfd.readouterr().out == ""  # a worker reads JSON lines there
    query = path.encode(path.tokenise(texts[0]))
    exact = path.search(query)
    served = ENGINES["sparse"][0].build(system.document_vectors, 10, 1).search(query)
    assert served.scores[0] == pytest.approx(exact.scores[0], rel=1e-2)  # it stores weights in 16 bits
