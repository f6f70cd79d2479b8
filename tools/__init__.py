"""Project tooling: what `make` runs beside the library itself. Standard library only, never shipped in the wheel."""
