"""The Hub as it sometimes is: every failure is either overcome or told in one sentence."""

from __future__ import annotations

import threading
import time

import huggingface_hub.utils
import numpy as np
import pytest

from quantviz.errors import QuantvizError
from quantviz.sources import open_model
from tests.sources.builders import safetensors, weights
from tests.sources.fake_hub import Fault

BIG = weights(3000, 1024)  # 12 MB: three pieces
NAME = "hf:org/name"


@pytest.fixture(autouse=True)
def repository(hub) -> None:
    hub.add_repo("org/name", {"model.safetensors": safetensors({"big": BIG, "small": weights(4, 4)})})


PASSING = {
    "connection dropped": Fault("cdn", "drop", times=2),
    "truncated body": Fault("cdn", "truncate", after=100_000, times=3),
    "server error": Fault("cdn", "status", status=503, times=2),
    "bad gateway": Fault("cdn", "status", status=502, times=2),
    "rate limit": Fault("cdn", "status", status=429, headers={"Retry-After": "0"}, times=2),
    "rate limit without a time": Fault("cdn", "status", status=429),
    "expired address": Fault("cdn", "status", status=403, times=3),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_passing_trouble_is_overcome(hub, fault):
    model = open_model(NAME)
    hub.forget()
    hub.faults.append(fault)
    assert np.array_equal(model.load("big"), BIG)
    assert hub.file_bytes <= BIG.nbytes * 1.01
    assert fault.times == 0


@pytest.mark.parametrize(
    "fault",
    [Fault("cdn", "stall", after=200_000, seconds=0.9), Fault("cdn", "slow", seconds=0.9)],
    ids=["stall", "no answer"],
)
def test_silence_is_overcome(hub, impatient, fault):
    model = open_model(NAME)
    hub.forget()
    hub.faults.append(fault)
    assert np.array_equal(model.load("big"), BIG)
    assert hub.file_bytes <= BIG.nbytes * 2  # what was on its way to whoever hung up is sent again
    assert fault.times == 0


@pytest.mark.parametrize("kind", ["drop", "status"])
def test_passing_trouble_while_listing_is_overcome(hub, kind):
    for server in ("api", "resolve", "cdn"):
        hub.faults.append(Fault(server, kind))
    assert open_model(NAME).tensors


def test_silence_while_listing_is_overcome(hub, impatient):
    for server in ("api", "resolve", "cdn"):
        hub.faults.append(Fault(server, "slow", seconds=0.9))
    assert open_model(NAME).tensors


def test_a_dropped_piece_goes_on_inside_itself(hub):
    model = open_model(NAME)
    hub.forget()
    hub.faults.append(Fault("cdn", "truncate", after=3_000_000))
    model.load("big")
    assert hub.file_bytes == BIG.nbytes  # not a byte twice
    starts = {int(request.range[6:].split("-")[0]) for request in hub.requests if request.server == "cdn"}
    assert len(starts) == 4


def test_retry_after_is_honoured(hub):
    model = open_model(NAME)
    hub.faults.append(Fault("cdn", "status", status=429, headers={"Retry-After": "1"}))
    start = time.monotonic()
    model.load("small")
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("headers", [{"Retry-After": "3600"}, {"ratelimit": '"api";r=0;t=290'}])
def test_a_long_wait_is_told_not_waited(hub, headers):
    hub.faults.append(Fault("api", "status", status=429, headers=headers))
    with pytest.raises(QuantvizError, match=r"limits the rate of requests, and the server asks to wait \d+ seconds"):
        open_model(NAME)


LASTING = {
    "rate limit": (Fault("resolve", "status", status=429, times=99), "limits the rate of requests, 4 times in a row"),
    "server error": (Fault("resolve", "status", status=500, times=99), "the server answered 500"),
    "dropped": (Fault("cdn", "drop", times=99), "the connection dropped, 4 times in a row; check the network"),
    "empty bodies": (Fault("cdn", "truncate", times=99), "the connection dropped"),
    "ranges ignored": (Fault("cdn", "no_range", times=99), "ignores byte ranges"),
    "compressed": (Fault("cdn", "gzip", times=99), "compresses the file"),
    "forbidden": (Fault("resolve", "status", status=403, times=99), "refuses access to org/name (403)"),
    "unauthorized": (Fault("resolve", "status", status=401, times=99), "set a token if it is private"),
    "gone": (Fault("resolve", "status", status=404, times=99), "has no file model.safetensors"),
    "odd": (Fault("resolve", "status", status=418, times=99), "answered 418"),
    "redirects in circles": (
        Fault("resolve", "status", status=302, headers={"Location": "/org/name/resolve/main/x"}, times=99),
        "redirects to where nothing can be read",
    ),
}


@pytest.mark.parametrize("fault, words", LASTING.values(), ids=LASTING.keys())
def test_lasting_trouble_is_told(hub, fault, words):
    hub.faults.append(fault)
    with pytest.raises(QuantvizError) as caught:
        open_model(NAME)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_lasting_silence_is_told(hub, impatient):
    hub.faults.append(Fault("cdn", "slow", times=99, seconds=0.9))
    with pytest.raises(QuantvizError, match="no answer in time, 4 times in a row"):
        open_model(NAME)


def test_ignored_ranges_do_not_download_the_file(hub):
    data = safetensors({"w": weights(8192, 2048)})  # 64 MB, more than any socket buffer holds
    hub.add_repo("org/whole", {"model.safetensors": data})
    hub.faults.append(Fault("cdn", "no_range", times=99))
    with pytest.raises(QuantvizError, match="ignores byte ranges"):
        open_model("hf:org/whole")
    time.sleep(0.1)
    assert hub.file_bytes < 16_000_000


def test_network_down_at_the_start(hub):
    hub.stop()
    with pytest.raises(QuantvizError, match="no connection, 4 times in a row; check the network"):
        open_model(NAME)


def test_network_down_midway_keeps_what_arrived(hub):
    model = open_model(NAME)
    hub.forget()
    hub.faults += [Fault("cdn", "truncate", after=1_000_000, times=3), Fault("cdn", "drop", times=99)]
    with pytest.raises(QuantvizError, match="the connection dropped, 4 times in a row"):
        model.load("big")
    arrived = hub.file_bytes
    assert arrived == 3_000_000
    hub.faults.clear()
    assert np.array_equal(open_model(NAME).load("big"), BIG)
    assert hub.file_bytes == BIG.nbytes


def test_cancelled_by_the_progress_report_and_resumed(hub):
    model = open_model(NAME)
    hub.forget()
    hub.faults.append(Fault("cdn", "stall", after=500_000, seconds=0.3, times=99))

    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.load("big", progress=stop)
    arrived = hub.file_bytes
    assert 0 < arrived < BIG.nbytes
    hub.faults.clear()
    assert np.array_equal(model.load("big"), BIG)
    assert hub.file_bytes <= BIG.nbytes + arrived


@pytest.mark.parametrize("kind", ["change", "no_range"])
def test_a_file_that_changes_midway_is_noticed(hub, kind):
    model = open_model(NAME)
    hub.faults.append(Fault("cdn", kind, times=99))
    with pytest.raises(QuantvizError, match="changed on the server"):
        model.load("big")


def test_the_shared_client_may_be_closed_by_others(hub):
    model = open_model(NAME)
    huggingface_hub.utils.close_session()
    assert np.array_equal(model.load("big"), BIG)


def test_two_readers_of_one_tensor_share_one_transfer(hub):
    models = [open_model(NAME) for _ in range(2)]
    hub.forget()
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda m=model: results.append(np.array_equal(m.load("big"), BIG))) for model in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True, True]
    assert hub.file_bytes == BIG.nbytes


