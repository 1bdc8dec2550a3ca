"""Which rungs a ladder climbs unless told otherwise, and which are there to be asked for.

By what ``terracast bench rungs`` showed on Beijing, Münster and London: a rung that was not better than a cheaper
one, or that did harm where it was let in, is off by default.
"""

from __future__ import annotations

from adapt.rungs.context_rung import ContextRung
from adapt.rungs.continuing import Continue
from adapt.rungs.gated import gated_rung
from adapt.rungs.learning import Effort
from adapt.rungs.recent import RecentStatistics
from adapt.rungs.recursive import recursive_rung
from adapt.rungs.rung import Rung
from adapt.rungs.spectral import spectral_rung
from adapt.rungs.tuning import AdapterRung


def usual_rungs() -> list[Rung]:
    """Cheapest first: the closed form on outputs, an adapter on the heads, continued training.

    >>> [rung.name for rung in usual_rungs()]
    ['output-recursive', 'adapter', 'continue']
    """
    return [recursive_rung(), AdapterRung(), Continue()]


def optional_rungs() -> list[Rung]:
    """Available, off by default: none of them beat the usual ones.

    >>> [rung.name for rung in optional_rungs()]
    ['output-gated', 'output-spectral', 'input-recent', 'context-meta', 'adapter-whole']
    """
    return [gated_rung(), spectral_rung(), RecentStatistics(), ContextRung(),
            AdapterRung(Effort(heads=False), steps=10, masked=0.0, name="adapter-whole")]
