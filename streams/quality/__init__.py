"""Quality: what is the matter with a value, kept as data beside it. An outage is not a drift."""

from streams.quality.duplicates import SharedSeries, shared_series
from streams.quality.flags import Flagged, flag, judge
from streams.quality.labels import LABELS, SUSPECT, Label
from streams.quality.learning import learn
from streams.quality.recording import record, recorded
from streams.quality.reference import Reference
from streams.quality.settings import Settings
from streams.quality.tickets import QualityTicket, Share, shares, summary, tickets

__all__ = ["LABELS", "SUSPECT", "Flagged", "Label", "QualityTicket", "Reference", "Settings", "Share",
           "SharedSeries", "flag", "judge", "learn", "record", "recorded", "shared_series", "shares", "summary",
           "tickets"]
