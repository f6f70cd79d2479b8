"""One look at a deployment: what is read, in which order, and what is left out when something is not there.

It changes nothing. What cannot be looked at is a finding like any other, and the rest is looked at all the same. What
is to be made of what is found is decided in `payments_core.domain.diagnosis`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

from attrs import frozen

from ..domain.diagnosis.configuration import SETTINGS, examine_settings, is_restricted
from ..domain.diagnosis.database import REACHABLE, DatabaseFacts, examine_database
from ..domain.diagnosis.endpoints import ENDPOINTS
from ..domain.diagnosis.findings import Check, Finding, Report
from ..domain.diagnosis.services import BROKERS, REDIS, RedisFacts, TopicFacts, examine_redis, examine_topics
from ..domain.diagnosis.stripe_account import ANSWERS, PERMISSIONS, examine_greeting, is_accepted
from ..domain.diagnosis.work import WORK, WorkFacts, examine_work
from ..errors import PaymentsError, reason_of
from ..ports import Clock
from ..ports.publishing import BrokerUnavailable
from ..settings import Settings
from .account import Account, Look, Stripe

T = TypeVar("T")
#: How something is reached; or, in words, why it is not looked at.
Or: TypeAlias = T | str
Tell: TypeAlias = Callable[[Finding], None]
_AGAIN: Final = "Mend it, and run the command again."


@frozen(kw_only=True)
class Doctor:
    """Looks at everything that a deployment is made of. `clock` is this machine's."""

    settings: Or[Settings]
    clock: Clock
    database: Look[DatabaseFacts]
    work: Look[WorkFacts]
    redis: Or[Look[RedisFacts]]
    topics: Or[Look[Sequence[TopicFacts]]]
    stripe: Or[Stripe]

    async def run(self, tell: Tell) -> Report:
        """All findings; those of one area are told before the next is looked at."""
        findings: list[Finding] = []
        for look, check, *behind in (
            (self._settings, SETTINGS),
            (self._database, REACHABLE, WORK),
            (self._redis, REDIS),
            (self._topics, BROKERS),
            (self._stripe, ANSWERS, ENDPOINTS),
        ):
            for finding in await _made(look, check, *behind):
                tell(finding)
                findings.append(finding)
        return Report(findings)

    async def _settings(self) -> list[Finding]:
        if isinstance(self.settings, str):
            return [SETTINGS.broken(self.settings, _AGAIN)]
        return examine_settings(self.settings)

    async def _database(self) -> list[Finding]:
        facts = await self.database()
        found = examine_database(facts)
        if not facts.is_sufficient:
            return [*found, WORK.skipped("There is no schema that this version works on.")]
        return [*found, *await _made(self._work, WORK)]

    async def _work(self) -> list[Finding]:
        return examine_work(await self.work(), has_broker=not isinstance(self.topics, str))

    async def _redis(self) -> list[Finding]:
        if isinstance(self.redis, str):
            return [REDIS.skipped(self.redis)]
        return examine_redis(await self.redis())

    async def _topics(self) -> list[Finding]:
        if isinstance(self.topics, str):
            return [BROKERS.skipped(self.topics)]
        return examine_topics(await self.topics())

    async def _stripe(self) -> list[Finding]:
        if isinstance(self.stripe, str) or isinstance(self.settings, str):
            return [ANSWERS.skipped(str(self.stripe))]
        before = self.clock()
        greeting = await self.stripe.greeting()
        found = examine_greeting(greeting, before=before, after=self.clock(), livemode=self.settings.livemode)
        if not is_accepted(greeting):
            return [*found, ENDPOINTS.skipped("Stripe does not accept the key.")]
        account = Account(self.stripe, self.settings, self.clock)
        permissions = await _made(account.permissions, PERMISSIONS) if is_restricted(self.settings) else []
        return [*found, *permissions, *await _made(account.endpoints, ENDPOINTS)]


async def _made(look: Look[list[Finding]], check: Check, *behind: Check) -> list[Finding]:
    """The findings of a look. What went wrong with it is one, under the name of `check`; `behind` is skipped then."""
    try:
        return await look()
    except (PaymentsError, BrokerUnavailable) as trouble:
        broken = check.broken(str(trouble), _AGAIN)
    except Exception as error:  # noqa: BLE001 - the other looks go on; what a stranger's error says may be a secret
        broken = check.failed(f"{reason_of(error)}.", "This should not happen: report it, with these words.")
    return [broken, *(one.skipped("Not looked at: see above.") for one in behind)]
