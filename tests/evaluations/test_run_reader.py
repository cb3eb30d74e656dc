"""The strict reader of submitted runs: what it takes, and which line it names when it refuses."""

import gzip
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluations.artefacts import RUN, write_run
from evaluations.errors import EvaluationError
from evaluations.search.order import id_ranks, top_k
from evaluations.systems import RankedList, Run, trec
from evaluations.systems.trec import BLOCK_BYTES, RunLimits, read_run

QUERIES = {"q1", "q2"}


def read(text: str | bytes, **settings) -> Run:
    content = text.encode() if isinstance(text, str) else text
    return read_run(io.BytesIO(content), QUERIES, **settings)


def refusal(text: str | bytes, **settings) -> str:
    with pytest.raises(EvaluationError) as caught:
        read(text, **settings)
    return str(caught.value)


def test_it_works(tmp_path):
    path = tmp_path / "run.trec"
    path.write_text("q1 Q0 d1 1 2.5 tag\nq1 Q0 d2 2 1.5 tag\n")
    ranked = read_run(path, QUERIES).lists["q1"]
    assert list(ranked.document_ids) == ["d1", "d2"]
    assert ranked.scores.tolist() == [2.5, 1.5]


def test_scores_decide_and_not_the_order_of_lines():
    assert list(read("q1 Q0 low 1 1 t\nq1 Q0 high 2 9 t\n").lists["q1"].document_ids) == ["high", "low"]


def test_ties_go_to_the_document_id_that_is_last_in_utf_8():
    text = "q1 Q0 é 1 1 t\nq1 Q0 z 2 1 t\nq1 Q0 𝄞 3 1 t\nq1 Q0 ｚ 4 1 t\n"
    assert list(read(text).lists["q1"].document_ids) == ["𝄞", "ｚ", "é", "z"]  # f0.. ef.. c3.. 7a


def test_scores_that_differ_only_beyond_float32_are_ties():
    text = "q1 Q0 a 1 1.00000001 t\nq1 Q0 b 2 1.00000000 t\n"
    assert list(read(text).lists["q1"].document_ids) == ["b", "a"]


