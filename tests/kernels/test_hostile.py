"""Finite weights at the ends of float32 give finite numbers or one sentence in every scheme; none ends the process.

Compiled code does not check indices, so each engine is tried in a process of its own, and once with numba's checks on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import quantviz as qv

from .hostile import with_options
from .test_engines import ONE_PER_RULE

ROOT = Path(__file__).parent.parent.parent
OPTIONED = [key for one in ONE_PER_RULE for key in with_options(one)]
# The readable engine takes its time, so of it only what differs.
READABLE = [key for one in ("int4-offset-b32", "nf4-b64", "mxfp4") for key in with_options(one)]
FEW = "one largest number,both ends,subnormal,one row"
# Compiled anew with the checks, ten seconds each: a rule with a scale a block, one with a scale of scales, and bytes.
CHECKED = ("int4-sym-b32", "nvfp4", "q4_0")


def run(engine: str, keys: list[str], **environment: str) -> list[str]:
    """What is wrong, a line for each scheme and tensor; the last line tried, where the process died."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.kernels.hostile", engine, *keys],
        env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [f"{key} on {name}: {found}" for key, name, *found in lines if found]
    if done.returncode:
        wrong.append(
            f"ended with {done.returncode} in {lines[-1] if lines else 'the beginning'}: {done.stderr[-2000:]}"
        )
    return wrong


@pytest.mark.parametrize(
    ("engine", "keys", "environment"),
    [
        ("cpu", [*ONE_PER_RULE], {}),
        # Every scheme, and every option of several schemes, meets each of the tensors; not each pair of both.
        ("cpu", OPTIONED, {"HOSTILE_EVERY": "3"}),
        ("cpu", [*qv.catalogue()], {"HOSTILE_TENSORS": FEW}),
        # Half of the tensors each, in turn: it is slow, and what it refuses is what all engines share.
        ("reference", [*ONE_PER_RULE, *READABLE], {"HOSTILE_EVERY": "2"}),
    ],
    ids=["cpu, rules", "cpu, options", "cpu, catalogue", "reference"],
)
def test_what_comes_of_hostile_weights_is_finite_or_refused(engine: str, keys: list[str], environment: dict) -> None:
    assert run(engine, keys, **environment) == []


def test_no_index_leaves_its_table(tmp_path: Path) -> None:
    """With numba's own checks, which end in IndexError where the compiled code would read or write elsewhere."""
    checks = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "0", "QUANTVIZ_CACHE": str(tmp_path), "HOSTILE_TENSORS": FEW}
    assert run("cpu", [*CHECKED], **checks) == []
