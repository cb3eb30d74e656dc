"""Where a model is and which revision exactly. The hub is played by a stand-in: no test needs a network."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors
from huggingface_hub.utils import validate_repo_id

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.hub_ids import is_hub_id
from evaluations.systems import locations
from evaluations.systems.hub import cached

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of models, laid out ORG/NAME."""
    folder = tmp_path / "models" / "org" / "name"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "README.md").write_text("for people")
    monkeypatch.setenv("SPARSEBOARD_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Answers for org/far, whose main is COMMIT; counts what is asked."""
    asked = []

    def model_info(self, location, revision=None, timeout=None, files_metadata=False):
        asked.append((location, revision))
        assert timeout is not None
        assert timeout <= 5
        if isinstance(hub.answer, BaseException):
            raise hub.answer
        return SimpleNamespace(sha=hub.answer)

    def snapshot_download(location, revision, local_files_only=False, **patterns):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not cached")
        asked.append((location, revision, "download"))
        folder = tmp_path / "snapshot"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"far")
        return str(folder)

    hub = SimpleNamespace(asked=asked, answer=COMMIT)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return hub


def hub_error(kind, status=404):
    response = SimpleNamespace(headers={}, request=None, status_code=status)
    return kind("no", response=response)


def test_a_local_model_is_found_before_the_hub_is_asked(models, hub):
    model = locations.fetch("org/name")
    assert model.folder == models / "org" / "name"
    assert model.revision.startswith("sha256:")
    assert hub.asked == []


def test_the_files_of_a_model_are_those_a_loader_reads(models):
    model = locations.fetch("org/name")
    assert sorted(model.files) == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    by_sha256sum = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert model.files["model.safetensors"] == by_sha256sum


def test_the_revision_of_a_folder_changes_with_its_weights_and_not_with_its_readme(models):
    before = locations.pin("org/name")
    (models / "org" / "name" / "README.md").write_text("changed")
    assert locations.pin("org/name") == before
    (models / "org" / "name" / "model.safetensors").write_bytes(b"other")
    assert locations.pin("org/name") != before


def test_a_pinned_folder_is_verified(models):
    exact = locations.pin("org/name")
    assert locations.fetch("org/name", exact).revision == exact
    with pytest.raises(EvaluationError, match=r"REVISION-MISMATCH.*org/name here is sha256:"):
        locations.fetch("org/name", "sha256:0000000000000000")
    with pytest.raises(EvaluationError, match="REVISION-MISMATCH"):
        locations.pin("org/name", COMMIT)


def test_a_checksum_of_a_folder_that_is_not_here_is_no_business_of_the_hub(models, hub):
    with pytest.raises(EvaluationError, match="MODEL-MISSING"):
        locations.pin("org/other", "sha256:0000000000000000")
    assert hub.asked == []


def test_a_name_on_the_hub_becomes_a_commit_and_nothing_is_downloaded(hub):
    assert locations.pin("org/far", "main") == COMMIT
    assert hub.asked == [("org/far", "main")]


def test_fetch_downloads_the_commit_that_was_pinned(hub):
    model = locations.fetch("org/far")
    assert model.revision == COMMIT
    assert hub.asked == [("org/far", None), ("org/far", COMMIT, "download")]
    assert list(model.files) == ["model.safetensors"]


def test_an_unknown_model_an_unknown_revision_and_a_gated_one_are_told_apart(hub):
    for kind, code in (
        (errors.RepositoryNotFoundError, "MODEL-MISSING"),
        (errors.RevisionNotFoundError, "MODEL-REVISION"),
        (errors.GatedRepoError, "MODEL-GATED"),
    ):
        hub.answer = hub_error(kind)
        with pytest.raises(EvaluationError, match=code):
            locations.pin("org/far", "v9")


@pytest.mark.parametrize("answer", [OSError("no route"), hub_error(errors.HfHubHTTPError, 503), None])
def test_a_hub_that_is_away_is_a_failure_and_not_the_submitters(hub, answer):
    hub.answer = answer
    with pytest.raises(EvaluationFailed, match=r"error\[HUB-UNREACHABLE\]"):
        locations.pin("org/far")


@pytest.mark.parametrize(
    "location",
    [
        "name", "org/", "/name", "org/name/more", "../name", "org/..", "org/a..b", "org/a--b", "org/na me",
        "org/name.git",
        "https://hf.co/org/name", "org\\name", "org/name\n", "./org/name", "~/model", "/etc", "-org/name",
        "o" * 200 + "/n", "org/name-", "org/name.", "org-/name", "org./name", "org/-name", "org/.name",
    ],
)  # fmt: skip
def test_only_hub_ids_are_taken_where_paths_are_not_allowed(hub, location):
    with pytest.raises(EvaluationError, match="MODEL-ID"):
        locations.pin(location)
    assert hub.asked == []


def test_an_id_that_only_the_hubs_own_client_refuses_is_wrong_input(hub):
    hub.answer = errors.HFValidationError("no id")
    with pytest.raises(EvaluationError, match=r"error\[MODEL-ID\]: 'org/far' is no id"):
        locations.pin("org/far")


def test_its_cache_refuses_such_an_id_too():
    with pytest.raises(EvaluationError, match="MODEL-ID"):
        cached("org/name-", None)


@pytest.mark.parametrize("name", ["a", "9", "A.b-c_d", "a_", "a" * 96])
def test_every_id_that_is_taken_is_one_to_the_hubs_own_client(name):
    assert is_hub_id(f"{name}/{name}")
    validate_repo_id(f"{name}/{name}")


@pytest.mark.parametrize("revision", ["../main", "a b", "", "-x", "refs/../x", "x" * 200, "main\n"])
def test_a_revision_is_a_name(hub, revision):
    with pytest.raises(EvaluationError, match="MODEL-REVISION"):
        locations.pin("org/far", revision)
    assert hub.asked == []


def test_a_folder_is_taken_where_paths_are_allowed(models, monkeypatch):
    folder = models / "org" / "name"
    by_path = locations.fetch(str(folder), allow_path=True)
    assert by_path.revision == locations.pin("org/name")
    monkeypatch.chdir(models)
    assert locations.fetch("org/name", allow_path=True).folder.resolve() == folder
    with pytest.raises(EvaluationError, match="MODEL-MISSING"):
        locations.fetch("/no/such/folder", allow_path=True)
