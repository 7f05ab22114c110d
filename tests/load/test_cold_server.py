"""The first visitors of a server that has just started come all at once, each on a thread of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

from tests.browser.app_server import running_app

from .window import Seen, Window

PATIENCE = 180  # seconds: kernels may have to be compiled


async def visit(address: str, number: int) -> Seen:
    window = await Window.on(address)
    query = urlencode({"ref": f"random:normal?rows=64&cols=256&seed={number}", "scheme": "nf4-b64"})
    try:
        return await window.show(query, PATIENCE, navigates=False)
    finally:
        await window.close()


def test_twelve_visitors_at_once_are_all_answered(tmp_path: Path):
    async def all_at_once(address: str) -> list[Seen]:
        return await asyncio.gather(*(visit(address, number) for number in range(12)))

    log = tmp_path / "app.log"
    with running_app(log) as address:
        # On a thread of its own: this one may have an event loop already, of the tests with a browser.
        with ThreadPoolExecutor(1) as thread:
            seen = thread.submit(asyncio.run, all_at_once(address)).result()
    assert [s.problems for s in seen] == [[]] * 12, log.read_text()
    assert len({s.metrics["SQNR"] for s in seen}) > 1, "each has a tensor of its own"
