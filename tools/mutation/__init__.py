"""`make mutation`: break the modules that decide about money, one small change at a time, and see that a test notices.

Most changes are made by mutmut, inside functions. It leaves out what runs when a module is imported (tables, constants,
enumerations, defaults, and the functions that make them) and decorated functions; `leftovers` makes the same changes
there, since the whole state machine is such a table. What is mutated, and by which tests it must be noticed, stands in
`pyproject.toml` under `[tool.mutmut]`.
"""
