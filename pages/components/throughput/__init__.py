"""The parts of the page Throughput."""
