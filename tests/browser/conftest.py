"""The real app and a real browser, one of each for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.sources.builders import safetensors, weights
from tests.sources.fake_hub import FakeHub

from .app_server import CHROMIUM, FLAGS, running_app

# Long enough for a first visit that compiles kernels on a slow machine.
PATIENCE = 60_000  # milliseconds
expect.set_options(timeout=PATIENCE)

REPO = "someone/tiny-model"


@pytest.fixture(scope="session")
def hub() -> Iterator[FakeHub]:
    """A local server that speaks the Hub's protocol, with one small model."""
    server = FakeHub.start()
    layers = {f"model.layers.{i}.mlp.up_proj.weight": weights(256, 512, i) for i in range(2)}
    server.add_repo(REPO, {"model.safetensors": safetensors(layers)})
    yield server
    server.stop()


@pytest.fixture(scope="session")
def address(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("app")
    with running_app(folder / "app.log", HF_ENDPOINT=hub.url) as at:
        yield at


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    if not Path(CHROMIUM).exists():
        pytest.fail(
            f"The browser tests need Chromium at {CHROMIUM}: apt-get install chromium, set CHROMIUM to its path, "
            'or leave them out with -m "not browser".'
        )
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def lasting(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser with a profile on disk, which keeps the app's scripts compiled: they take most of a first visit."""
    context = playwright.chromium.launch_persistent_context(
        tmp_path_factory.mktemp("profile"), executable_path=CHROMIUM, args=FLAGS,
        viewport={"width": 1280, "height": 1000}, reduced_motion="reduce",
    )  # fmt: skip
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(lasting: BrowserContext) -> Iterator[Page]:
    """A window of a visitor who was never here: whatever the app keeps in the browser is forgotten afterwards."""
    before = set(lasting.pages)
    lasting.clear_cookies()  # a window that lasts over a file's tests may have left some
    page = lasting.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    if page.url.startswith("http"):
        page.evaluate("localStorage.clear()")
    lasting.clear_cookies()
    for opened in set(lasting.pages) - before:
        opened.close()
    assert not page.problems
