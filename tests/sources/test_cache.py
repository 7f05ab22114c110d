from __future__ import annotations

import os
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantviz.errors import QuantvizError
from quantviz.sources import open_model
from quantviz.sources.cache import Cache, key_of
from quantviz.sources.span import merge, subtract
from tests.sources.builders import safetensors, weights

ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda r: (min(r), max(r))), max_size=8)


@given(ranges, st.integers(0, 40), st.integers(0, 40))
def test_ranges_are_sets_of_bytes(present, start, length):
    have = {b for a, z in present for b in range(a, z)}
    assert {b for a, z in merge(present) for b in range(a, z)} == have
    missing = subtract(start, start + length, present)
    assert {b for a, z in missing for b in range(a, z)} == set(range(start, start + length)) - have
    assert all(a < z for a, z in missing) and missing == merge(missing)


def fill(cache: Cache, key: str, nbytes: int, value: bytes = b"x") -> None:
    with cache.span(key, nbytes, 0, nbytes) as span:
        for start, stop in span.missing(0, nbytes):
            span.write(start, value * (stop - start))
            span.record(start, stop, zlib.crc32(value * (stop - start)))


def missing(cache: Cache, key: str, nbytes: int) -> int:
    with cache.span(key, nbytes, 0, nbytes) as span:
        return sum(stop - start for start, stop in span.missing(0, nbytes))


def test_least_recently_used_goes_first(tmp_path):
    cache = Cache(tmp_path, limit=300_000)
    for age, key in enumerate(("a", "b")):
        fill(cache, key, 100_000)
        for path in tmp_path.glob(f"{key}.*"):
            os.utime(path, (1000 + age, 1000 + age))
    missing(cache, "a", 100_000)  # used again
    (tmp_path / "notes.txt").write_text("not ours")
    fill(cache, "c", 150_000)
    assert (tmp_path / "notes.txt").exists()
    assert {path.name for path in tmp_path.glob("*.data")} == {"a.data", "c.data"}
    assert missing(cache, "a", 100_000) == 0


def test_an_open_tensor_outlives_its_file(tmp_path):
    cache = Cache(tmp_path, limit=10**6)
    fill(cache, "a", 4096)
    with cache.span("a", 4096, 0, 4096) as span:
        data = span.map(np.dtype("u1"), 16, 100)
    for path in tmp_path.iterdir():
        path.unlink()
    assert set(np.asarray(data).tolist()) == {ord("x")}


def test_a_damaged_journal_claims_nothing(tmp_path):
    cache = Cache(tmp_path, limit=10**6)
    fill(cache, "a", 4096)
    whole = (tmp_path / "a.ranges").read_bytes().split()[2]
    seven = b"%08x" % zlib.crc32(b"x" * 7)
    damaged = b"\xff\xfe 3\n0 10\n0 9999 " + whole + b"\n5 x 7\n0 100 " + seven + b"\n0 7 " + seven
    (tmp_path / "a.ranges").write_bytes(damaged)
    assert missing(cache, "a", 4096) == 4096 - 7


def test_a_journal_of_another_data_file_claims_nothing(tmp_path):
    cache = Cache(tmp_path, limit=10**6)
    fill(cache, "a", 4096)
    (tmp_path / "a.data").unlink()
    assert missing(cache, "a", 4096) == 4096


def test_too_large_for_the_cache(hub, monkeypatch):
    hub.add_repo("org/name", {"model.safetensors": safetensors({"w": weights(1000, 1000)})})
    monkeypatch.setenv("QUANTVIZ_CACHE_GB", "0.001")
    model = open_model("hf:org/name")
    with pytest.raises(QuantvizError, match=r"0.004 GB do not fit the cache of 0.001 GB; choose fewer rows"):
        model.load("w")
    assert np.array_equal(model.load("w", rows=(0, 9)), weights(1000, 1000)[:9])


@pytest.mark.parametrize("size", ["none", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_no_size(monkeypatch, tmp_path, size):
    monkeypatch.setenv("QUANTVIZ_CACHE_GB", size)
    with pytest.raises(QuantvizError, match="is no size"):
        Cache.default(tmp_path)


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(QuantvizError, match="cannot be used"):
        Cache.default(tmp_path / "file" / "cache")


def test_keys_tell_their_parts_apart():
    assert key_of("a", "bc") != key_of("ab", "c")
