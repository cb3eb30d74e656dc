"""Zip archives of runs: what is taken, and which ones are refused without being unpacked."""

import gzip
import io
import stat
import struct
import tracemalloc
import zipfile
from time import monotonic

import pytest

from leaderboard.submissions import archives, submit
from leaderboard.submissions.models import Submission

from .submitting import RUN, upload

pytestmark = pytest.mark.django_db
ZEBRAS = "z1 Q0 zebra 1 2.5 zoo\n"


def packed(*members: tuple[str | zipfile.ZipInfo, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def validated(content: bytes, **fields):
    archive = upload(content, "runs.zip")
    request = {"benchmark": "zoo", "kind": "run", "name": "Mine", "archive": archive}
    return submit.validate(submit.SubmissionRequest(**request | fields))


def refused(content: bytes, **fields) -> str:
    with pytest.raises(submit.Refused) as refusal:
        validated(content, **fields)
    assert Submission.objects.count() == 0
    assert list(refusal.value.errors) == ["archive"]
    return " ".join(refusal.value.errors["archive"])


def test_it_works(zoo):
    found = validated(packed(("tame.trec", RUN), ("wild.run", ZEBRAS)))

    assert [dataset.name for dataset in found.datasets] == ["tame", "wild"]
    assert sorted(found.plan.hashes) == ["tame.trec", "wild.trec"]
    assert found.warnings == ()


@pytest.mark.parametrize("name", ["tame.trec", "tame.run", "tame.txt", "tame", "runs/tame.res"])
def test_the_stem_names_the_dataset(zoo, name):
    assert [dataset.name for dataset in validated(packed((name, RUN))).datasets] == ["tame"]


def test_a_member_may_be_gzip(zoo):
    found = validated(packed(("tame.run.gz", gzip.compress(RUN.encode()))))

    assert list(found.plan.hashes) == ["tame.trec.gz"]


def test_what_macos_adds_is_passed_over(zoo):
    found = validated(packed(("tame.trec", RUN), ("__MACOSX/._tame.trec", "junk"), (".DS_Store", "junk")))

    assert len(found.datasets) == 1


def test_a_bad_run_is_named_by_archive_member_and_line(zoo):
    message = refused(packed(("tame.trec", RUN), ("wild.trec", ZEBRAS + "z1 Q0 lion 2 x zoo\n")))

    assert message.startswith("runs.zip, wild.trec: line 2 of the run score 'x'")


def test_an_unknown_dataset_is_named_with_those_there_are(zoo):
    message = refused(packed(("tame.trec", RUN), ("birds.trec", RUN)))

    assert "runs.zip, birds.trec: the benchmark has no dataset 'birds'; it has: tame, wild" in message


def test_a_dataset_may_come_once_only(zoo):
    assert "two runs for tame (tame.trec and tame.txt)" in refused(
        packed(("tame.trec", RUN), ("tame.txt", RUN))
    )
    assert "there are two runs for tame" in refused(packed(("tame.trec", RUN)), files={"tame": upload()})


@pytest.mark.parametrize(
    "name", ["../tame.trec", "/tame.trec", "a/../tame.trec", "..\\tame.trec", "C:tame.trec"]
)
def test_a_name_that_leads_elsewhere_is_refused(zoo, name):
    assert "is not a plain name" in refused(packed((name, RUN)))


def test_a_name_that_lies_deep_is_refused(zoo):
    assert "lies deeper than 2 folders" in refused(packed(("a/b/tame.trec", RUN)))


def test_a_link_is_refused(zoo):
    link = zipfile.ZipInfo("tame.trec")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16

    assert "is a link" in refused(packed((link, "/etc/passwd")))


@pytest.mark.parametrize("name", ["tame.zip", "tame.tar.gz", "tame.7z", "tame.tgz"])
def test_an_archive_within_is_refused(zoo, name):
    assert "is an archive within the archive" in refused(packed((name, RUN)))


@pytest.mark.parametrize("name", ["tame.exe", "-tame.trec", "ta me.trec", ".trec", "tame.run.bak"])
def test_a_name_that_is_no_runs_is_refused(zoo, name):
    assert "has no name such as scifact.trec" in refused(packed((name, RUN)))


@pytest.mark.parametrize(
    "content", [b"", b"no zip at all", packed(("tame.trec", RUN))[:-20], b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_is_no_archive_is_refused(zoo, content):
    assert "is no zip archive or is damaged" in refused(content)


def test_a_damaged_member_is_refused(zoo):
    content = bytearray(packed(("tame.trec", RUN), method=zipfile.ZIP_STORED))
    content[content.index(b"9.5")] = ord("8")

    assert "does not unpack to what it says" in refused(bytes(content))


@pytest.mark.parametrize("members", [[], [("runs/", "")], [(".DS_Store", "x")]])
def test_an_archive_without_runs_is_refused(zoo, members):
    assert "holds no run" in refused(packed(*members))


def test_an_encrypted_member_is_refused(zoo):
    content = bytearray(packed(("tame.trec", RUN)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.index(signature) + offset, 1)

    assert "is encrypted" in refused(bytes(content))


def test_a_slow_method_of_packing_is_refused(zoo):
    assert "other than deflate" in refused(packed(("tame.trec", RUN), method=zipfile.ZIP_LZMA))


def test_too_many_members_are_refused(zoo):
    members = [(f"d{number}.trec", "") for number in range(archives.MAX_MEMBERS + 1)]

    assert "holds more than 200 members" in refused(packed(*members))


def test_a_bomb_is_refused_before_it_is_unpacked(zoo):
    bomb = packed(("tame.trec", b"\n" * 64 * 2**20))
    assert len(bomb) < 100_000

    begun = monotonic()
    tracemalloc.start()
    message = refused(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "unpacks to over 100 times its size" in message
    assert peak < 8 * 2**20
    assert monotonic() - begun < 2


def test_a_directory_that_promises_more_than_fits_is_refused(zoo, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED_BYTES", 50)

    assert "unpacks to more than 50 bytes" in refused(packed(("tame.trec", RUN)))


def test_a_directory_that_promises_too_little_is_refused(zoo):
    """A bomb whose directory claims one byte."""
    content = bytearray(packed(("tame.trec", RUN)))
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 1)

    assert "is described in two ways" in refused(bytes(content))


def test_a_directory_that_is_large_is_refused_before_it_is_read(zoo):
    content = packed(*((f"{number}{'n' * 200}.trec", "") for number in range(20_000)))

    tracemalloc.start()
    message = refused(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "has a directory of" in message
    assert peak < 16 * 2**20
