"""What every rung must keep, as tests to inherit: for the built-in ones and for your own.

>>> class TestMine(RungConformance):  # in a test module: pytest runs what it inherits
...     rung = "my_rung:MeanShift"
"""

from __future__ import annotations

import tempfile
from typing import ClassVar

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.rungs import serialization
from terracast.adapt.rungs.custom import CustomRung, custom_rung
from terracast.adapt.rungs.rung import Adapted, Rung, RungError, attempt
from terracast.adapt.rungs.under_correction import UnderCorrection
from terracast.stfm import serialization as shelf
from terracast.stfm.forecaster import QUANTILES, Forecaster, Request
from terracast.stfm.seasonal_naive import SeasonalNaive

HOUR, DAY = np.timedelta64(1, "h").astype("timedelta64[ns]"), np.timedelta64(24, "h").astype("timedelta64[ns]")
START, DAYS, NODES, HORIZON = np.datetime64("2024-01-01", "ns"), 40, ("a", "b", "c"), 6
GROWTH = 0.5  # a day: what last week said is too low by seven times this
POISON = 1e6


class RungConformance:
    """Inherit it in a test module, as ``class TestMine(RungConformance)``, and name the rung.

    In ``panel`` the level of every node grows, and ``forecaster`` says what was a week ago: it is too low. Replace both
    where your rung mends something else.

    Attributes
    ----------
    rung : str
        As in the setting ``adapt.rungs``.

    Examples
    --------
    >>> from terracast.adapt.rungs.output_rls import recursive_rung
    >>> class TestRecursive(RungConformance):
    ...     def made(self):
    ...         return recursive_rung()
    >>> TestRecursive().test_it_mends_what_it_is_for()
    >>> TestRecursive().test_nothing_after_now_is_read()
    """

    rung: ClassVar[str]

    def made(self) -> Rung:
        """The rung."""
        return custom_rung(self.rung)

    def panel(self) -> xr.Dataset:
        """Hours of three nodes with a day's cycle, the level growing; the last two days lie after now."""
        hours, random = np.arange(24 * DAYS), np.random.default_rng(11)
        wave = 8 * np.sin(2 * np.pi * hours / 24) + GROWTH * hours / 24
        values = wave[:, None] + [30.0, 50.0, 20.0] + random.normal(size=(len(hours), len(NODES)))
        return xr.Dataset({"no2": (("time", "node"), values, {"units": "ug m-3"})},
                          {"time": START + hours * HOUR, "node": list(NODES), "lat": ("node", [52.0, 52.1, 52.2]),
                           "lon": ("node", [13.0, 13.1, 13.2])}, {"domain": "air", "kind": "sensor", "step": "1h"})

    def forecaster(self) -> Forecaster:
        """What serves, and does not fit the panel any more."""
        return SeasonalNaive(pd.Timedelta("7D"))

    def request(self) -> Request:
        """Six hours from two days before the end of the panel."""
        return Request("no2", START + (DAYS - 2) * DAY, HORIZON, HOUR, QUANTILES)

    def adapted(self, forecaster: Forecaster, known: xr.Dataset | None = None) -> Adapted:
        """What the rung proposes, called as the ladder calls it."""
        return attempt(self.made(), forecaster, self.panel() if known is None else known, self.request())

    def same(self, one: Forecaster, other: Forecaster) -> bool:
        """Whether two forecasters say the same of the panel, to the bit."""
        return self._forecast(one).identical(self._forecast(other))

    def test_it_says_what_it_is_and_what_it_costs(self) -> None:
        """A name, a paper and a cost in words; an expiry, if any, in the future."""
        rung = self.made()
        assert isinstance(rung, Rung) and all((rung.name, rung.paper, rung.cost))
        assert rung.expiry is None or rung.expiry > np.timedelta64(0, "s")

    def test_the_ladder_knows_what_it_costs(self) -> None:
        """Seconds of computing and horizons of labels, both above nothing."""
        rung: CustomRung | Rung = self.made()
        if hasattr(type(self), "rung"):
            assert float(rung.seconds) > 0 and int(rung.horizons) > 0  # type: ignore[union-attr]

    def test_it_mends_what_it_is_for(self) -> None:
        """Held-back labels prove it, or every other test here would prove nothing."""
        adapted = self.adapted(self.forecaster())
        assert adapted.kept, adapted.receipt.why
        assert adapted.receipt.loss_after < adapted.receipt.loss_before
        assert adapted.receipt.acted_at == self.request().issue_time

    def test_the_forecaster_that_it_is_given_is_unchanged(self) -> None:
        """Undoing is going back to it."""
        given = self.forecaster()
        before = self._forecast(given)
        adapted = self.adapted(given)
        assert adapted.undo is given and self._forecast(given).identical(before)

    def test_nothing_after_now_is_read(self) -> None:
        """Neither by the rung nor by what it made."""
        poisoned = self.panel()
        poisoned["no2"] = poisoned["no2"].where(poisoned["time"] <= self.request().issue_time, POISON)
        cut = self.panel().sel(time=slice(None, self.request().issue_time))
        made = self.adapted(self.forecaster()).forecaster
        assert all(self.same(made, self.adapted(self.forecaster(), one).forecaster) for one in (poisoned, cut))
        assert made.forecast(poisoned, self.request()).identical(made.forecast(cut, self.request()))

    def test_it_does_the_same_again(self) -> None:
        """Live and in replay."""
        assert self.same(self.adapted(self.forecaster()).forecaster, self.adapted(self.forecaster()).forecaster)

    def test_every_node_is_forecast_in_rising_quantiles(self) -> None:
        """Also one that has fallen silent."""
        silent = self.panel()
        silent["no2"] = silent["no2"].where((silent["node"] != NODES[1]) | (silent["time"] < START + 20 * DAY))
        made = self.adapted(self.forecaster(), silent).forecaster.forecast(silent, self.request())["no2"]
        assert made.sizes["node"] == len(NODES) and np.isfinite(made).all() and (made.diff("quantile") >= 0).all()

    def test_what_it_made_is_written_and_read_to_the_bit(self) -> None:
        """A version is JSON and arrays: a pickle is never read."""
        made = self.adapted(self.forecaster()).forecaster
        with tempfile.TemporaryDirectory() as folder:
            again = serialization.load(shelf.save(made, folder))  # type: ignore[arg-type]
        assert type(again) is type(made) and self.same(again, made)

    def test_acts_do_not_pile_up(self) -> None:
        """A second act renews what the first one wrapped around the base."""
        first = self.adapted(self.forecaster()).forecaster
        again = attempt(UnderCorrection(self.made(), {}), first, self.panel(), self.request()).forecaster
        assert _depth(again) <= max(_depth(first), 1)

    def test_too_little_data_is_one_line(self) -> None:
        """What there was goes on serving, and the receipt says why."""
        given, few = self.forecaster(), self.panel().sel(time=slice(self.request().issue_time - DAY, None))
        adapted = self.adapted(given, few)
        assert adapted.forecaster is given and not adapted.kept and "\n" not in adapted.receipt.why

    def _forecast(self, forecaster: Forecaster) -> xr.Dataset:
        try:
            return forecaster.forecast(self.panel(), self.request())
        except (ValueError, TypeError) as error:
            raise RungError(f"what was made cannot forecast ({error})", where=self.made().name,
                            expected="a Forecaster", remedy="see docs/extend/rung.md") from error


def _depth(forecaster: Forecaster) -> int:
    """How many forecasters are wrapped around the innermost."""
    depth = 0
    while isinstance(inner := getattr(forecaster, "base", None), Forecaster):
        forecaster, depth = inner, depth + 1
    return depth
