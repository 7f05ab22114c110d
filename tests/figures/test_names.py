"""Names beside points: all of them, apart from each other and from every point."""

from __future__ import annotations

import itertools

import numpy as np

from quantviz.figures import names


def boxes(notes: list[dict], x, y, axes) -> list[tuple[float, float, float, float]]:
    found = []
    for note in notes:
        (px, py), half = names._pixels([note["x"]], [note["y"]], axes)[0], names._LETTER * len(note["text"]) / 2
        across, down = px + note["ax"], py + note["ay"]
        found.append((across - half, down - names._HIGH / 2, across + half, down + names._HIGH / 2))
    return found


def test_thirty_crowded_points_are_all_named_and_nothing_is_covered() -> None:
    random = np.random.default_rng(1)
    x = np.round(4 + random.random(30) * 0.5, 1)  # as of formats, many have the same size
    y = 18 + 5 * random.random(30)
    keys, axes = [f"int4-asym-b{i}" for i in range(30)], ((3.9, 4.7), (17.0, 24.0))
    notes = names.beside(x, y, keys, [3, 7], axes)
    assert {note["text"] for note in notes} == set(keys)
    assert [note["text"] for note in notes[:2]] == [keys[3], keys[7]]
    assert all((note.get("name") == names.WIDE) == (note["text"] not in (keys[3], keys[7])) for note in notes)
    placed = boxes(notes, x, y, axes)
    assert not any(names._meet(a, b) for a, b in itertools.combinations(placed, 2))
    points = [(px - 4, py - 4, px + 4, py + 4) for px, py in names._pixels(x, y, axes)]
    assert not any(names._meet(a, b) for a in placed for b in points)
    assert all(0 <= left and right <= names.PLOT[0] and 0 <= top and down <= names.PLOT[1]
               for left, top, right, down in placed)  # fmt: skip


def test_a_lone_point_has_its_name_beside_it_without_a_line() -> None:
    (note,) = names.beside(np.array([1.0]), np.array([2.0]), ["q4_0"], [0], ((0.0, 2.0), (0.0, 4.0)))
    assert note["ay"] == 0 and 0 < note["ax"] < 40 and note["arrowcolor"] == "rgba(0,0,0,0)" and "name" not in note
