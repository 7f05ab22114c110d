"""One measurement at a time on a device: in order, told who is ahead, and free again whatever happens."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from quantviz.throughput import turns
from quantviz.throughput.turns import Ticket

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def own_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUANTVIZ_CACHE", str(tmp_path))
    monkeypatch.setattr(turns, "POLL", 0.01)
    return tmp_path / "turns"


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.ticket")]


def test_alone_it_is_ones_turn_at_once(own_queue: Path) -> None:
    turn = Ticket("cpu", "decode on the CPU")
    assert list(turn.wait(threading.Event())) == []
    turn.leave()
    assert left_in(own_queue) == []


def test_the_second_reads_who_is_ahead_and_goes_on_when_the_first_leaves() -> None:
    first, second, third = (
        Ticket("cpu", "decode on the CPU"),
        Ticket("cpu", "linear on the CPU"),
        Ticket("cpu", "quantize"),
    )
    assert list(first.wait(threading.Event())) == []
    waits = second.wait(threading.Event())
    told = next(waits)
    assert told.ahead == 1 and "decode on the CPU" in told.sentence and "It goes first" in told.sentence
    of_third = next(third.wait(threading.Event()))
    assert of_third.ahead == 2 and "2 measurements go first" in of_third.sentence
    first.leave()
    assert list(waits) == []
    second.leave()
    assert list(third.wait(threading.Event())) == []
    third.leave()


def test_devices_do_not_wait_for_each_other() -> None:
    one, other = Ticket("cpu", "a"), Ticket("cuda", "b")
    assert list(one.wait(threading.Event())) == list(other.wait(threading.Event())) == []
    one.leave()
    other.leave()


def test_who_gives_up_leaves_the_queue(own_queue: Path) -> None:
    first, second, cancel = Ticket("cpu", "a"), Ticket("cpu", "b"), threading.Event()
    list(first.wait(threading.Event()))
    waits = second.wait(cancel)
    next(waits)
    cancel.set()
    assert list(waits) == []
    second.leave()
    first.leave()
    assert left_in(own_queue) == []


def test_never_two_at_once_among_threads() -> None:
    inside, most, done = [], [], []

    def measure(number: int) -> None:
        turn = Ticket("cpu", str(number))
        try:
            list(turn.wait(threading.Event()))
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(number)
            done.append(number)
        finally:
            turn.leave()

    threads = [threading.Thread(target=measure, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert max(most) == 1 and sorted(done) == list(range(8))


HOLD = """
import sys, threading
from quantviz.throughput.turns import Ticket
turn = Ticket("cpu", "the other process")
list(turn.wait(threading.Event()))
print("mine", flush=True)
sys.stdin.read()
"""


def test_another_process_is_waited_for_and_its_crash_frees_the_device() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout.readline() == "mine\n"
        turn = Ticket("cpu", "mine")
        waits = turn.wait(threading.Event())
        assert "the other process" in next(waits).sentence
        process.kill()
        process.wait(10)
        assert list(waits) == []
        turn.leave()
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def test_a_folder_that_cannot_be_written_to_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("QUANTVIZ_CACHE", str(file))
    monkeypatch.setattr(turns.tempfile, "gettempdir", lambda: str(tmp_path))
    assert turns.folder() == tmp_path / "quantviz-turns"
