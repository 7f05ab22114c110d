"""What every test may use: the engines, hypothesis' settings, and the order that runs slow things last."""

from __future__ import annotations

import os

# Read when torch is loaded, here and in every process that tests start: threads that wait for each other sleep. Two
# test runs side by side on two cores would spend most of their time waiting at full speed.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import settings

from quantviz.kernels.engines import present

settings.register_profile("default", deadline=None, max_examples=60, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

SLOW_LAST = ("real_model", "browser")


# The engines that are present: cuda joins where there is a GPU.
@pytest.fixture(params=present(), scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first; what starts a browser comes last."""
    items.sort(key=lambda item: max((i + 1 for i, mark in enumerate(SLOW_LAST) if mark in item.keywords), default=0))
