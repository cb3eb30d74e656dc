"""Calibrations of as many queries as the protocol wants, and not of as many as fit into a second."""

from collections.abc import Iterator

import pytest

from evaluations.latency import baseline


@pytest.fixture(scope="package", autouse=True)
def _brief_calibrations() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baseline, "LEAST_NS", 0)
        yield
