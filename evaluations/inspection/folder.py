"""Inspecting a folder that lies here whole."""

from pathlib import Path

from evaluations.errors import EvaluationError
from evaluations.inspection.card import card_of
from evaluations.inspection.facts import model_facts, vector_facts
from evaluations.inspection.inspection import Facts, Inspection, What
from evaluations.inspection.kinds import kind_of_folder
from evaluations.systems import locations, safety, vector_files, weight_files
from evaluations.systems.late_interaction import REPLACED_CLASSES
from evaluations.systems.settings_files import checking
from evaluations.systems.sparse_folder import check_sparse_folder

_VECTOR_SIDES = ("documents", "queries")


def inspect_folder(
    folder: Path, *, location: str = "", what: What = "folder", kind: str | None = None
) -> Inspection:
    """Raises nothing that is the submitter's to mend: what is refused is in `why`.

    `kind`: as which it is checked, in place of the one that is detected.
    """
    shown = location or str(folder)
    try:
        detected, because, options = kind_of_folder(folder)
    except EvaluationError as error:
        return Inspection(shown, what, None, "its settings cannot be read", False, str(error))
    is_vectors, form = detected == "vectors", ""
    try:
        form = check_safe(folder, kind or detected)
        files = vector_files.checksums(folder) if is_vectors else locations.file_checksums(folder)
        facts = vector_facts(folder) if is_vectors else model_facts(folder, detected, _parameters(folder))
        why = ""
    except EvaluationError as error:
        files, facts, why = {}, Facts(), str(error)
    return Inspection(
        location=shown,
        what=what,
        kind=detected,
        because=because,
        safe=not why,
        why=why,
        revision=locations.checksum(files) if files else None,
        files=len(files),
        size_bytes=sum((folder / name).stat().st_size for name in files),
        facts=facts,
        card=card_of(folder),
        options=options,
        form=form,
    )


@checking("MODEL-CONFIG", "the folder")
def check_safe(folder: Path, kind: str | None) -> str:
    """What loading it as this kind checks first; its form, where the kind tells several apart.

    Raises EvaluationError.
    """
    if kind == "sparse":
        return check_sparse_folder(folder)
    if kind == "vectors":
        _check_vectors(folder)
    else:
        safety.check_folder(folder, replaced=REPLACED_CLASSES if kind == "late-interaction" else frozenset())
    return ""


def _check_vectors(folder: Path) -> None:
    """That each dataset's files are there and described; their content is read when they are submitted."""
    inner = sorted(path.parent for path in folder.glob("*/meta.json"))
    for place in inner or [folder]:
        vector_files.read_meta(vector_files.folder_for(place, None))
        for side in _VECTOR_SIDES:
            vector_files.vector_file(place, side)


def _parameters(folder: Path) -> int:
    return weight_files.parameters(weight_files.read_folders(safety.module_folders(folder)))