@pytest.mark.parametrize("separator", [" ", "\t", "   ", " \t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_white_space_and_line_ends_may_vary(separator, line_end):
    lines = [
        separator.join(("q1", "Q0", "d1", "1", "2", "t")),
        separator.join(("q1", "Q0", "d2", "2", "1", "t")),
    ]
    assert list(read(line_end.join(lines)).lists["q1"].document_ids) == ["d1", "d2"]


def test_mixed_line_ends_blank_lines_and_a_byte_order_mark_are_taken():
    text = "\ufeffq1 Q0 d1 1 2 t\r\n\nq1 Q0 d2 2 1 t\n\r\n"
    run = read(text)
    assert list(run.lists["q1"].document_ids) == ["d1", "d2"]
    assert run.warnings == ()


def test_gzip_is_known_by_its_first_bytes_and_not_by_its_name(tmp_path):
    path = tmp_path / "run.txt"
    path.write_bytes(gzip.compress(b"q1 Q0 d1 1 2 t\n"))
    assert list(read_run(path, QUERIES).lists) == ["q1"]


def test_a_stream_that_was_passed_in_stays_open():
    stream = io.BytesIO(gzip.compress(b"q1 Q0 d1 1 2 t\n"))
    read_run(stream, QUERIES)
    assert not stream.closed


def test_only_ascii_white_space_separates():
    assert list(read("q1 Q0 d\u00a01\u2028 1 2 t\n").lists["q1"].document_ids) == ["d\u00a01\u2028"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("q1 Q0 d1 1 2", "RUN-COLUMNS"),
        ("q1 Q0 d1 1 2 t more", "RUN-COLUMNS"),
        ("q1,Q0,d1,1,2,t", "RUN-COLUMNS"),
        ("q1 Q0 d1 1 high t", "RUN-SCORE"),
        ("q1 Q0 d1 1 nan t", "RUN-SCORE"),
        ("q1 Q0 d1 1 inf t", "RUN-SCORE"),
        ("q1 Q0 d1 1 -Infinity t", "RUN-SCORE"),
        ("q1 Q0 d1 1 1e999 t", "RUN-SCORE"),
        ("q1 Q0 d1 1 1e39 t", "RUN-SCORE"),
        ("q1 Q0 d1 1 1_000 t", "RUN-SCORE"),
        ("q1 Q0 d1 1 1,5 t", "RUN-SCORE"),
        ("q1 Q0 d1 1 0x10 t", "RUN-SCORE"),
        ("q1 Q0 d1 1 ١ t", "RUN-SCORE"),
        ("q1 Q0 d0 1 2 t", "RUN-DUPLICATE"),
        ("q1 Q0 d\x001 1 2 t", "RUN-NUL"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(line, code):
    message = refusal(f"q1 Q0 d0 1 3 t\n\n{line}\n")
    assert message.startswith(f"error[{code}]: line 3 of the run ")


def test_latin_1_is_refused_with_its_line():
    message = refusal("q1 Q0 d0 1 3 t\nq1 Q0 café 2 1 t\n".encode("latin-1"))
    assert message == "error[RUN-ENCODING]: line 2 of the run is not UTF-8; save the file as UTF-8"


def test_utf_16_is_refused():
    assert "RUN-" in refusal("q1 Q0 d0 1 3 t\n".encode("utf-16"))


@pytest.mark.parametrize("content", [b"", b"\n\n", gzip.compress(b"")])
def test_an_empty_run_is_refused(content):
    assert refusal(content).startswith("error[RUN-EMPTY]")


def test_a_run_of_another_dataset_is_refused():
    assert refusal("x9 Q0 d1 1 2 t\n").startswith("error[RUN-QUERIES]")


def test_queries_that_are_not_judged_are_ignored_and_counted():
    run = read("q1 Q0 d1 1 2 t\nx8 Q0 d1 1 2 t\nx9 Q0 d1 1 2 t\nx9 Q0 d2 2 1 t\n")
    assert set(run.lists) == {"q1"}
    assert run.warnings == ("2 query ids of the run are not judged queries and are ignored, such as x8",)


def test_ranks_that_contradict_the_scores_are_warned_about():
    """A run of distances is upside down when its scores are taken as similarities."""
    run = read("q1 Q0 near 1 0.1 t\nq1 Q0 far 2 0.9 t\nq2 Q0 a 1 2 t\nq2 Q0 b 2 1 t\n")
    assert run.warnings == (
        "in 1 queries, such as q1, ranks of the run contradict its scores; the scores decide, highest first",
    )
    assert list(run.lists["q1"].document_ids) == ["far", "near"]


def test_ranks_from_0_and_ties_contradict_nothing():
    assert read("q1 Q0 a 0 2 t\nq1 Q0 b 1 2 t\nq1 Q0 c 2 1 t\n").warnings == ()


def test_a_line_of_4096_bytes_is_taken_and_one_of_4097_is_not():
    line = "q1 Q0 d1 1 2 "
    assert read(line + "t" * (4096 - len(line)) + "\r\n").lists
    assert refusal(line + "t" * (4097 - len(line)) + "\n").startswith("error[RUN-LINE]: line 1 ")


def test_a_line_of_200_megabytes_is_refused_without_being_read():
    class Endless(io.BytesIO):
        """Counts what is read of it."""

        taken = 0

        def read(self, size=-1):
            assert size > 0
            self.taken += size
            return b"x" * size

    stream = Endless(b"xx")
    with pytest.raises(EvaluationError, match="RUN-LINE"):
        read_run(stream, QUERIES)
    assert stream.taken <= 2 * BLOCK_BYTES + 2


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory():
    bomb = gzip.compress(b"q1 Q0 d1 1 2 t\n" + (b" " * 4000 + b"\n") * 10_000)
    tracemalloc.start()
    message = refusal(bomb, limits=RunLimits(bytes=1_000_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message.startswith("error[RUN-SIZE]")
    assert peak < 3_000_000


def test_more_lines_than_the_limit_are_refused():
    text = "".join(f"q1 Q0 d{i} 1 2 t\n" for i in range(11))
    assert refusal(text, limits=RunLimits(lines=10)).startswith("error[RUN-SIZE]")
    assert len(read(text, limits=RunLimits(lines=11)).lists["q1"]) == 11


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:20] + b"\xff" * 8 + b[28:], lambda b: b + b"tail"]
)
def test_a_damaged_gzip_file_is_refused(damage):
    packed = gzip.compress("".join(f"q1 Q0 d{i} 1 {i} t\n" for i in range(200)).encode())
    assert refusal(damage(packed)).startswith("error[RUN-")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="RUN-MISSING"):
        read_run(tmp_path / "none", QUERIES)


def test_a_message_stays_one_line_whatever_the_file_holds():
    assert "\n" not in refusal("q1 Q0 d1 1 \x1b[2Jbad t\n")
    assert "\x1b" not in refusal("q1 Q0 d1 1 \x1b[2Jbad t\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_by_name(content):
    codes = []
    try:
        read(content)
    except EvaluationError as error:
        codes.append(error.code)
    assert all(code.startswith("RUN-") for code in codes)


def lines_of(*columns):
    return st.tuples(*map(st.sampled_from, columns)).map(b" ".join)


PLAIN = lines_of(
    [b"q1", b"q2", b"q3"], [b"Q0"], [b"d%d" % i for i in range(40)], [b"1", b"2", b"30"],
    [b"1.5", b"-2e-3", b"7", b"0", b"-0"], [b"t"],
)  # fmt: skip
ODD = lines_of(
    [b"q1", b"q\xc3\xa9", b"\xef\xbb\xbfq1"], [b"Q0", b"Q0  "], [b"d\xc2\xa0x", b"d\x1c", b"d\xff", b"d\0"],
    [b"-", b"1" * 30, b"-1", b"\xd9\xa1"], [b"1", b"1_0", b"nan", b"1e39", b".", b"+.5"], [b"t", b"t\r", b""],
) | st.sampled_from([b"", b"\r", b"q1 Q0 d1 1 1", b"q1 Q0 d1 1 1 t t"])  # fmt: skip


def outcome(content, monkeypatch, block_bytes, *, many_at_once):
    with monkeypatch.context() as patched:
        patched.setattr(trec, "BLOCK_BYTES", block_bytes)
        if not many_at_once:
            patched.setattr(trec, "parsed", lambda _: None)
        try:
            run = read(content, limits=RunLimits(bytes=900, lines=30))
        except EvaluationError as error:
            return str(error)
    lists = {query: (list(each.document_ids), each.scores.tolist()) for query, each in run.lists.items()}
    return lists, run.warnings


@given(st.lists(PLAIN | PLAIN | PLAIN | ODD, max_size=40), st.sampled_from([b"", b"\n"]))
def test_lines_taken_many_at_once_give_what_they_give_one_by_one(lines, end):
    content = b"\n".join(lines) + end
    with pytest.MonkeyPatch.context() as patch:
        one_by_one = outcome(content, patch, 1 << 20, many_at_once=False)
        for block_bytes in (1, 17, 64, 300, 1 << 20):
            assert outcome(content, patch, block_bytes, many_at_once=True) == one_by_one


def test_the_line_of_a_duplicate_is_named_among_many():
    text = "".join(f"q1 Q0 d{i} {i} {-i} t\n" for i in range(5000))
    message = refusal(text + "q2 Q0 d7 1 1 t\nq1 Q0 d4999 1 1 t\n")
    assert message.startswith("error[RUN-DUPLICATE]: line 5002 of the run")


IDS = st.text(st.characters(min_codepoint=33, exclude_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda text: len(text.encode().split()) == 1 and "\x7f" not in text
)
SCORES = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.dictionaries(IDS, SCORES, min_size=1, max_size=20))
def test_a_run_that_was_written_is_read_back_in_the_same_order_with_the_same_scores(tmp_path_factory, scores):
    folder = tmp_path_factory.mktemp("run")
    ids = list(scores)
    values = np.array(list(scores.values()), dtype=np.float32)
    order = top_k(values, id_ranks(ids), len(ids))
    run = Run({"q1": RankedList([ids[i] for i in order], values[order])})
    write_run(folder, run, "tag")
    back = read_run(folder / RUN, QUERIES).lists["q1"]
    assert list(back.document_ids) == list(run.lists["q1"].document_ids)
    assert back.scores.tolist() == run.lists["q1"].scores.tolist()


def test_the_same_run_gives_the_same_bytes(tmp_path):
    ranked = RankedList(["d1"], np.array([1.5], dtype=np.float32))
    written = []
    for name, run in (("one", {"q1": ranked, "q2": ranked}), ("other", {"q2": ranked, "q1": ranked})):
        (tmp_path / name).mkdir()
        write_run(tmp_path / name, Run(run), "tag")
        written.append((tmp_path / name / RUN).read_bytes())
    assert written[0] == written[1]
    assert gzip.decompress(written[0]).decode() == "q1 Q0 d1 1 1.5 tag\nq2 Q0 d1 1 1.5 tag\n"
