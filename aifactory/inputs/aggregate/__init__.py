"""Request rows of any size as two small aggregates, in the engine where they lie."""
