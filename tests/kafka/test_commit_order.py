"""C17: ids are given before the commit, so one with a lower id may become visible later. It is not skipped."""

from __future__ import annotations

from contextlib import AsyncExitStack

from payments_core.adapters.sql import Limits, async_store
from payments_core.testing.contracts.examples import outgoing
from tests.kafka.reading import read_back
from tests.kafka.scenes import Deployment


async def test_a_row_that_commits_late_is_published_all_the_same(postgres_deployment: Deployment) -> None:
    """Two real transactions, opened in one order and committed in the other, a relay at work in between."""
    deployment = postgres_deployment
    store = async_store(deployment.url, owes_broker=True, limits=Limits(pool_size=2))
    await store.prepare()
    relay, _ = deployment.make_relay()
    async with AsyncExitStack() as late:
        slow = await late.enter_async_context(store.transaction())
        await slow.enqueue([outgoing("slow", key="k1")])
        async with store.transaction() as quick:
            await quick.enqueue([outgoing("quick", key="k2")])
        await relay.drain()
        assert relay.tally.published == 1
        assert [row[0] for row in deployment.query("SELECT event_id FROM payments_outbox")] == ["quick"]
    await relay.drain()
    await relay.close()
    await store.close()
    ids = dict(deployment.query("SELECT event_id, id FROM payments_outbox"))
    assert ids["slow"] < ids["quick"]
    assert sorted(one.event_id for one in read_back(deployment.brokers, deployment.topics)) == ["quick", "slow"]
