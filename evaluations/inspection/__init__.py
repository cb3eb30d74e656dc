"""What a folder, an archive or a model of the hub is, and whether it is safe: no tensor read, nothing loaded.

The command `inspect`, the web form and REST all ask here, and the worker checks again by the same rules.
"""

from evaluations.inspection.folder import check_safe, inspect_folder
from evaluations.inspection.inspection import FACTS, Card, Facts, Inspection
from evaluations.inspection.location import inspect_archive, inspect_location, inspect_model

__all__ = [
    "FACTS", "Card", "Facts", "Inspection", "check_safe", "inspect_archive", "inspect_folder",
    "inspect_location", "inspect_model",
]  # fmt: skip
