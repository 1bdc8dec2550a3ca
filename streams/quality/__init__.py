"""Quality: what is the matter with a value, kept as data beside it. An outage is not a drift."""

from terracast.streams.quality.duplicates import SharedSeries, shared_series
from terracast.streams.quality.flags import Flagged, flag, judge
from terracast.streams.quality.labels import LABELS, SUSPECT, Label
from terracast.streams.quality.learning import learn
from terracast.streams.quality.recording import record, recorded
from terracast.streams.quality.reference import Reference
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.tickets import QualityTicket, Share, shares, summary, tickets

__all__ = [
           "LABELS",
           "SUSPECT",
           "Flagged",
           "Label",
           "QualitySettings",
           "QualityTicket",
           "Reference",
           "Share",
           "SharedSeries",
           "flag",
           "judge",
           "learn",
           "record",
           "recorded",
           "shared_series",
           "shares",
           "summary",
           "tickets",
]
