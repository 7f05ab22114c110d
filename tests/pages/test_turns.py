"""Turns: no more threads at once than there are, in the order in which they came, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pages.components.work.turns import Turns

SOON = 10.0  # seconds until a test that hangs fails


def begun(*runs: Callable[[], None]) -> list[threading.Thread]:
    """A thread for each, begun one after another so that they come in this order."""
    threads = []
    for run in runs:
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        time.sleep(0.02)
    return threads


def joined(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_at_once_than_there_are_turns_and_in_order(count):
    turns, inside, most, came = Turns(count), [0], [0], []
    lock, door = threading.Lock(), threading.Event()

    def run(number: int) -> None:
        with turns.taken():
            with lock:
                came.append(number)
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            door.wait(SOON)
            time.sleep(0.005)
            with lock:
                inside[0] -= 1

    threads = begun(*(lambda n=n: run(n) for n in range(8)))
    door.set()
    joined(threads)
    assert most[0] == count and sorted(came) == list(range(8))
    assert count > 1 or came == list(range(8)), "who came first goes first"


def test_who_waits_for_something_else_lets_another_and_goes_on_at_once():
    turns, said, other_is_in, go_on = Turns(1), [], threading.Event(), threading.Event()

    def first() -> None:
        with turns.taken():
            with turns.left():
                assert other_is_in.wait(SOON)
            said.append("first goes on")
            go_on.set()

    def second() -> None:
        with turns.taken():
            other_is_in.set()
            assert go_on.wait(SOON), "the first need not wait for its turn again"
            said.append("second")

    joined(begun(first, second))
    assert said == ["first goes on", "second"]
    with turns.taken():  # and the one turn is free again
        said.append("third")


def test_an_error_gives_the_turn_back_and_without_one_there_is_none_to_leave():
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(SystemExit), turns.taken(), turns.left():
            raise SystemExit
    with turns.left(), turns.left():
        pass
    taken = threading.Event()

    def run() -> None:
        with turns.taken():
            taken.set()

    joined(begun(run))
    assert taken.is_set()


def test_a_page_that_never_ends_holds_others_up_for_a_while_only():
    turns, door = Turns(1, longest=0.1), threading.Event()

    def never() -> None:
        with turns.taken():
            door.wait(SOON)

    held = begun(never)
    joined(begun(*[lambda: turns.taken().__enter__()] * 2))
    door.set()
    joined(held)
