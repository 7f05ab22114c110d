"""A Hub on loopback and a cache of its own for each test that asks for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.recorded import sentences
from tests.sources.fake_hub import FakeHub

refusals = sentences(but="hub|cache|opened|descriptors|together")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """A running FakeHub that open_model("hf:…") talks to, with short waits and an empty cache."""
    monkeypatch.setenv("QUANTVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    from quantviz.sources import hub as module
    from quantviz.sources.retry import Patience

    # A server that is silent for no more than a busy machine's moment must not be asked again: see `impatient`.
    brief = Patience(attempts=4, first_wait=0.01, longest_wait=0.05, longest_asked=5, timeout=20)
    monkeypatch.setattr(module, "ASKING", brief)
    monkeypatch.setattr(module, "READING", brief)
    fake = FakeHub.start()
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    yield fake
    fake.stop()


@pytest.fixture
def impatient(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a silent server up after 0.6 seconds, which are also silent where this machine has no time for it."""
    from quantviz.sources import hub as module

    for name in ("ASKING", "READING"):
        monkeypatch.setattr(module, name, replace(getattr(module, name), timeout=0.6))
