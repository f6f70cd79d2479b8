"""Which payment is this news about?

Our own mark first, then the names we know, then Stripe's answer. News of a payment that was not started here gets a
payment of its own, by insert-or-select, so that several objects of one payment meet in one row.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ..domain.checkout import PAYMENT_ID_KEY
from ..domain.news import Decision, News, Subject, refs_of
from ..domain.payment import Payment
from ..domain.refs import Ref
from ..domain.stripe_event import is_of_another_app
from ..domain.stripe_objects import Intent, Invoice, Session
from ..errors import MalformedEvent
from ..ports import Clock, Gateway, NewId, Store


@frozen
class Routing:
    """Finds, or makes, the payment of a piece of news."""

    store: Store
    gateway: Gateway
    clock: Clock
    new_id: NewId
    livemode: bool
    account: str | None
    app: str | None
    tells_foreign: bool

    async def route(self, news: News) -> Payment | None:
        """The payment; None when the object is another application's, or foreign ones are to be ignored.

        Raises MalformedEvent for a decision about a payment that is not here.
        """
        subject = news.subject
        if isinstance(subject, Decision):
            return await self._decided(subject)
        payment = await self._known(subject, refs_of(subject))
        if payment is not None:
            return None if payment.origin == "foreign" and self._is_anothers(subject) else payment
        subjects = await self._asked(subject)
        refs = tuple(dict.fromkeys(ref for subject in subjects for ref in refs_of(subject)))
        for subject in subjects[1:]:
            payment = await self._known(subject, refs)
            if payment is not None:
                return payment
        if not self.tells_foreign or any(self._is_anothers(subject) for subject in subjects):
            return None
        return await self._adopted(refs)

    async def _decided(self, decision: Decision) -> Payment:
        payment = await self.store.payment(decision.payment_id)
        if payment is None:
            raise MalformedEvent("The payment that somebody decided about is not in this database.")
        return payment

    async def _known(self, subject: Subject, refs: tuple[Ref, ...]) -> Payment | None:
        marked = subject.metadata.get(PAYMENT_ID_KEY)
        if marked is not None:
            payment = await self.store.payment(marked)
            if payment is not None:
                return payment
        return await self.store.find_payment(refs, account=self.account, livemode=self.livemode)

    async def _asked(self, subject: Subject) -> tuple[Subject, ...]:
        """The subject and what Stripe says it belongs to.

        That is the session or invoice of an intent; of an invoice that is no subscription's, the session, or the intent
        that paid it all and was known before it was attached.
        """
        if isinstance(subject, Session):
            return (subject,)
        if isinstance(subject, Intent):
            session = await self.gateway.session_of_intent(subject.id)
            if session is not None:
                return subject, session
            invoice_id = await self.gateway.invoice_of_intent(subject.id)
            # The invoice itself, since it may bear another application's mark where its intent bears none.
            return (subject, await self.gateway.invoice(invoice_id)) if invoice_id is not None else (subject,)
        if subject.is_of_subscription:
            return (subject,)
        intent_ids = await self.gateway.intents_of_invoice(subject.id)
        for intent_id in intent_ids:
            session = await self.gateway.session_of_intent(intent_id)
            if session is not None:
                return subject, session
        return (subject, Intent(intent_ids[0])) if await self._is_same_money(subject, intent_ids) else (subject,)

    async def _is_same_money(self, invoice: Invoice, intent_ids: Sequence[str]) -> bool:
        """Whether the invoice's money is that of a payment which is known by its one intent.

        An intent may be paid first and attached later (https://docs.stripe.com/api/invoices/attach_payment).
        """
        if len(intent_ids) != 1:
            return False
        ref = Ref("payment_intent", intent_ids[0])
        payment = await self.store.find_payment([ref], account=self.account, livemode=self.livemode)
        return payment is not None and payment.amount_minor in (None, invoice.total)

    def _is_anothers(self, subject: Subject) -> bool:
        return is_of_another_app(subject.metadata, app=self.app, payment_known=False)

    async def _adopted(self, refs: tuple[Ref, ...]) -> Payment | None:
        names = {ref.kind: ref.stripe_id for ref in reversed(refs)}
        payment = Payment(
            payment_id=self.new_id(),
            created_at=self.clock(),
            livemode=self.livemode,
            account=self.account,
            origin="foreign",
            session_id=names.get("session"),
            payment_intent_id=names.get("payment_intent"),
            invoice_id=names.get("invoice"),
        )
        return await self.store.payment(await self.store.adopt(payment, refs))
