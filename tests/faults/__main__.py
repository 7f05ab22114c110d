"""What breaks around quantviz: processes killed, disks full, homes missing, caches cut short. Minutes; not in CI.

    python -m tests.faults [NAME ...] [--times N] [--seed S]

Each scenario runs the command line as users do, against a Hub on loopback and a cache of its own, and prints one line
with figures. It fails where a number is wrong, a traceback shows, or bad luck ends in anything but one sentence.
Full and read-only disks are small file systems in memory, which takes root; without it they are passed over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.sources.builders import safetensors, weights
from tests.sources.fake_hub import FakeHub

ROOT = Path(__file__).parents[2]
BIG = weights(6000, 1024)  # 24 MB: six pieces
SMALL = "random:normal?rows=64&cols=256&seed=3"
LOAD = (
    "import hashlib, quantviz as qv; "
    "print(hashlib.sha256(qv.open_model('hf:org/name').load('big').tobytes()).hexdigest(), flush=True)"
)
# Compiles little: what describes a tensor, and no scheme's kernels.
RANDOM = ["-m", "quantviz", "evaluate", SMALL, "weight", "int4-sym-b32", "--device", "reference", "--json"]
EVALUATE = ["-m", "quantviz", "evaluate", "hf:org/name", "big", "int4-sym-b32", "--json"]


class Fault(AssertionError):
    """What should not be."""


def check(holds: bool, what: object) -> None:
    if not holds:
        raise Fault(str(what))


class Place:
    """A Hub, and an empty folder for the caches of a scenario."""

    def __init__(self, folder: Path, seed: int, times: int) -> None:
        self.folder, self.times, self.rng = folder, times, random.Random(seed)
        self.hub = FakeHub.start()
        self.hub.add_repo("org/name", {"model.safetensors": safetensors({"big": BIG, "tiny": BIG[:4]})})
        self.kernels = Path(os.environ.get("QUANTVIZ_CACHE") or Path.home() / ".cache" / "quantviz") / "kernels"

    def env(self, **changes: str | None) -> dict[str, str]:
        given = {
            **os.environ,
            "HF_ENDPOINT": self.hub.url,
            "HF_TOKEN": "",
            "QUANTVIZ_CACHE": str(self.folder),
            **changes,
        }
        return {name: value for name, value in given.items() if value is not None}

    def start(self, *arguments: str, shell: str = "", **env: str | None) -> subprocess.Popen:
        """Python with these arguments; `shell` is run before it, in a mount namespace of its own."""
        command = [sys.executable, *arguments]
        if shell:
            command = ["unshare", "-m", "sh", "-c", f'{shell} && exec "$@"', "sh", *command]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.env(**env), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str, shell: str = "", **env: str | None) -> tuple[int, str, str]:
        process = self.start(*arguments, shell=shell, **env)
        out, err = process.communicate(timeout=900)
        check("Traceback" not in err, err[-2000:])
        return process.returncode, out, err

    def metrics(self, *arguments: str, shell: str = "", **env: str | None) -> dict:
        status, out, err = self.run(*arguments, shell=shell, **env)
        check(status == 0, f"status {status}: {err}")
        return json.loads(out)[0]["metrics"]

    def sentence(self, *arguments: str, shell: str = "", **env: str | None) -> str:
        status, out, err = self.run(*arguments, shell=shell, **env)
        check((status, out, err.count("\n")) == (2, "", 1), f"status {status}, {out[:200]!r}, {err[:500]!r}")
        return err

    def warm(self) -> None:
        """The kernels that others compiled, so that a scenario need not."""
        if self.kernels.is_dir():
            shutil.copytree(self.kernels, self.folder / "kernels", dirs_exist_ok=True)


def killed_in_mid_download(place: Place) -> str:
    """kill -9 at random moments, again and again on one cache, then the right bytes."""
    import hashlib

    right, killed, again = hashlib.sha256(BIG.tobytes()).hexdigest(), 0, 0
    for _ in range(place.times):
        for _ in range(place.rng.randint(1, 4)):
            process = place.start("-c", LOAD)
            time.sleep(place.rng.uniform(0.2, 1.2))
            killed += process.poll() is None
            process.kill()
            out, _ = process.communicate()
            check(out in ("", right + "\n"), f"wrong bytes: {out}")
        status, out, err = place.run("-c", LOAD)
        check((status, out) == (0, right + "\n"), f"{out} {err}")
        again = max(again, place.hub.file_bytes)
        place.hub.forget()
        shutil.rmtree(place.folder / "hub")
    return f"{killed} killed in {place.times} rounds, bytes right, the file sent {again / BIG.nbytes:.2f} times at most"


def killed_in_mid_measurement(place: Place) -> str:
    """kill -9 while it measures, then the same figures as ever."""
    place.warm()
    right, killed, began = place.metrics(*EVALUATE), 0, time.monotonic()
    check(place.metrics(*EVALUATE) == right, "other figures at the second time")
    takes = time.monotonic() - began
    for _ in range(place.times):
        process = place.start(*EVALUATE)
        time.sleep(place.rng.uniform(0.2, 1) * takes)
        killed += process.poll() is None
        process.kill()
        process.communicate()
    check(place.metrics(*EVALUATE) == right, "other figures")
    return f"{killed} of {place.times} killed, figures equal"


def many_processes(place: Place) -> str:
    """Processes that fetch one tensor at once into one cache, empty and full in turn, one of them paused for long."""
    import hashlib

    right = hashlib.sha256(BIG.tobytes()).hexdigest() + "\n"
    for turn in range(place.times):
        if turn % 2 == 0:
            shutil.rmtree(place.folder / "hub", ignore_errors=True)
        place.hub.forget()
        started = [place.start("-c", LOAD) for _ in range(4)]
        time.sleep(place.rng.uniform(0.5, 1.5))
        started[0].send_signal(19)  # SIGSTOP, wherever it is
        time.sleep(1)
        started[0].send_signal(18)
        for process in started:
            out, err = process.communicate(timeout=300)
            check(out == right, f"{out} {err[-500:]}")
        check(place.hub.file_bytes <= BIG.nbytes * 1.1, f"{place.hub.file_bytes:,} bytes sent")
    return f"{4 * place.times} readings by 4 processes at a time, all right, each byte sent once"


def damaged_cache(place: Place) -> str:
    """Bytes of any file of the cache overwritten, cut or swapped at random, then the right figures."""
    import hashlib

    right, hub = hashlib.sha256(BIG.tobytes()).hexdigest() + "\n", place.folder / "hub"
    place.run("-c", LOAD)
    for _ in range(place.times):
        for path in place.rng.sample(sorted(hub.iterdir()), 2):
            data = path.read_bytes()
            at = place.rng.randrange(len(data) + 1)
            kinds = (data[:at], data[:at] + os.urandom(64) + data[at + 64 :], bytes(len(data)), data + data[:at], b"")
            path.write_bytes(place.rng.choice(kinds))
        status, out, err = place.run("-c", LOAD)
        check((status, out) == (0, right), f"{out} {err}")
    return f"{place.times} damaged, all healed"


def full_disk(place: Place) -> str:
    """A disk of 2 MB for every cache: the Hub's, the kernels', the turns of measurements."""
    disk = f"mount -t tmpfs -o size=2m none {place.folder}"
    said = place.sentence(*EVALUATE, shell=disk)
    check("is full" in said, said)
    full = f"{disk} && head -c 3000000 /dev/zero > {place.folder}/rest 2>/dev/null; true"
    right = place.metrics(*RANDOM, QUANTVIZ_CACHE=str(place.kernels.parent))
    check(place.metrics(*RANDOM, shell=full) == right, "other figures on a full disk")
    check("is full" in place.sentence(*EVALUATE, shell=full), "no word of it")
    listed = place.run("-m", "quantviz", "tensors", "hf:org/name", shell=f"{disk} && mkdir {place.folder}/hub")
    check(listed[0] == 0, listed)
    timed = place.run(
        "-m", "quantviz", "throughput", "--device", "reference", "--workload", "dequantize", "--tensor", "64x256",
        "--scheme", "fp32", "--rounds", "1", "--json", shell=full,
    )  # fmt: skip
    check(timed[0] in (0, 2) and timed[2].count("\n") <= 1, timed)
    return f"one sentence ({said.strip()[:60]} …), kernels and turns go on without"


def homes(place: Place) -> str:
    """No HOME, one that cannot be written to, one that is not there, a cache that is a file or cannot be written to."""
    right = place.metrics(*RANDOM, QUANTVIZ_CACHE=str(place.kernels.parent))
    sealed = f"mount -t tmpfs none {place.folder} && mount -o remount,ro {place.folder}"
    homeless: dict[str, str | None] = {"QUANTVIZ_CACHE": None, "XDG_CACHE_HOME": None}
    cases: dict[str, tuple[str, dict[str, str | None]]] = {
        "no HOME": ("", {**homeless, "HOME": None}),
        "read-only home": (sealed, {**homeless, "HOME": str(place.folder)}),
        "a home that is not there": ("", {**homeless, "HOME": "/nowhere/at/all"}),
        "read-only cache": (sealed, {}),
        "a cache that is a file": ("", {"QUANTVIZ_CACHE": str(Path(__file__))}),
        "a cache of nobody": ("", {"QUANTVIZ_CACHE": "~nosuchuser/cache"}),
        "a relative XDG_CACHE_HOME": ("", {**homeless, "XDG_CACHE_HOME": "relative"}),
    }
    sentences = 0
    for name, (shell, env) in cases.items():
        if shell and os.geteuid():
            continue
        check(place.metrics(*RANDOM, shell=shell, **env) == right, f"{name}: other figures")
        status, out, err = place.run(*EVALUATE, shell=shell, **env)
        check(status == 0 or (status, out, err.count("\n")) == (2, "", 1), f"{name}: {status} {err}")
        sentences += status == 2
    check(not (ROOT / "~").exists(), "a folder called ~ was made")
    return (
        f"{len(cases)} homes and caches: random tensors measured in all; of the Hub, {sentences} told in one sentence"
    )


def kernels_cut_short(place: Place) -> str:
    """Compiled kernels on disk cut, emptied, overwritten: compiled anew, and the same figures."""
    place.warm()
    random_one = ["-m", "quantviz", "evaluate", SMALL, "weight", "int4-sym-b32", "--json"]
    right = place.metrics(*random_one)
    files = [path for path in (place.folder / "kernels").rglob("*.nb?") if path.stat().st_atime > 0]
    for path in files:
        data = path.read_bytes()
        at = place.rng.randrange(len(data))
        kinds = (data[:at], b"", os.urandom(len(data)), data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
        path.write_bytes(place.rng.choice(kinds))
    check(place.metrics(*random_one) == right, "other figures")
    start = time.monotonic()
    check(place.metrics(*random_one) == right, "other figures when healed")
    return f"{len(files)} files damaged, figures equal, healed (the next run took {time.monotonic() - start:.0f} s)"


NEEDS_ROOT = {"full_disk"}
SCENARIOS: dict[str, Callable[[Place], str]] = {
    scenario.__name__: scenario
    for scenario in (
        killed_in_mid_download, killed_in_mid_measurement, many_processes, damaged_cache, full_disk, homes,
        kernels_cut_short,
    )
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given, failed = parser.parse_args(), 0
    for name in given.names or SCENARIOS:
        if name in NEEDS_ROOT and os.geteuid():
            print(f"{name}: passed over, it takes root", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            place, start = Place(Path(folder), given.seed, given.times), time.monotonic()
            try:
                said = SCENARIOS[name](place)
            except Fault as fault:
                failed, said = failed + 1, f"FAILED: {fault}"
            finally:
                place.hub.stop()
        print(f"{name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
