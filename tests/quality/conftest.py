"""Models that several tests measure, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quality.models import random_llama
from tests.sources.conftest import hub as hub


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama in float32."""
    return random_llama(tmp_path_factory.mktemp("llama") / "model")
