"""The supported SQL: what is read, how it is made total, how it is written for DuckDB."""
