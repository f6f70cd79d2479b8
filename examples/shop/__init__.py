"""The example shop: the same pages and the same API under FastAPI and under Flask.

What does not depend on the framework is shared: `catalogue`, `cart`, `orders` (the shop's own tables and what its
handlers write), `pages` (HTML), `config`, `logs`. `fastapi_app` and `flask_app` are what a developer would write.
"""
