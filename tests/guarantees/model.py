"""What a payment owes the world, as a pure model.

In one paragraph: what happened at Stripe is a list of steps; of each step there is news, which comes in any order, any
number of times, under any number of event ids, by whatever messenger. The world is told of a fact when the first
piece of news that proves it has been handled, and never again. A success is told whatever was told before. A declined
charge is told unless the success was told already: then it is recorded and kept quiet. An expiry is told unless
there is a success. Nothing is told that did not happen, and nothing that was told is taken back. That is all; how
news is stored, claimed, retried, parked or lost with its worker has no place in it.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import define, field, frozen

SUCCESS = "payment.successful"
FAILURE = "payment.failed"
EXPIRY = "checkout.expired"


class Proof(StrEnum):
    """What a piece of news proves once it is handled.

    A promise proves nothing, unless the money has come by the time it is handled: Stripe is asked, and says so.
    """

    PAID = "paid"
    PROMISED = "promised"
    DECLINED = "declined"
    EXPIRED = "expired"
    NOTHING = "nothing"


@frozen
class News:
    """A piece of news: what it proves, and for a declined charge which one."""

    proof: Proof
    charge: str = ""


@define
class Model:
    """What has been told so far, and what must have been."""

    success: bool = False
    expiry: bool = False
    #: Declined charges that were told, and all that are known.
    told: set[str] = field(factory=set)
    declined: set[str] = field(factory=set)

    def hear(self, handled: set[News], told: list[str]) -> None:
        """Check what the world was told, after all of `handled` (since the beginning) was handled.

        `told` are the facts in the order of telling: an event type, and for a declined charge `payment.failed:charge`.
        News that was handled since the last look may have been handled in any order.
        """
        before = self.success
        self.success = self.success or News(Proof.PAID) in handled
        charges = {news.charge for news in handled if news.proof is Proof.DECLINED}
        new = charges - self.declined
        self.declined = charges
        failures = {one.partition(":")[2] for one in told if one.startswith(FAILURE)}
        assert len(told) == len(set(told)), f"told twice: {told}"
        assert (SUCCESS in told) is self.success, f"success owed: {self.success}, told: {told}"
        assert self.told <= failures, "what was told is taken back"
        assert failures - self.told <= new, "a failure is told that nobody handled"
        assert not (before and failures - self.told), "a failure is told after the success"
        if not self.success:
            assert failures == charges, f"failures owed: {charges}, told: {failures}"
        if SUCCESS in told:
            assert told[-1] == SUCCESS, f"something is told after the success: {told}"
        expired = News(Proof.EXPIRED) in handled
        assert (EXPIRY in told) <= expired, "an expiry is told that nobody handled"
        assert self.success or (EXPIRY in told) is expired, "an expiry is owed"
        self.told = failures
