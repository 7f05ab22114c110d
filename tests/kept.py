"""What came out before, on disk: a test's results are held against it, so that no part of them changes unseen.

    kept(value)                                 in a test; several calls in one test are told apart by their order
    kept(value, every=True)                     of every test of a folder, by a fixture: a new test needs no word of it
    python -m pytest tests/figures --keep       writes what comes out now, to be read as a diff before it is committed

Numbers may differ by CLOSE, or by `close`, since sums in float32 differ from one processor to another.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CLOSE = 1e-5  # relative: above what the order of float32 sums changes, below what anybody reads
NOTHING = 1e-9  # absolute: what rounding leaves of zero
LONG, ENDS = 12, 3  # longer lists are kept as their length, both ends and a sum
TEXT = 1000  # longer texts, such as pictures and paths, as their length, both ends and the sum of their numbers
_NUMBER = re.compile(r"-?[0-9]+(?:[.][0-9]+)?(?:e-?[0-9]+)?")


def plain(value: Any) -> Any:
    """JSON's own types, long lists shortened."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping) and value.keys() == {"dtype", "bdata"}:  # an array, as Plotly sends it
        value = np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).tolist()
    if isinstance(value, str) and len(value) > TEXT:
        numbers = [] if value.startswith("data:") else map(float, _NUMBER.findall(value))
        return {"letters": len(value), "begin": value[:LONG], "end": value[-LONG:], "sum": sum(numbers)}
    if isinstance(value, Mapping):
        return {str(key): plain(of) for key, of in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _shortened([plain(of) for of in value])
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else repr(value)


def _shortened(values: list) -> Any:
    if len(values) <= LONG or any(isinstance(v, dict) for v in values):
        return values
    numbers = [v for v in values if isinstance(v, (int, float))]
    letters = sum(len(v) for v in values if isinstance(v, str))
    return {"of": len(values), "begin": values[:ENDS], "end": values[-ENDS:], "sum": sum(numbers), "letters": letters}


def difference(now: Any, before: Any, close: float = CLOSE, at: str = "") -> str | None:
    """Where two values first differ, and how; None where they do not."""
    if isinstance(now, dict) and isinstance(before, dict):
        if list(now) != list(before) and set(now) != set(before):
            return f"{at or 'all of it'} has {sorted(set(now) ^ set(before))} only now or only before"
        pairs = [(now[key], before[key], close, f"{at}.{key}") for key in now]
    elif isinstance(now, list) and isinstance(before, list):
        if len(now) != len(before):
            return f"{at or 'all of it'} has {len(now)} parts, before {len(before)}"
        pairs = [(*both, close, f"{at}[{i}]") for i, both in enumerate(zip(now, before, strict=True))]
    else:
        numbers = not any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in (now, before))
        same = math.isclose(now, before, rel_tol=close, abs_tol=NOTHING) if numbers else now == before
        return None if same else f"{at or 'all of it'} is {now!r}, before {before!r}"
    return next(filter(None, (difference(*pair) for pair in pairs)), None)


def _written(found: dict[str, list]) -> str:
    """A line a value, so that a diff shows what changed."""
    lines = (
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(v, ensure_ascii=False) for v in values) + "\n]"
        for name, values in sorted(found.items())
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


@pytest.fixture(scope="module")
def kept_of_file(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, list], dict[str, list]]]:
    """What the tests of a file gave before, and what they give now."""
    path = Path(request.path).parent / "kept" / f"{Path(request.path).stem}.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    now: dict[str, list] = {}
    yield before, now
    now = {name: values for name, values in now.items() if values}
    if request.config.getoption("keep") and now:
        path.parent.mkdir(exist_ok=True)
        path.write_text(_written(before | now), "utf-8")


@pytest.fixture
def kept(request: pytest.FixtureRequest, kept_of_file: tuple) -> Callable[[Any], None]:
    """Holds a value against what it was before: JSON's types, arrays, and lists and dicts of them."""
    before, now = kept_of_file
    name = request.node.name
    now[name] = []

    def hold(value: Any, every: bool = False, close: float = CLOSE) -> None:
        if every and name not in before and not request.config.getoption("keep"):
            return
        value = json.loads(json.dumps(plain(value)))
        now[name].append(value)
        if not request.config.getoption("keep"):
            values = before.get(name, [])
            assert len(values) >= len(now[name]), "Nothing is kept of this yet: run the test with --keep."
            found = difference(value, values[len(now[name]) - 1], close)
            assert not found, f"{found}: right? Then --keep."

    return hold
