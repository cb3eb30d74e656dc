"""Models that several tests share: made once, copied where a test changes them."""

import shutil

import pytest

from tests.evaluations.systems import tiny_sparse


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return tiny_sparse.one_of_each_form(tmp_path_factory.mktemp("sparse"))


@pytest.fixture
def copy(tiny, tmp_path):
    """Copies the tiny sparse model of a form."""
    return lambda name: shutil.copytree(getattr(tiny, name), tmp_path / name)
