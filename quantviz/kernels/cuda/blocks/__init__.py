"""Block types on a GPU."""
