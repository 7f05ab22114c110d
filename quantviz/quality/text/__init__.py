"""The text that is predicted: found, cut into windows, and taken apart into words."""
