"""Read by every Python that has this folder in PYTHONPATH: its clock is $SKEW_HOURS off. The engine's own is not."""

import datetime
import os
import time
from typing import Self

OFF = datetime.timedelta(hours=float(os.environ["SKEW_HOURS"]))
right = time.time


class SkewedTime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return super().now(tz) + OFF


class SkewedDate(datetime.date):
    @classmethod
    def today(cls) -> Self:
        return cls.fromordinal((datetime.datetime.fromtimestamp(right()) + OFF).toordinal())


time.time = lambda: right() + OFF.total_seconds()
datetime.datetime, datetime.date = SkewedTime, SkewedDate  # type: ignore[misc]
