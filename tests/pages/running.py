"""Opening a page of the app in AppTest, and waiting until it has come to rest."""

from __future__ import annotations

import re
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from quantviz.figures import from_bytes

APP = Path(__file__).parents[2] / "app.py"
DEFAULT_PAGE = "explore"
WAITS, PAUSE = 400, 0.3  # looks at a page at work, and seconds between them
SMALL = "random:normal?rows=128&cols=256&outliers=0.001"


def shown(element: object) -> str:
    """What a visitor reads of an element's Markdown: without the signs that keep text from being read as such."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", str(element.value).replace("\u2060", "")).replace("\u00a0", " ")


def figures(app: AppTest) -> list[dict]:
    """What the browser is sent of each figure on the page: its data, layout, alternative text and so on."""
    drawn = [element.proto for element in app.get("bidi_component") if element.proto.component_name == "figure"]
    return [from_bytes(proto.bytes) for proto in drawn]


def opened(page: str = DEFAULT_PAGE, **address: str | list[str]) -> AppTest:
    """The page under an address, at rest. ref is SMALL unless it is given; "" leaves the app's own default."""
    app = AppTest.from_file(str(APP), default_timeout=120)
    for name, value in {"ref": SMALL, **address}.items():
        if name != "ref" or value:
            app.query_params[name] = value
    app.switch_page(f"pages/{page}.py")
    return settled(app)


def settled(app: AppTest) -> AppTest:
    """Runs until no job is going on: opening and compiling may take longer than a page waits."""
    for _ in range(WAITS):
        app.run()
        if not any("stop-" in str(button.key) for button in app.button):
            return app
        time.sleep(PAUSE)
    raise AssertionError("the page never came to rest")
