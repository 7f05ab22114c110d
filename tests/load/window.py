"""A browser window without a browser: Streamlit's messages over a WebSocket, as its JavaScript sends and reads them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

PAUSE = 0.4  # seconds between looks at a page whose job goes on


@dataclass
class Seen:
    """What a page shows: headline figures by label, errors, and how much was sent for it."""

    metrics: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    nbytes: int = 0


class Window:
    """One window on the app. Use `await Window.on(address)`, then `show`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._query = ""
        self._looking = ""  # the part of the page that looks after a job

    @classmethod
    async def on(cls, address: str) -> Window:
        where = address.replace("http://", "ws://") + "/_stcore/stream"
        return cls(await connect(where, subprotocols=["streamlit"], max_size=None, ping_timeout=None))

    async def close(self) -> None:
        await self._connection.close()

    async def show(self, query: str, patience: float, navigates: bool) -> Seen:
        """The page under this address, once its figures stand or it shows an error.

        navigates: as Back and Forward do; False for the first look.
        """
        self._query = query
        async with asyncio.timeout(patience):
            seen = await self._run(Seen(), navigates=navigates)
            while not (seen.metrics or seen.problems):
                await asyncio.sleep(PAUSE)
                seen = await self._run(seen, fragment=self._looking)
        return seen

    async def _run(self, seen: Seen, navigates: bool = False, fragment: str = "") -> Seen:
        """What is seen after the page, or the part of it that looks after a job, was drawn again."""
        message = BackMsg()
        message.rerun_script.query_string = self._query
        message.rerun_script.is_history_navigation = navigates
        message.rerun_script.fragment_id = fragment
        message.rerun_script.is_auto_rerun = bool(fragment)
        await self._connection.send(message.SerializeToString())
        while True:
            raw = await self._connection.recv()
            seen.nbytes += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "auto_rerun":
                self._looking = message.auto_rerun.fragment_id
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                _note(seen, message.delta.new_element)
            elif kind == "script_finished":
                if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return seen
                seen.metrics.clear()  # the whole page is drawn anew


def _note(seen: Seen, element: Any) -> None:
    kind = element.WhichOneof("type")
    if kind == "metric":
        seen.metrics[element.metric.label] = element.metric.body
    elif kind == "exception":
        seen.problems.append(f"{element.exception.type}: {element.exception.message}")
    elif kind == "alert":
        seen.alerts.append(element.alert.body)
