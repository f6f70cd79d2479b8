"""What the sandbox remembers: one frozen record per Stripe object, with the fields that really vary here.

Fields that are always the same (no tax, no shipping) are added when a record is rendered (`shapes`). Times are epoch
seconds, amounts whole minor units. Of a card only brand, last four digits and expiry are kept.
"""

from __future__ import annotations
