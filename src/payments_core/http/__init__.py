"""The HTTP surface without a framework: requests as values in, replies as values out.

Both web adapters translate to and from these values, so that what a client sees is decided once, here and in
`payments_core.app.endpoints`. Modules: `messages` (request, reply), `routes` (the table), `reading` (bytes to JSON),
`arrivals` (bodies that are still coming), `fields`, `bodies` and `problems` (JSON to domain values, every problem
named), `replies` and `refusals` (what is answered), `stripe_fields` (Stripe's parameter names to ours), `openapi` (the
documents' schemas).
"""
