"""Text for people and from them: numbers, names, tables, and values as JSON holds them."""
