"""What every test may use: where the real collections are, and which services this machine has."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_SERVICES = os.environ.get("REQUIRE_SERVICES") == "1"


def shared_data_folder() -> Path | None:
    folder = Path(os.environ.get("SPARSEBOARD_SHARED_DATA", ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def find_binary(name: str) -> str | None:
    """Path of a service's binary; PostgreSQL's live outside PATH on Debian."""
    candidates = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(candidates[0]) if candidates else None)


def require_binary(name: str) -> str:
    """The binary's path; skips by name where it is absent, unless REQUIRE_SERVICES=1 makes that a failure."""
    if path := find_binary(name):
        return path
    if REQUIRE_SERVICES:
        pytest.fail(f"{name} is not installed and REQUIRE_SERVICES=1")
    pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = shared_data_folder()
    if folder is None:
        pytest.skip("the real collections are absent (SPARSEBOARD_SHARED_DATA)")
    return folder
