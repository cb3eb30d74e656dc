import pytest

from tests.evaluations.sweeps import models


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a small dense model."""
    return models.saved(models.bert(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def mixture(tmp_path_factory):
    """The folder of a small dense model whose MLPs are mixtures of experts."""
    return models.saved(models.mixtral(), tmp_path_factory.mktemp("mixture"))
