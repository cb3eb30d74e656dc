"""The hub's client against a hub on this machine: pinned, hashed, inspected by small files, kept."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluations.systems import locations
from tests.conftest import ROOT
from tests.evaluations import forked
from tests.evaluations.hostile import forging
from tests.stand_in_hub import COMMIT, blob_id, running

CARD = b"---\nlicense: mit\nlanguage:\n- en\n- de\n---\n# A model\n"
MODEL = {
    **forging.MODEL,
    "modules.json": json.dumps(forging.MODULES[:1]).encode(),
    "README.md": CARD,
    "pytorch_model.bin": b"a pickle, beside safetensors: never downloaded",
}


@pytest.fixture(scope="module")
def whole_hub():
    evil = {**MODEL, "config.json": json.dumps({"auto_map": {"AutoModel": "evil.Model"}}).encode()}
    pickled = {"config.json": forging.CONFIG, "pytorch_model.bin": b"x"}
    index = {"metadata": {}, "weight_map": {"w": "weights.txt"}}
    shards = {name: raw for name, raw in MODEL.items() if name != "model.safetensors"} | {
        "model.safetensors.index.json": json.dumps(index).encode(),
        "other.safetensors": forging.WEIGHTS,
        "weights.txt": b"a pickle",
    }
    large = {**MODEL, "config.json": b" " * 2**21 + forging.CONFIG}
    models = {"org/model": MODEL, "org/evil": evil, "org/pickled": pickled, "org/large": large}
    with running({**models, "org/shards": shards}) as hub:
        yield hub


@pytest.fixture
def hub(whole_hub):
    """Nobody has asked it anything yet."""
    whole_hub.asked.clear()
    return whole_hub


def without_hub():
    return {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SPARSE"))}


@pytest.fixture
def variables(hub, tmp_path):
    """This hub as the hub, and an empty cache of its own."""
    return {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf")}


@pytest.fixture(scope="module")
def forking(tmp_path_factory):
    with forked.commands(tmp_path_factory.mktemp("said"), without_hub()) as commands:
        yield commands


@pytest.fixture
def inspect(forking, variables):
    """`inspect(*arguments)`: the command in a process of its own, which imports the hub's client."""
    return lambda *arguments, **others: forking("inspect", *arguments, **variables | others)


@pytest.fixture
def run(variables):
    """`run(code)`: Python in a new process."""

    def run(code, **others):
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**without_hub(), **variables, **others},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


def inspected(inspect, location, **variables):
    process = inspect("--json", location, **variables)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_a_model_is_inspected_by_its_small_files(inspect, hub):
    found = inspected(inspect, "org/model")
    assert (found["kind"], found["safe"], found["revision"]) == ("dense", True, COMMIT)
    assert (found["licence"], found["licence_from"], found["languages"]) == ("mit", "README.md", ["en", "de"])
    assert (found["vocabulary"], found["dimensions"], found["max_length"]) == (5, 4, 8)
    assert not [path for path in hub.asked if path.endswith((".safetensors", ".bin", "tokenizer.json"))]


@pytest.mark.parametrize(
    ("location", "code", "words"),
    [
        ("org/evil", "MODEL-CODE", "config.json has auto_map"),
        ("org/pickled", "MODEL-WEIGHTS", "pytorch_model.bin is a pickle"),
        ("org/shards", "MODEL-WEIGHTS", "model.safetensors.index.json names 'weights.txt' as a shard"),
    ],
)
def test_what_is_not_safe_is_said_with_the_reason(inspect, location, code, words):
    found = inspected(inspect, location)
    assert found["safe"] is False
    assert found["why"].startswith(f"error[{code}]: ")
    assert words in found["why"]


def test_no_more_of_a_file_is_read_than_is_allowed(inspect):
    process = inspect("org/large")
    assert process.returncode == 2
    assert "config.json is larger than the 1,048,576 bytes that are read" in process.stderr


@pytest.mark.parametrize(
    ("location", "code"),
    [("org/none", "MODEL-MISSING"), ("org/model@v9", "MODEL-REVISION"), ("org/model@..", "MODEL-REVISION")],
)
def test_what_is_not_there_is_told_apart(inspect, location, code):
    process = inspect(location)
    assert process.returncode == 2
    assert process.stderr.startswith(f"error[{code}]: ")


def test_no_hub_is_a_failure_with_a_clear_message(inspect):
    process = inspect("org/model", HF_ENDPOINT="http://127.0.0.1:9")
    assert process.returncode == 3
    assert process.stderr.startswith("error[HUB-UNREACHABLE]: ")


PIN = "from evaluations.systems import locations; import json; p = locations.pinned('org/model'); "
FETCH = (
    "from evaluations.systems import locations; print(locations.fetch('org/model', '" + COMMIT + "').folder)"
)


def test_pinning_names_the_commit_and_what_the_hub_knows_of_each_file(run, hub):
    process = run(PIN + "print(json.dumps([p.revision, dict(p.files)]))")
    revision, files = json.loads(process.stdout)
    assert revision == COMMIT
    assert files == {
        "config.json": f"git:{blob_id(MODEL['config.json'])}",
        "modules.json": f"git:{blob_id(MODEL['modules.json'])}",
        "tokenizer.json": f"git:{blob_id(MODEL['tokenizer.json'])}",
        "model.safetensors": hashlib.sha256(forging.WEIGHTS).hexdigest(),
    }
    assert [each for each in hub.asked if "org/model" in each] == ["GET /api/models/org/model"]


def test_what_was_downloaded_once_needs_no_hub_again(run, inspect, hub):
    folder = Path(run(FETCH).stdout.strip())
    assert (folder / "model.safetensors").read_bytes() == forging.WEIGHTS
    assert not (folder / "pytorch_model.bin").exists()
    hub.asked.clear()
    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    assert Path(run(FETCH, **offline).stdout.strip()) == folder
    found = inspected(inspect, "org/model@" + COMMIT, **offline)
    assert (found["kind"], found["safe"], found["revision"]) == (
        "dense",
        True,
        locations.pin(str(folder), allow_path=True),
    )
    assert hub.asked == []


def test_a_file_that_changed_is_told_by_either_digest(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"{}")
    # From `sha256sum` and `git hash-object`.
    digests = (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "git:9e26dfeeb6e641a33dae4961196235bdb965b21b",
    )
    assert all(locations.is_file_of(path, digest) for digest in digests)
    path.write_bytes(b"[]")
    assert not any(locations.is_file_of(path, digest) for digest in digests)


def test_nothing_of_it_imports_torch(run):
    code = (
        "import sys; from evaluations.inspection import inspect_location as i; i('org/model');"
        " print('torch' in sys.modules)"
    )
    assert run(code).stdout.strip() == "False"
