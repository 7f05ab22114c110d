"""What is kept for visitors goes when the last one has been away for a while, and not before."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from pages.components.work import absence, bounded, cached, visitors
from pages.components.work.bounded import BoundedCache

from .running import APP, SMALL, opened, settled

AWAY = absence.AWAY  # before a test shortens it
WAIT = 10.0  # seconds within which another thread surely gets its turn


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + WAIT
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.fixture
def here(monkeypatch) -> Iterator[set[str]]:
    """The windows that are open."""
    windows: set[str] = set()
    monkeypatch.setattr(absence.runtime, "exists", lambda: True)
    monkeypatch.setattr(absence, "is_connected", windows.__contains__)
    monkeypatch.setattr(absence, "session", lambda: "a window")
    monkeypatch.setattr(absence, "forget_closed", lambda: None)
    monkeypatch.setattr(absence, "LOOK", 0.01)
    monkeypatch.setattr(absence, "AWAY", 0.1)
    yield windows
    windows.clear()
    assert until(lambda: not absence._looking)


def test_what_can_be_had_again_goes_when_the_last_window_has_been_closed_for_a_while(here, monkeypatch):
    kept, gone, given_back = BoundedCache(10, len), BoundedCache(10, len, had_again=True), []
    monkeypatch.setattr(absence, "give_back", lambda: given_back.append(True))
    for times in (1, 2):  # whoever comes back is looked after again
        kept.put("text", "abc")
        gone.put("text", "abc")
        here.add("a window")
        absence.note_visit()
        time.sleep(3 * absence.AWAY)
        assert gone.peek("text") == "abc"
        here.clear()
        assert until(lambda count=times: len(given_back) == count)
        assert gone.peek("text") is None and kept.peek("text") == "abc"


@pytest.mark.parametrize(
    ("page", "ref"),
    [("explore", SMALL), ("explore", "values:0.5,-1,0.25,3"), ("explore", "demo"), ("compare", SMALL),
     ("outliers", SMALL)],
)  # fmt: skip
def test_a_window_that_comes_back_finds_its_page(page, ref):
    """Its state is that of before: the page is drawn before the controls that would open the model."""
    app = opened(page, ref=ref)
    bounded.let_go()
    assert cached._made_up.peek(cached.source_of(SMALL, SMALL, None, None)) is None
    app.text_input(key="scheme").set_value("nf4-b64")
    settled(app)
    assert not app.exception and not app.error


def test_windows_that_were_closed_long_ago_are_forgotten(monkeypatch):
    """Streamlit's own classes, whose insides are no promise: a version that moves them is noticed here."""
    now, storage = [0.0], MemorySessionStorage()
    storage._cache._timer = lambda: now[0]
    manager = WebsocketSessionManager(storage, None, None, None)
    monkeypatch.setattr(visitors.runtime, "exists", lambda: True)
    monkeypatch.setattr(visitors.runtime, "get_instance", lambda: SimpleNamespace(_session_mgr=manager))
    windows = {}
    for name, runner in (("early", None), ("drawn", "a page"), ("late", None)):
        windows[name] = AppSession.__new__(AppSession)
        vars(windows[name]).update(
            id=name, _state=AppSessionState.APP_NOT_RUNNING, held="much", shutdown=Mock(), _scriptrunner=runner
        )
        storage.save(Mock(spec=SessionInfo, session=windows[name]))
        now[0] += storage._cache.ttl / 3
    now[0] += storage._cache.ttl / 3
    ended = [windows[name].shutdown for name in windows]
    visitors.forget_closed()
    assert list(storage._cache._data) == ["late"] and windows["late"].held == windows["drawn"].held == "much"
    assert [end.called for end in ended] == [True, True, False] and list(vars(windows["early"])) == ["_state"]
    for window in windows.values():
        window._state = AppSessionState.SHUTDOWN_REQUESTED  # it ends without a server
    assert AWAY >= absence.LOOK + storage._cache.ttl


def test_where_no_server_runs_any_more_nobody_is_forgotten(monkeypatch):
    """The looking thread may outlive its server, as it does in tests."""
    monkeypatch.setattr(visitors.runtime.Runtime, "_instance", None)
    visitors.forget_closed()


ARRAYS, EACH = 50, 1 << 20  # of so many bytes
MEMORY = f"""
import resource

import numpy as np

from pages.components.work.absence import keep_together


def resident():
    with open("/proc/self/statm") as sizes:
        return int(sizes.read().split()[1]) * resource.getpagesize()


keep_together()
np.ones({2 * EACH}, np.uint8)  # the first large array that is freed
before = resident()
large, small = [], []
for _ in range({ARRAYS}):
    large.append(np.ones({EACH}, np.uint8))
    small.append(bytearray(2000))
del large
print(resident() - before)
"""


def test_large_arrays_go_back_to_the_system_though_small_things_made_between_them_stay():
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("needs glibc, whose memory it is about")
    told = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, cwd=APP.parent)
    assert int(told.stdout) < ARRAYS * EACH / 10


def test_memory_is_given_back_where_the_system_takes_it():
    absence.keep_together()  # and where it does not, nothing happens
    absence.give_back()
