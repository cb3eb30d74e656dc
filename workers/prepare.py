"""Getting what an evaluation needs, in processes of its own: `python -m workers.prepare fetch|write FOLDER`.

`fetch` is the one step with a network: it reads `FOLDER/wanted.json` and writes `FOLDER/fetched.json`.
`write` makes the blind folder and unpacks archives: work for a processor, which a latency session is to be
spared, so that it waits for the host's turn, as nothing that waits for a network may. Nothing that was
submitted is run or even loaded here. Exits as the evaluator does: 2 is the submitter's to mend, 3 ours.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluations import archives
from evaluations.datasets import locate, write_blind
from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.inspection import check_safe
from evaluations.latency import references
from evaluations.systems import hub, locations, vector_files

Part = Mapping[str, Any]

WANTED, FETCHED = "wanted.json", "fetched.json"


def main(deed: str, folder: Path) -> int:
    wanted = json.loads((folder / WANTED).read_text(encoding="utf-8"))
    try:
        prepared = DEEDS[deed](wanted, folder)
    except EvaluationError as error:
        print(error, file=sys.stderr)
        return 3 if isinstance(error, EvaluationFailed) else 2
    (folder / FETCHED).write_text(json.dumps(prepared), encoding="utf-8")
    return 0


def fetch(wanted: Mapping[str, Any], _: Path) -> dict[str, Any]:
    """What comes from elsewhere; the folders of archives are not known yet."""
    fetch_dataset(wanted["dataset"])
    return {
        "folders": [fetched(part) for part in wanted["parts"]],
        "checkpoints": {
            name: of_checkpoint(name, fetched, part) for name, part in wanted["checkpoints"].items()
        },
        "encoder": reference_encoder() if wanted["encoder"] else None,
    }


def write(wanted: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What is made of it on this machine."""
    blind_dataset(wanted["dataset"])
    found: dict[str, Any] = json.loads((folder / FETCHED).read_text(encoding="utf-8"))
    folders = [unpacked(part) or known for part, known in zip(wanted["parts"], found["folders"], strict=True)]
    checkpoints = {
        name: of_checkpoint(name, unpacked, wanted["checkpoints"][name]) or known
        for name, known in found["checkpoints"].items()
    }
    return {**found, "folders": folders, "checkpoints": checkpoints}


DEEDS = {"fetch": fetch, "write": write}


def is_written(wanted: Mapping[str, Any]) -> bool:
    """Whether `write` would have nothing to do."""
    parts = [*wanted["parts"], *wanted["checkpoints"].values()]
    return Path(wanted["dataset"]["blind"]).is_dir() and not any(part["archive"] for part in parts)


def fetch_dataset(dataset: Mapping[str, Any]) -> None:
    """So that it can be read without a network; once a dataset on each host."""
    if not Path(dataset["blind"]).is_dir():
        with _unavailable(dataset["name"]):
            locate(dataset["source"])


def blind_dataset(dataset: Mapping[str, Any]) -> None:
    """The folder for the process that runs the model, made once a dataset on each host."""
    target = Path(dataset["blind"])
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        with _unavailable(dataset["name"]):
            write_blind(
                dataset["source"], beside / "blind", split=dataset["split"], self_hits=dataset["self_hits"]
            )
        os.rename(beside / "blind", target)
    except OSError:
        if not target.is_dir():  # otherwise another worker was faster
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _unavailable(name: str) -> Iterator[None]:
    """What is wrong with a dataset of the board is no submitter's to mend."""
    try:
        yield
    except EvaluationError as error:
        raise EvaluationFailed("DATASET-UNAVAILABLE", f"{name} on this worker: {error.message}") from error


def fetched(part: Mapping[str, Any]) -> str | None:
    """The folder with the files of a model of the hub; None for a part without one."""
    return fetch_model(part["model"]) if part["model"] else None


def unpacked(part: Mapping[str, Any]) -> str | None:
    """The folder of a part that was submitted as an archive; None for another."""
    return unpack_archive(part["archive"]) if part["archive"] else None


def of_checkpoint(name: str, get: Callable[[Part], str | None], part: Part) -> str | None:
    """The folder of a model that a sweep averages; what is wrong with it is said under its name."""
    try:
        return get(part)
    except EvaluationError as error:
        raise type(error)(error.code, f"checkpoint {name}: {error.message}") from error


def fetch_model(model: Mapping[str, Any]) -> str:
    """The folder with the files of exactly the revision that was submitted."""
    fetched = locations.fetch(model["location"], model["revision"])
    for name, digest in model["files"].items():
        path = fetched.folder / name
        if not path.is_file() or not locations.is_file_of(path, digest):
            raise EvaluationError(
                "MODEL-CHANGED", f"{name} of {model['location']} is not the file it was when it was submitted"
            )
    return str(fetched.folder.resolve())


def reference_encoder() -> dict[str, str | None]:
    """`folder` of the encoder that latencies are held against, fetched where need be; else a `problem`.

    Here, because the process that measures sees neither the hub nor its cache. A row without it says so: it
    is no failure.
    """
    try:
        # Under the branch's name, by which the hub's cache is asked for it from then on, with no hub.
        found = references.encoder_location() or hub.download(references.ENCODER_MODEL, "main")
    except EvaluationError as error:
        return {"folder": None, "problem": str(error)}
    return {"folder": str(Path(found).resolve()), "problem": None}


def unpack_archive(archive: Mapping[str, Any]) -> str:
    """The folder of a submitted archive, with exactly the files that it had when it was checked."""
    folder = Path(archive["folder"])
    is_vectors = archive["kind"] == "vectors"
    contents = archives.VECTORS if is_vectors else archives.MODEL
    archives.unpack(Path(archive["path"]), folder, contents, kept_tops=archive["kept_tops"])
    found = vector_files.checksums(folder) if is_vectors else locations.file_checksums(folder)
    if found != archive["files"]:
        raise EvaluationError("MODEL-CHANGED", "the archive does not hold what it held when it was submitted")
    check_safe(folder, archive["kind"])
    return str(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
