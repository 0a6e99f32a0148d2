"""Files to validated tables: contracts, readers, checks, the workspace."""
