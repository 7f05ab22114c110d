"""What every test may use: the engines, hypothesis' settings, and the order that tests run in."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from typing import Any

# Read when torch is loaded, here and in every process that tests start: threads that wait for each other sleep. Two
# test runs side by side on two cores would spend most of their time waiting at full speed.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import settings

from quantviz.kernels.engines import present

from . import compiled_once  # noqa: F401  (which it is from here on, in every process that runs tests)
from .kept import kept, kept_of_file  # noqa: F401  (fixtures)

settings.register_profile("default", deadline=None, max_examples=60, print_blob=True)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# Compilers make millions of small objects, thousands of tests stay in memory, and the collector goes through all of
# them again and again: a seventh of the time that kernels take to compile, and a second for each gc.collect().
gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="module", autouse=True)
def what_was_there_before_is_no_garbage() -> Iterator[None]:
    """What is alive when a file's tests begin is not gone through again."""
    gc.collect()
    gc.freeze()
    yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="keep what the tests give now, for later runs (tests/kept.py)")


SLOW_LAST = ("real_model", "browser")


@pytest.fixture(params=present(), scope="session")  # cuda joins where there is a GPU
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is present."""
    return request.param


@pytest.fixture(params=[e for e in present() if e != "reference"], scope="session")
def fast_engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is present and must give what `reference` gives."""
    return request.param


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick tests first; what starts a browser comes last. Several workers take them in an order of their own."""
    if hasattr(config, "workerinput"):
        return items.sort(key=lambda item: _turn(item.nodeid))
    return items.sort(
        key=lambda item: max((i + 1 for i, mark in enumerate(SLOW_LAST) if mark in item.keywords), default=0)
    )


# A file is one unit of work, or of the longest files of browsers each test: a long unit that begins late is waited for.
# First come the files that compile most kernels, the longest first, which need few that another one compiles at the
# same time; what finds its kernels on disk comes after them. Of browsers' units the longest come first, and what is
# left is short, so that all workers end at about the same time.
SINGLY = re.compile(r"tests/browser/test_(buttons|links)\.py")
BUTTONS = "tests/browser/test_buttons.py::test_every_button_of_a_page_with_a_random_tensor"
LINKS = "tests/browser/test_links.py::test_a_link_shows_afresh_and_on_back_what_it_says"
IN_TURN = (
    "tests/kernels/test_properties.py", "tests/block_types/", "tests/kernels/linear/test_in_interpreter.py",
    "tests/kernels/test_engines.py", "tests/kernels/test_options.py", "tests/kernels/test_conformance",
    "tests/kernels/test_hostile.py", "tests/kernels/test_", "tests/kernels/cuda/test_in_interpreter.py",
    "tests/checkpoints/", "tests/kernels/", "tests/throughput/test_in_interpreter.py",
    "tests/browser/test_accessibility.py", f"{LINKS}[explore]", f"{LINKS}[outliers]",
    "tests/browser/test_throughput.py", f"{BUTTONS}[quality]", f"{LINKS}[quality]",
    "tests/browser/test_published_files.py", "tests/browser/test_quality.py", "tests/browser/test_explore.py",
    BUTTONS, LINKS, "tests/browser/",
    "tests/pages/test_links.py", "tests/test_cli_signals.py", "tests/sources/", "tests/evaluation/",
    "tests/quality/", "tests/pages/",
)  # fmt: skip


def _unit(nodeid: str) -> str:
    """What one worker runs in one go."""
    file = nodeid.partition("::")[0]
    return nodeid if SINGLY.fullmatch(file) else file


def _turn(nodeid: str) -> int:
    return next((i for i, name in enumerate(IN_TURN) if nodeid.startswith(name)), len(IN_TURN))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile` with these units, in the order above instead of by their number of tests."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Units(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _unit(nodeid)

    config.option.loadscopereorder = False
    return Units(config, log)
