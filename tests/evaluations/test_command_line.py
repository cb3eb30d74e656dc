"""`python -m evaluations` as a person and a worker see it: processes, exit status, one line of error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluations.report import read_report
from tests.evaluations import forked

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`run(*arguments, **variables)`: a process that was forked."""
    with forked.commands(tmp_path_factory.mktemp("said")) as run:
        yield run


def started(*arguments: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    """As a person and a worker start it."""
    return subprocess.run(
        [sys.executable, "-m", "evaluations", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_refused(process, code: str) -> None:
    assert process.returncode == 2
    assert process.stderr.startswith(f"error[{code}]: ")
    assert process.stderr.count("\n") == 1


def test_it_works(write_dataset, tmp_path):
    process = started("evaluate", "--system", "bm25", "--dataset", write_dataset(), "--out", tmp_path / "out")
    assert (process.returncode, process.stderr) == (0, "")
    assert "nDCG@10" in process.stdout
    assert f"in {tmp_path / 'out'}: report.json, run.trec.gz, per_query.parquet" in process.stdout
    report = read_report(tmp_path / "out")
    assert report.tracks["retrieval"].metrics["RR@10"] == 1.0
    assert report.provenance["command"].startswith("python -m evaluations evaluate --system bm25 --dataset ")


def test_measure_and_score_are_two_commands(write_dataset, tmp_path):
    from evaluations.datasets import write_blind

    source = write_dataset()
    write_blind(source, tmp_path / "blind")
    out = tmp_path / "out"
    measured = started("measure", "--system", "bm25", "--dataset", tmp_path / "blind", "--out", out)
    assert measured.returncode == 0
    assert "retrieval" not in read_report(out).tracks
    assert started("score", "--dataset", source, "--out", out, "--metrics", "nDCG@20").returncode == 0
    assert {"nDCG@10", "nDCG@20", "Judged@10"} <= set(read_report(out).tracks["retrieval"].metrics)


def test_progress_is_json_and_nothing_else_for_a_worker(run, write_dataset, tmp_path):
    process = run(
        "evaluate",
        "--system",
        "bm25",
        "--dataset",
        write_dataset(),
        "--out",
        tmp_path / "out",
        "--json-progress",
    )
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    assert all(set(line) == {"stage", "share", "message"} for line in lines)
    assert [line["stage"] for line in lines if line["share"] == 1.0] == [
        "loading", "loading", "encoding", "searching", "profiling", "writing", "scoring", "writing"
    ]  # fmt: skip


def test_options_split_and_self_hits_reach_the_report(run, write_dataset, tmp_path):
    process = run(
        "evaluate", "--system", "bm25", "--option", "k1=0.9", "--option", "b=0.4", "--tracks", "retrieval",
        "--dataset", write_dataset(split="dev"), "--split", "dev", "--self-hits", "remove",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    report = read_report(tmp_path / "out")
    assert (report.system["options"]["k1"], report.system["options"]["b"]) == (0.9, 0.4)
    assert (report.dataset["split"], report.dataset["self_hits"]) == ("dev", "remove")
    assert set(report.tracks) == {"retrieval"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "USAGE"),
        (["evaluate"], "USAGE"),
        (["evaluate", "--nonsense"], "USAGE"),
        (["evaluate", "--system", "bm25", "--dataset", "mini", "--out", "x", "--device", "tpu"], "USAGE"),
        (["evaluate", "--system", "bm25", "--dataset", "mini", "--out", "x", "--threads", "0"], "USAGE"),
        (["evaluate", "--system", "bm25", "--dataset", "/none", "--out", "x"], "DATASET-MISSING"),
        (["evaluate", "--system", "bm26", "--dataset", "mini", "--out", "x"], "SYSTEM-KIND"),
        (
            ["evaluate", "--system", "bm25", "--option", "k9=1", "--dataset", "mini", "--out", "x"],
            "OPTION-UNKNOWN",
        ),
        (
            ["evaluate", "--system", "bm25", "--precision", "fp32", "--dataset", "mini", "--out", "x"],
            "OPTION-UNKNOWN",
        ),
        (
            ["evaluate", "--system", "bm25", "--tracks", "speed", "--dataset", "mini", "--out", "x"],
            "TRACK-UNKNOWN",
        ),
        (
            ["evaluate", "--system", "bm25", "--metrics", "ERR@10", "--dataset", "mini", "--out", "x"],
            "METRIC-UNKNOWN",
        ),
        (["evaluate", "--system", "run:/none", "--dataset", "mini", "--out", "x"], "RUN-MISSING"),
        (["score", "--dataset", "mini", "--out", "/none"], "REPORT-MISSING"),
        (["compare", "/none", "/none"], "REPORT-MISSING"),
        (["inspect", "dense:../x"], "MODEL-MISSING"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(run, arguments, code):
    assert_refused(run(*arguments), code)


def test_a_bad_run_file_names_its_line(write_dataset, tmp_path):
    (tmp_path / "bad.trec").write_text("q1 Q0 d1 1 2 t\nq1 Q0 d2 2\n")
    process = started(
        "evaluate",
        "--system",
        f"run:{tmp_path / 'bad.trec'}",
        "--dataset",
        write_dataset(),
        "--out",
        tmp_path / "o",
    )
    assert_refused(process, "RUN-COLUMNS")
    assert "line 2" in process.stderr


def test_a_failure_of_the_machine_is_status_3(run, write_dataset, tmp_path):
    (tmp_path / "occupied").write_text("a file where a folder should go")
    process = run(
        "evaluate", "--system", "bm25", "--dataset", write_dataset(), "--out", tmp_path / "occupied" / "x"
    )
    assert process.returncode == 3
    assert "error[EVALUATION-FAILED]" in process.stderr


def test_an_unreachable_hub_is_status_3(write_dataset, tmp_path):
    process = started(
        "evaluate", "--system", "dense:org/name", "--dataset", write_dataset(), "--out", tmp_path / "o",
        HF_HUB_OFFLINE="1", SPARSEBOARD_MODELS="",
    )  # fmt: skip
    assert process.returncode == 3
    assert process.stderr.startswith("error[HUB-UNREACHABLE]: ")
    assert process.stderr.count("\n") == 1


def test_datasets_lists_names_and_benchmarks(run):
    shown = run("datasets").stdout
    assert "--dataset beir/scifact" in shown
    assert "beir-18: " in shown


def test_inspect_says_what_a_system_is(run):
    shown = run("inspect", "bm25").stdout
    assert "family: lexical" in shown
    assert '"k1": 1.5' in shown


def test_inspect_counts_the_parameters_of_all_minilm_without_loading_it(run, minilm):
    shown = run("inspect", f"dense:{minilm}").stdout
    assert "safe: true" in shown
    assert "parameters: 22713216" in shown  # its model card says 22.7M


def test_compare_shows_differences_where_the_protocols_are_equal(run, write_dataset, tmp_path):
    source = write_dataset()
    for name, option in (("a", "k1=1.5"), ("b", "k1=0.1")):
        run("evaluate", "--system", "bm25", "--option", option, "--dataset", source, "--out", tmp_path / name)
    shown = run("compare", tmp_path / "a", tmp_path / "b").stdout
    assert "B - A" in shown
    assert "NOT comparable" not in shown
    assert "+0.0000" in shown


def test_compare_refuses_to_compare_different_data(run, write_dataset, tmp_path):
    changed = (("q1", "d1", 1), ("q2", "d2", 2), ("q2", "d3", 1))
    for name, folder in (("a", write_dataset("one")), ("b", write_dataset("other", qrels=changed))):
        run("evaluate", "--system", "bm25", "--dataset", folder, "--out", tmp_path / name)
    shown = run("compare", tmp_path / "a", tmp_path / "b").stdout
    assert "NOT comparable: the protocols differ in qrels" in shown
    assert "B - A" not in shown


def test_precision_auto_becomes_a_name(write_dataset, tmp_path, minilm):
    process = started(
        "evaluate", "--system", f"dense:{minilm}", "--precision", "auto", "--device", "cpu", "--threads", "2",
        "--dataset", write_dataset(), "--out", tmp_path / "out",
    )  # fmt: skip
    assert (process.returncode, process.stderr) == (0, "")
    report = read_report(tmp_path / "out")
    assert report.system["options"]["precision"] in ("fp32", "bf16")
    assert report.provenance["runtime"]["threads"] == 2
    assert report.system["files"]["model.safetensors"]


IN_TURN = """
import json, sys
from evaluations.cli import main
for arguments in json.loads(sys.argv[1]):
    status = main(arguments)
    heavy = ("torch", "transformers", "sentence_transformers", "django")
    print(json.dumps([status, *(name for name in heavy if name in sys.modules)]), file=sys.stderr)
"""


def statuses_and_heavy_modules(*commands: tuple[object, ...]) -> list[list[object]]:
    """Of each command, one after the other in one process: its status, and what is loaded by then."""
    arguments = json.dumps([list(map(str, command)) for command in commands])
    process = subprocess.run(
        [sys.executable, "-c", IN_TURN, arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in process.stderr.splitlines()]


def test_bm25_and_score_and_inspect_do_not_import_torch(write_dataset, tmp_path, minilm):
    source, out = write_dataset(), tmp_path / "out"
    found = statuses_and_heavy_modules(
        ("measure", "--system", "bm25", "--dataset", source, "--out", out),
        ("score", "--dataset", source, "--out", out),
        ("inspect", f"dense:{minilm}"),
    )
    assert found == [[0], [0], [0]]


def test_a_run_does_not_import_torch(write_dataset, tmp_path):
    (tmp_path / "run.trec").write_text("q1 Q0 d1 1 2 t\n")
    system, dataset = f"run:{tmp_path / 'run.trec'}", write_dataset()
    command = ("evaluate", "--system", system, "--dataset", dataset, "--out", tmp_path / "o")
    assert statuses_and_heavy_modules(command) == [[0]]


def test_what_the_web_imports_does_not_import_torch():
    modules = (
        "evaluations, evaluations.systems, evaluations.systems.parse, evaluations.systems.locations,"
        " evaluations.systems.run_file, evaluations.systems.trec, evaluations.systems.safety,"
        " evaluations.datasets, evaluations.report, evaluations.protocol, evaluations.retrieval.measures"
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
