"""The link: what the address holds, the controls that write it, and what a page reads from it."""
