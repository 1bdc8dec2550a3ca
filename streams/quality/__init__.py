"""Quality: what is the matter with a value, kept as data beside it. An outage is not a drift."""

from streams.quality.duplicates import SharedSeries, shared_series
from streams.quality.flags import Flagged, flag, judge
from streams.quality.labels import LABELS, SUSPECT, Label
from streams.quality.learning import learn
from streams.quality.reference import Reference
from streams.quality.settings import Settings

__all__ = ["LABELS", "SUSPECT", "Flagged", "Label", "Reference", "Settings", "SharedSeries", "flag", "judge",
           "learn", "shared_series"]
