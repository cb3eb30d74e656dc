"""Throughput, load, an index's making and size, on systems whose answers are known."""

import io
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from evaluations.datasets import load
from evaluations.latency.harness import empty_path
from evaluations.latency.memory import peak_card_bytes, peak_host_bytes
from evaluations.latency.throughput import (
    DOCUMENTS,
    Plan,
    client_counts,
    disk_bytes,
    measure_throughput,
    withheld,
)
from evaluations.progress import Progress
from evaluations.systems import KINDS, Runtime
from evaluations.tracks import Findings

PLAN = Plan(closed_s=0.5, open_s=0.5, documents=50, clients=(1, 2))


class Waiting:
    """Each query takes 5 ms, each document 2, the index 300."""

    def __init__(self):
        self.encoded = []

    def query_path(self, k, threads):
        return replace(empty_path(), search=lambda _: time.sleep(0.005))

    def encode_documents(self, texts):
        self.encoded.append(list(texts))
        time.sleep(0.002 * len(texts))

    def build_index(self, threads):
        time.sleep(0.3)
        return np.zeros((100, 4), dtype=np.float32), np.zeros(100, dtype=np.int64)


class OfOthers:
    def query_path(self, k, threads):
        return empty_path()


@pytest.fixture(scope="module")
def mini():
    return load("mini")


@pytest.fixture(scope="module")
def found(mini):
    return measure_throughput(Waiting(), mini, 10, PLAN)


def test_it_works(found):
    assert found.metrics["queries_per_second"] == pytest.approx(400, rel=0.25)  # two clients, 5 ms each
    assert set(found.details["closed_loop"]) == {"1", "2"}
    assert found.details["closed_loop"]["1"] == pytest.approx(200, rel=0.25)


def test_under_load_queries_wait_for_those_before_them(found):
    assert found.metrics["open_loop_queries_per_second"] == 0.7 * found.metrics["queries_per_second"]
    assert found.metrics["open_loop_latency_p50_ms"] >= 5.0
    assert found.metrics["open_loop_latency_p95_ms"] > found.metrics["open_loop_latency_p50_ms"]
    assert found.metrics["open_loop_latency_p99_ms"] is None
    assert found.reasons["open_loop_latency_p99_ms"] == "200 arrivals; a p99 needs 10,000"


def test_making_an_index_is_timed_apart_from_encoding(found):
    assert found.metrics["documents_per_second"] == pytest.approx(500, rel=0.2)
    assert found.metrics["index_build_s"] == pytest.approx(0.3, rel=0.2)
    assert found.metrics["index_resident_bytes"] == 100 * 4 * 4 + 100 * 8


def test_documents_are_drawn_by_the_seed_and_some_are_encoded_first_to_warm_up(mini):
    system = Waiting()
    measure_throughput(system, mini, 10, replace(PLAN, clients=(1,), closed_s=0.1, open_s=0.1))
    warmup, sample = system.encoded
    assert (len(warmup), len(set(sample))) == (20, 50)
    assert warmup == sample[:20] != list(mini.documents.texts[:20])


def test_a_system_made_of_others_says_that_they_have_what_it_lacks(mini):
    found = measure_throughput(OfOthers(), mini, 10, replace(PLAN, clients=(1,), closed_s=0.1, open_s=0.1))
    assert [found.metrics[name] for name in DOCUMENTS] == [None] * 4
    assert "made of other systems" in found.reasons["documents_per_second"]


def test_bytes_on_disk_are_those_of_numpys_files():
    arrays = [np.arange(1000, dtype=np.float32).reshape(10, 100), np.arange(7), np.zeros((3, 0))]
    files = [io.BytesIO() for _ in arrays]
    for file, array in zip(files, arrays, strict=True):
        np.save(file, array)
    assert disk_bytes(arrays) == sum(len(file.getvalue()) for file in files)


@pytest.mark.parametrize(("cores", "clients"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))])
def test_clients_double_up_to_the_cores(cores, clients):
    assert client_counts(cores) == clients


def test_the_peak_of_memory_is_what_was_once_held():
    before = peak_host_bytes()
    held = np.ones(before // 8 + 10_000_000)  # as much again as ever, and 80 MB
    assert peak_host_bytes() >= held.nbytes
    del held
    assert peak_host_bytes() >= before + 80_000_000


def test_the_peak_on_a_card_is_that_of_a_system_on_the_card(monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: True, max_memory_allocated=lambda: 4096)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert (peak_card_bytes("cpu"), peak_card_bytes("cuda")) == (None, 4096)


def test_of_a_machine_that_was_not_well_only_what_takes_no_time_is_kept():
    metrics = {"queries_per_second": 9.0, "open_loop_latency_p99_ms": None, "index_disk_bytes": 640}
    details = {"closed_loop": {"1": 9.0}, "making": {"threads": 2}}
    found = withheld(Findings(metrics, {"open_loop_latency_p99_ms": "too few"}, details), "busy")
    assert found.metrics == {**dict.fromkeys(metrics), "index_disk_bytes": 640}
    assert found.reasons == {"queries_per_second": "busy", "open_loop_latency_p99_ms": "too few"}
    assert found.details == {"making": {"threads": 2}}


def test_an_index_built_anew_is_the_one_that_is_searched(mini):
    system = KINDS["bm25"].load(KINDS["bm25"].spec(), Runtime())
    system.index(mini.documents, Progress())
    for built, held in zip(system.build_index(1), system._index.arrays, strict=True):
        assert built.dtype == held.dtype
        assert (built == held).all()
