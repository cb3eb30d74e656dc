"""What the operator asked of the catalogue and cannot have."""


class CatalogueError(Exception):
    """One line that says what is wrong and what to do; commands print it and exit with 1."""
