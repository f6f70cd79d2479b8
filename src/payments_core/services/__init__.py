"""Flows: one use case each, written once for both worlds.

A flow awaits nothing but ports. It knows no clock, no event loop, no database and no Stripe SDK; the composition root
gives it what it needs.
"""
