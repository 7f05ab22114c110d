"""EETQ: int8 with a scale a row, in an order that depends on the GPU it was made on, so it is told and not read."""

from __future__ import annotations

from typing import NoReturn

from ..layer import Found, Unreadable


def layer(found: Found) -> NoReturn:
    """Raises Unreadable: nothing in the file says for which GPU its rows and columns were interleaved."""
    raise Unreadable("they lie interleaved for the cores of one kind of GPU, which the file does not name")
