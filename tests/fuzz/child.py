"""One child of the fuzzer: reads damaged files, and says of each what came of it."""

from __future__ import annotations

import random
import resource
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from quantviz.errors import QuantvizError
from tests.fuzz.kinds import KINDS

SECONDS = 2.0  # of computing
MEMORY = 200  # MB above what the child had before


def _resident() -> int:
    """MB that this process has in memory, at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def batch(name: str, seed: int, first: int, count: int, kept: str, pipe) -> None:
    """Reads files first … first + count of a seed, and sends what was found after each."""
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        kind.make(folder)
        sound = {target: (folder / target).read_bytes() for target in kind.targets}
        for place in {(folder / target).parent for target in kind.targets}:
            kind.read(place)  # which loads what is loaded once
        before, counted = _resident(), Counter()
        for number in range(first, first + count):
            rng = random.Random(f"{name}-{seed}-{number}")
            target = rng.choice(kind.targets)
            (folder / target).write_bytes(kind.damage(target, sound[target], rng))
            pipe.send(("at", number))
            began = time.process_time()
            outcome, why = _read(kind, (folder / target).parent)
            took = time.process_time() - began
            if outcome == "accepted" and kind.theirs is not None:
                outcome, why = _compare(kind, folder)
            if took > SECONDS:
                outcome, why = "slow", f"{took:.1f} s"
            if (now := _resident()) > before + MEMORY:
                outcome, why, before = "large", f"{now - before} MB", now
            counted[outcome] += 1
            if outcome not in ("accepted", "refused"):
                saved = Path(kept) / f"{name}-{number}-{outcome}"
                saved.write_bytes((folder / target).read_bytes())
                pipe.send(("fault", number, outcome, why))
            (folder / target).write_bytes(sound[target])
        pipe.send(("done", dict(counted), _resident() - before))


def _read(kind, folder: Path) -> tuple[str, str]:
    try:
        kind.read(folder)
    except QuantvizError as problem:
        said = str(problem)
        good = said and "\n" not in said and len(said) <= 2000 and said.endswith((".", "?"))
        return ("refused", said) if good else ("sentence", said)
    except BaseException:
        return "raised", traceback.format_exc()[-1500:]
    return "accepted", ""


def _compare(kind, folder: Path) -> tuple[str, str]:
    """What the format's own library says of a file that was accepted here."""
    try:
        kind.theirs(folder)
    except Exception as problem:
        if not kind.known(folder, problem):
            return "lenient", f"{type(problem).__name__}: {problem}"[:300]
    return "accepted", ""