@pytest.mark.parametrize("headers", [
    {"Retry-After": "\u00b2"}, {"Retry-After": "9" * 5000}, {"Retry-After": "Mon, 01 Jan 0001 00:00:00 +2300"},
    {"Retry-After": "-5"}, {"ratelimit": '"api";r=0;t=' + "9" * 5000}, {"ratelimit": '"api";r=0;t=\u00b2'},
], ids=str)  # fmt: skip
def test_a_waiting_time_that_is_none(hub, headers):
    hub.faults.append(Fault("cdn", "status", status=429, headers=headers))
    assert np.array_equal(open_model(NAME).load("small"), weights(4, 4))


@pytest.mark.parametrize("text", [
    "bytes \u00b2-3/4", "bytes " + "1" * 5000 + "-3/4", "bytes 0-7/*", "items 0-7/100", "", "bytes 5-7/9",
], ids=str)  # fmt: skip
def test_a_range_that_is_none(hub, text):
    hub.faults.append(Fault("cdn", "status", status=206, headers={"Content-Range": text}, times=99))
    with pytest.raises(QuantvizError, match="the server sent another range than was asked for, 4 times in a row"):
        open_model(NAME)


def test_another_file_than_the_list_promised(hub):
    """Its bytes would be kept under the name of the one that was listed, for good."""
    from tests.sources.fake_hub import digest

    other = safetensors({"big": -BIG, "small": weights(4, 4)})
    hub.add_repo("org/other", {"model.safetensors": other})
    elsewhere = {"Location": f"{hub.cdn_url}/blob/{digest('sha256', other)}"}
    linked = {"X-Linked-ETag": f'"{digest("sha256", other)}"', "X-Linked-Size": str(len(other))}
    hub.faults.append(Fault("resolve", "status", status=302, headers=elsewhere | linked, times=99))
    with pytest.raises(QuantvizError, match="changed on the server"):
        open_model(NAME).load("big")


def test_another_file_after_the_address_expired(hub):
    """In mid-tensor, where only the server that holds the bytes tells them apart."""
    from tests.sources.fake_hub import digest

    data = safetensors({"big": BIG, "small": weights(4, 4)})
    other = safetensors({"big": -BIG, "small": weights(4, 4)})
    hub.add_repo("org/other", {"model.safetensors": other})
    hub.repos["org/name"].details = False
    unlinked = [{"Location": f"{hub.cdn_url}/blob/{digest('sha256', blob)}"} for blob in (data, other)]
    facts = {"ETag": '"of-the-hub"', "X-Linked-Size": str(len(data))}
    first = Fault("resolve", "status", status=302, headers=unlinked[0] | facts, times=99)
    hub.faults.append(first)
    model = open_model(NAME)
    first.headers = unlinked[1] | facts
    hub.faults.append(Fault("cdn", "status", status=403))
    with pytest.raises(QuantvizError, match="changed on the server"):
        model.load("big")


@pytest.mark.parametrize("facts", [
    {"size": "many"}, {"size": -1}, {"size": 1.5}, {"size": True}, {"size": 2**70},
    {"rfilename": 7}, {"rfilename": None}, {"blobId": 5, "lfs": None},
], ids=str)  # fmt: skip
def test_a_list_with_something_else_where_facts_should_be(hub, monkeypatch, facts):
    from huggingface_hub.hf_api import ModelInfo

    made = ModelInfo.__init__

    def odd(self, **kwargs):
        made(self, **kwargs | {"siblings": [{**s, **facts} for s in kwargs["siblings"]]})

    monkeypatch.setattr(ModelInfo, "__init__", odd)
    with pytest.raises(QuantvizError, match="is not the Hub's; check HF_ENDPOINT"):
        open_model(NAME)
