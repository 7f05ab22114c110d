"""Fuzzes whatever reads files: `python -m tests.fuzz [--kind K] [--count N] [--seed S]`. Not collected by pytest.

Each damaged file is read in a child process that lives for many: nothing but QuantvizError may come of it, within the
seconds and megabytes that tests/fuzz/child.py names, and a message of one bounded line. What breaks a rule is kept in a
folder that is named at the end.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter

from tests.fuzz.child import batch
from tests.fuzz.kinds import KINDS

HANGS = 60.0  # seconds after which a child is given up
BATCH = 500  # files a child


def run(name: str, seed: int, count: int, kept: str) -> tuple[Counter, list]:
    """All files of a kind, in children one after the other."""
    total, faults, first = Counter(), [], 0
    context = multiprocessing.get_context("spawn")
    while first < count:
        mine, theirs = context.Pipe(duplex=False)
        size = min(BATCH, count - first)
        child = context.Process(target=batch, args=(name, seed, first, size, kept, theirs))
        child.start()
        theirs.close()
        at, done = first, False
        try:
            while not done and mine.poll(HANGS):
                kind, *told = mine.recv()
                if kind == "at":
                    at = told[0]
                elif kind == "fault":
                    faults.append(tuple(told))
                else:
                    total.update(told[0])
                    total["most MB"] = max(total["most MB"], told[1])
                    done = True
        except EOFError:
            pass
        if not done:
            faults.append((at, "died or hung", ""))
            total["died or hung"] += 1
            child.kill()
        child.join()
        first = first + size if done else at + 1
    return total, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kept, bad = tempfile.mkdtemp(prefix="quantviz-fuzz-"), 0
    for name in args.kind or KINDS:
        began = time.monotonic()
        total, faults = run(name, args.seed, args.count, kept)
        bad += len(faults)
        told = {"kind": name, "files": args.count, **total, "seconds": round(time.monotonic() - began)}
        print(json.dumps(told), flush=True)
        for number, outcome, why in faults[:20]:
            print(f"  {name} {number} {outcome}: {why}", flush=True)
    print(f"{bad} faults" + (f"; the files are in {kept}" if bad else ""))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
