"""Which tracks a system has, members considered, and how a track that it lacks is refused."""

import pytest

from evaluations import cli
from evaluations.errors import EvaluationError
from evaluations.systems import SystemSpec, check_tracks, tracks_of, untimed_member
from evaluations.systems.parse import parse_system

ALL = ("retrieval", "sparsity", "latency")
RUN, VECTORS = "run:my.trec", "vectors:./folder"


@pytest.mark.parametrize(
    ("system", "members", "untimed"),
    [
        ("bm25", (), ""),
        (VECTORS, (), ""),
        ("fusion", ("bm25", "dense:a/b", "sparse:a/b", "late-interaction:a/b"), ""),
        ("rerank:a/b", ("dense:a/b",), ""),
        ("fusion", ("bm25", RUN), "member 2 (run)"),
        ("fusion", (VECTORS, "bm25", RUN), "member 1 (vectors)"),
        ("rerank:a/b", (RUN,), "first stage (run)"),
        ("rerank:a/b", (VECTORS,), "first stage (vectors)"),
    ],
)
def test_latency_is_there_where_every_member_can_be_timed(system, members, untimed):
    spec = parse_system(system, (), members)
    assert untimed_member(spec) == untimed
    assert tracks_of(spec) == (ALL[:2] if untimed else ALL)


def test_a_run_has_no_latency():
    assert tracks_of(SystemSpec("run")) == ALL[:2]
    with pytest.raises(EvaluationError, match=r"TRACK-UNKNOWN.*run has no track 'latency'"):
        check_tracks(SystemSpec("run"), ("latency",))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--system", "fusion", "--member", "bm25", "--member", RUN],
            "fusion has no latency with member 2 (run), whose queries cannot be timed",
        ),
        (
            ["--system", "rerank:a/b", "--first-stage", VECTORS],
            "rerank has no latency with first stage (vectors), whose queries cannot be timed",
        ),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "measure"])
def test_the_command_line_refuses_before_anything_is_loaded(arguments, said, command, tmp_path, capsys):
    """Neither the dataset nor a file of a member is there."""
    given = [command, *arguments, "--dataset", str(tmp_path / "absent"), "--tracks", ",".join(ALL)]
    assert cli.main([*given, "--out", str(tmp_path / "out")]) == 2
    mend = "leave latency out: --tracks retrieval,sparsity"
    assert capsys.readouterr().err.splitlines()[-1] == f"error[TRACK-MEMBER]: {said}; {mend}"
    assert not (tmp_path / "out").exists()
