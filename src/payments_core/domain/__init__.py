"""Decisions, and nothing else: no I/O, no clock, no Stripe SDK, no event loop.

Every function here is a function of its arguments; time arrives as a value.
"""
