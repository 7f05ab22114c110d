"""The way in: the argument in chapters, each on numbers that the reader moves."""

from __future__ import annotations

from pages.components.learn.chapters import chapter
from pages.components.shell.frame import require_app

require_app()
chapter()
