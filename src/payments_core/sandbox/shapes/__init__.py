"""Records rendered as Stripe's objects at API version 2026-10-28.endive.

Only here are field names of the wire written down. What the sandbox does not do appears as Stripe shows it when it
is not used: null, empty or off.
"""
