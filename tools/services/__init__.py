"""PostgreSQL, Redis and Apache Kafka on loopback, for tests and for trying the library out.

`python -m tools.services up|down|status|run` is the command line behind `make services`; the test suite uses
`ensure` and `stop` directly. Standard library only, so that it runs before anything is installed.
"""

from __future__ import annotations

from tools.services.base import Running, Service, ServiceUnavailable, ensure, running, stop
from tools.services.kafka import KAFKA
from tools.services.postgres import POSTGRES
from tools.services.redis import REDIS

SERVICES: dict[str, Service] = {service.name: service for service in (POSTGRES, REDIS, KAFKA)}

__all__ = ["SERVICES", "Running", "Service", "ServiceUnavailable", "ensure", "running", "stop"]
