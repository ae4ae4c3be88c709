"""Read by every Python that has this folder in PYTHONPATH: its dates are $SKEW_HOURS off. The engine's own are not."""

import datetime
import os
from typing import Self

OFF = datetime.timedelta(hours=float(os.environ["SKEW_HOURS"]))
right = datetime.datetime.now


class SkewedTime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return super().now(tz) + OFF


class SkewedDate(datetime.date):
    @classmethod
    def today(cls) -> Self:
        return cls.fromordinal((right() + OFF).toordinal())


datetime.datetime, datetime.date = SkewedTime, SkewedDate  # type: ignore[misc]
