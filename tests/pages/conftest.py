"""The Hub on loopback that the sources are tested with."""

from tests.sources.conftest import hub as hub  # a fixture is found where it is named
