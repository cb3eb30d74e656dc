"""The ids of models on the hub: one rule for whatever takes them."""

import re

# As huggingface_hub's validate_repo_id, and stricter at the start of both parts.
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"(?!.*(?:\.\.|--)){_PART}/{_PART}(?<!\.git)")


def is_hub_id(text: str) -> bool:
    """Whether it is ORG/NAME: up to 96 of A-Z a-z 0-9 . _ - each, from a letter or digit, to no . or -."""
    return _HUB_ID.fullmatch(text) is not None
