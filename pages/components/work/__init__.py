"""Long work: in the background, kept by what it depends on, shared fairly, stopped when nobody waits."""
