"""What the pages share: controls, cached calls, background jobs, links."""
