"""The parts of the page Outliers."""
