"""Breaks the library on purpose, seeded and counted: what `make chaos` runs, and in short what `make test` does."""
