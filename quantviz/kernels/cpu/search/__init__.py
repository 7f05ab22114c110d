"""Searches for a better range or minimum of a group."""
