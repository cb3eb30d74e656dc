"""Inspecting a model of the hub by its small files: settings and the card, never vocabularies.

Of weights no tensor is read; of a sparse encoder's, their names (`tensor_names.py`).
"""

import tempfile
import time
from functools import partial
from pathlib import Path, PurePosixPath

from evaluations.errors import EvaluationError, EvaluationFailed
from evaluations.inspection.card import card_of
from evaluations.inspection.facts import model_facts
from evaluations.inspection.folder import inspect_folder
from evaluations.inspection.inspection import Facts, Inspection
from evaluations.inspection.kinds import Found, kind_of_folder
from evaluations.inspection.tensor_names import tensor_names
from evaluations.systems import hub, locations, safety
from evaluations.systems.folder_files import MAX_SETTINGS_BYTES
from evaluations.systems.late_interaction import REPLACED_CLASSES
from evaluations.systems.settings_files import checking
from evaluations.systems.sparse_folder import check_head, form_of

MAX_FILES = 40
MAX_FILE_BYTES = 1024**2
MAX_SECONDS = 20.0
_READ = frozenset({
    "config.json", "modules.json", "router_config.json", "config_sentence_transformers.json",
    "sentence_bert_config.json", "tokenizer_config.json", "adapter_config.json", "README.md",
    "model.safetensors.index.json",
})  # fmt: skip
_PRESENCE = frozenset({"idf.json"})  # what counts is that it is there


def inspect_hub(location: str, revision: str | None, *, kind: str | None = None) -> Inspection:
    """What `inspect_folder` says of a folder, of a hub id. A whole snapshot in the cache is asked first.

    Raises what `locations.pin` raises for names; EvaluationFailed `HUB-UNREACHABLE`.
    """
    pinned = locations.pinned(location, revision)  # also checks both names
    snapshot = hub.cached(location, pinned.revision)
    if snapshot is not None:
        return inspect_folder(snapshot, location=location, what="hub id", kind=kind)
    described = hub.describe(location, pinned.revision)
    with tempfile.TemporaryDirectory(prefix="hub-") as place:
        folder = Path(place)
        _fetch_small(location, described, folder)
        return _inspect(location, described, folder, kind)


def _fetch_small(location: str, model: hub.HubModel, folder: Path) -> None:
    end = time.monotonic() + MAX_SECONDS
    for name in _plain(model.names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name in _PRESENCE:
            path.touch()
        if path.name in _READ:
            if time.monotonic() > end:
                problem = f"the hub took over {MAX_SECONDS:g} s for the small files of {location}"
                raise EvaluationFailed("HUB-UNREACHABLE", f"{problem}; try again later")
            path.write_bytes(hub.read_small(location, model.commit, name, _limit(name)))


def _limit(name: str) -> int:
    return MAX_SETTINGS_BYTES if name.endswith(".index.json") else MAX_FILE_BYTES


def _plain(names: tuple[str, ...]) -> list[str]:
    """At most so many, near the top first; a name that leads elsewhere is never written."""
    paths = [PurePosixPath(name) for name in names]
    inside = [path for path in paths if not path.is_absolute() and ".." not in path.parts]
    wanted = [path for path in inside if path.name in _READ | _PRESENCE and len(path.parts) < 4]
    return [str(path) for path in sorted(wanted, key=lambda path: len(path.parts))[:MAX_FILES]]


def _inspect(location: str, model: hub.HubModel, folder: Path, wanted: str | None) -> Inspection:
    found: Found = (None, "its settings cannot be read", {})
    facts, why, form = Facts(), "", ""
    try:
        found = kind_of_folder(folder)
        form = _check_safe(location, model, folder, wanted or found[0])
        facts = model_facts(folder, found[0], model.parameters)
    except EvaluationFailed:
        raise
    except EvaluationError as error:
        why = str(error).replace(folder.name, location)
    return Inspection(
        location=location,
        what="hub id",
        kind=found[0],
        because=found[1],
        safe=not why,
        why=why,
        revision=model.commit,
        files=len(model.digests),
        size_bytes=model.size_bytes,
        facts=facts,
        card=card_of(folder),
        options=found[2],
        form=form,
    )


@checking("MODEL-CONFIG", "the model's settings")
def _check_safe(location: str, model: hub.HubModel, folder: Path, kind: str | None) -> str:
    """What `folder.check_safe` says of a folder, as far as the weights are not needed; the form."""
    form = form_of(folder) if kind == "sparse" else ""
    replaced = REPLACED_CLASSES if kind == "late-interaction" else frozenset()
    safety.check_description(folder, model.names, own_adapter=form == "causal", replaced=replaced)
    if model.parameters is not None:
        safety.check_sizes(folder, model.parameters)
    if form:
        check_head(folder, form, model.names, partial(tensor_names, location, model, folder))
    return form
