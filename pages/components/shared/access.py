"""What a visitor may reach: files and the machine's own Hub token only where the app is bound to loopback."""

from __future__ import annotations

import ipaddress
import os

import streamlit as st

from quantviz.errors import QuantvizError


def is_loopback() -> bool:
    """Whether only this machine can reach the app."""
    address = st.get_option("server.address")
    if not address:
        return False
    try:
        return address == "localhost" or ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def may_open_files() -> bool:
    return is_loopback() or bool(os.environ.get("QUANTVIZ_FILES"))


def files_root() -> str | None:
    """The folder whose files may be opened; None for all of them. Raises QuantvizError where there is none."""
    root = os.environ.get("QUANTVIZ_FILES")
    if not root and not is_loopback():
        raise QuantvizError(
            "This app is open to other machines, so it opens no files of its own; upload one, or name a Hub repository."
        )
    return root or None


def hub_token(typed: str) -> str | bool | None:
    """The visitor's own token, or else the one saved on this machine if the app is the machine's own."""
    return typed.strip() or (None if is_loopback() else False)
