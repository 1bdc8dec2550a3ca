"""The flags of a panel: every check, over the panel's own past, as first given and as known later.

A flag at a stamp follows from values of that stamp and earlier ones, never from later ones. What only later
values show (the first hours of a stuck run, a spike that stayed and was a step) is a later entry with the
time from which it is known. Values are never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.streams.instant import instant
from terracast.streams.panel import check_panel, step_of
from terracast.streams.quality import arrivals, clock_shift, duplicates, gaps, saturation, spikes, stuck, unit_change
from terracast.streams.quality.check_context import CheckContext
from terracast.streams.quality.entries import Entry, later_entries, no_entries, with_entries
from terracast.streams.quality.found import Found
from terracast.streams.quality.labels import SUSPECT, Label, flag_attrs
from terracast.streams.quality.learning import highest, learn
from terracast.streams.quality.limits import is_direction, out_of_range, range_of, zero_is_natural
from terracast.streams.quality.reference import Reference, check_reference
from terracast.streams.quality.settings import QualitySettings
from terracast.streams.quality.units import alternatives

Limits = Mapping[str, tuple[float, float]]
Check = Callable[[CheckContext], Found]
ALWAYS: tuple[tuple[Label, Check], ...] = (
    (Label.MISSING, gaps.missing), (Label.OUTAGE, gaps.outage), (Label.STUCK, stuck.stuck),
    (Label.SATURATED, saturation.saturated), (Label.DUPLICATED, duplicates.duplicated))
COMPARING: tuple[tuple[Label, Check], ...] = (
    (Label.SPIKE, spikes.spike), (Label.UNIT, unit_change.unit_change))


@dataclass(frozen=True)
class Flagged:
    """``first``: flags as given at their stamps. ``later``: what became known afterwards, a table with
    columns time, node, variable, value (the whole mask from then on), known_time and change (of the mask
    since it was first given), in order of known time.
    """

    first: xr.Dataset
    later: pd.DataFrame

    def as_known_at(self, now: np.datetime64) -> xr.Dataset:
        """The flags as known at ``now``: 0 for rows known after it."""
        known = self.first["known_time"].values <= instant(now)
        held = {name: (("time", "node"), np.where(known, flags.values, 0).astype(np.uint16), flags.attrs)
                for name, flags in self.first.data_vars.items()}
        return with_entries(self.first.assign(held), self.later[self.later["known_time"] <= instant(now)])

    def hindsight(self) -> xr.Dataset:
        """The flags with all that became known later."""
        return with_entries(self.first, self.later)


def flag(panel: xr.Dataset, *, reference: Reference | None = None, limits: Limits | None = None,
         since: np.datetime64 | None = None, settings: QualitySettings | None = None) -> xr.Dataset:
    """Flags of the panel's rows from ``since`` on (default: all), as first given at their stamps.

    A Dataset of the same variables on (time, node), uint16 bit masks with CF ``flag_masks`` and
    ``flag_meanings``. See ``judge`` for the arguments and for what becomes known later.

    >>> hours = pd.date_range("2020-01-01", periods=48, freq="h")
    >>> level = np.random.default_rng(0).normal(285.0, 5.0, (48, 1))
    >>> level[40] = 0.0
    >>> panel = xr.Dataset({"temp": (("time", "node"), level, {"units": "K", "long_name": "air temperature"})},
    ...                    {"time": hours, "node": ["a"]}, {"domain": "w", "kind": "sensor", "step": "1h"})
    >>> np.flatnonzero(flag(panel).temp.values & 16).tolist()
    [40]
    """
    return judge(panel, reference=reference, limits=limits, since=since, settings=settings).first


def judge(panel: xr.Dataset, *, reference: Reference | None = None, limits: Limits | None = None,
          since: np.datetime64 | None = None, settings: QualitySettings | None = None,
          revisions: pd.DataFrame | None = None, progress: Callable[[float], None] = lambda share: None) -> Flagged:
    """Flags as first given and as known later.

    O(values × context) at worst; memory a few times one variable's context and rows.

    Parameters
    ----------
    panel : Dataset, dims (time, node)
        As known at the instant of judging.
    reference : Reference, optional
        What is usual, from ``learn`` on earlier data; None: learned from the panel's own past, anew every
        ``QualitySettings.relearn``, without the values flagged as suspect.
    limits : Limits, optional
        Physical range per variable in its units, in place of the built-in ones.
    since : datetime64, optional
        Rows before it are context (``QualitySettings.context`` of them are enough).
    settings : QualitySettings, optional
        Windows and thresholds of the checks.
    revisions : DataFrame, optional
        The ledger, for the label *revised*.
    progress : callable, optional
        Hears the share of the rows that were judged.

    Returns
    -------
    Flagged
        ``first``: a panel of label masks as first given; ``later``: what was known of them afterwards.

    Raises
    ------
    PanelError
        Where the panel is none.

    Examples
    --------
    >>> hours = pd.date_range("2024-01-01", periods=48, freq="h")
    >>> level = 280.0 + np.sin(np.arange(48) / 4)[:, None]
    >>> level[40] = 0.0
    >>> panel = xr.Dataset({"temp": (("time", "node"), level, {"units": "K", "long_name": "air temperature"})},
    ...                    {"time": hours, "node": ["a"]}, {"domain": "w", "kind": "sensor", "step": "1h"})
    >>> bool(judge(panel).first.temp.values[40, 0] & Label.RANGE)
    True
    """
    check_reference(reference)
    panel, settings = _on_clock(check_panel(panel)), settings or QualitySettings()
    time = panel["time"].values
    first = 0 if since is None else int(np.searchsorted(time, instant(since)))
    known = _known_times(panel, reference)
    masks = {str(name): np.zeros(panel[name].shape, np.uint16) for name in panel.data_vars}
    entries: list[Entry] = []
    for start, stop, usual in _parts(panel, reference, settings, masks, first):
        context = max(0, start - settings.context_rows(step_of(panel)))
        before = {name: ~np.isnan(panel[name].values[:context]).all(axis=0) for name in masks}
        for name, label, found in _checked(panel.isel(time=slice(context, stop)), start - context, usual, limits,
                                           settings, before):
            masks[name][start:stop] |= np.where(found.mask[start - context :], int(label), 0).astype(np.uint16)
            entries += Entry.of(found, label, name, context, start)
        progress(stop / len(time))
    if revisions is not None and len(revisions):
        entries += [_revised(revisions, name, panel) for name in masks]
    dataset = _dataset(panel, masks, known, first)
    return Flagged(dataset, later_entries(entries, masks, panel, known) if entries else no_entries())


def _on_clock(panel: xr.Dataset) -> xr.Dataset:
    """Rows that are left out put in as missing, where all stamps lie on one clock."""
    time, step = panel["time"].values, step_of(panel)
    gaps_in_steps = np.diff(time) / step
    if not len(time) or (gaps_in_steps == 1).all() or (gaps_in_steps % 1 != 0).any():
        return panel
    return panel.reindex(time=np.arange(time[0], time[-1] + step, step))


def _known_times(panel: xr.Dataset, reference: Reference | None) -> np.ndarray:
    """When each cell's flag is known, (time, node): with its report, or when that was due."""
    time, step = panel["time"].values[:, None], step_of(panel)
    shape = (panel.sizes["time"], panel.sizes["node"])
    if "known_time" not in panel.coords:
        return np.broadcast_to(time, shape)
    given = panel["known_time"].transpose("time", ...).values
    given = np.broadcast_to(given if given.ndim == 2 else given[:, None], shape)
    learned = reference is not None and reference.delay >= 0
    due = time + (np.timedelta64(reference.delay, "ns") if learned and reference is not None else step)
    return np.where(np.isnat(given), due, given)


def _parts(panel: xr.Dataset, reference: Reference | None, settings: QualitySettings, masks: dict[str, np.ndarray],
           first: int) -> Iterator[tuple[int, int, Reference | None]]:
    """Spans of rows with the reference that they are judged by; each is learned from rows before its span.

    Masks are filled in between: what was flagged as suspect is not learned from.
    """
    rows, step = panel.sizes["time"], step_of(panel)
    if reference is not None:
        yield first, rows, reference
        return
    each, history = settings.rows(settings.relearn, step, 60), settings.rows(settings.history, step, 120)
    needed = settings.rows(settings.learn_after, step, 60)
    for start in range(0, rows, each):
        past = slice(max(0, start - history), start)
        usual = _learned_from(panel.isel(time=past), {name: mask[past] for name, mask in masks.items()}, settings
                              ) if start >= needed else None
        if usual is not None:
            usual = _with_tops(usual, panel.isel(time=slice(0, start)), masks)
        if min(start + each, rows) > first:
            yield max(start, 0), min(start + each, rows), usual
        elif usual is None or start + each + history > first:
            yield start, min(start + each, rows), usual


def _learned_from(past: xr.Dataset, masks: Mapping[str, np.ndarray], settings: QualitySettings) -> Reference:
    good = {name: (("time", "node"), np.where(mask & int(SUSPECT), np.nan, past[name].values), past[name].attrs)
            for name, mask in masks.items()}
    return learn(past.assign(good), settings)


def _with_tops(usual: Reference, past: xr.Dataset, masks: Mapping[str, np.ndarray]) -> Reference:
    """The highest values of all the past, spikes and impossible ones left out: a sensor's limit does not
    age."""
    tops = {}
    for name, one in usual.variables.items():
        odd = (masks[name][: past.sizes["time"]] & int(Label.SPIKE | Label.RANGE)) > 0
        top, hits = highest(np.where(odd, np.nan, past[name].values))
        tops[name] = replace(one, top=top, top_hits=hits)
    return replace(usual, variables=tops)


def _checked(part: xr.Dataset, first: int, reference: Reference | None, limits: Limits | None,
             settings: QualitySettings, joined: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Label, Found]]:
    """What every check finds, variable by variable; rows before ``first`` are context; ``joined``: nodes (node,) that
    reported before them."""
    compared: dict[str, CheckContext] = {}
    nodes = tuple(part["node"].values.tolist())
    for name in map(str, part.data_vars):
        attrs, circular = part[name].attrs, is_direction(name, part[name].attrs)
        usual = reference.on(name, nodes) if reference is not None else None
        others = alternatives(str(attrs["units"]), str(attrs.get("standard_name", "")))
        sight = CheckContext(part["time"].values, step_of(part), part[name].values, first, settings, others, usual,
                             zero_is_natural(name, attrs, str(part.attrs.get("kind", ""))), joined[name])
        yield name, Label.RANGE, Found(out_of_range(
            sight.values, *((limits or {}).get(name) or range_of(name, attrs, sight.step))))
        for label, check in ALWAYS + (COMPARING if usual is not None and not circular else ()):
            if not (circular and label is Label.SATURATED):  # 360 degrees are no ceiling
                yield name, label, check(sight)
        if usual is not None and not circular:
            compared[name] = sight
        for label, found in _arrived(part, sight, reference, settings):
            yield name, label, found
    if reference is not None and compared:
        for name, found in clock_shift.clock_shift(compared, reference.clock_on(nodes)).items():
            yield name, Label.CLOCK, found


def _arrived(part: xr.Dataset, sight: CheckContext, reference: Reference | None, settings: QualitySettings
             ) -> Iterator[tuple[Label, Found]]:
    """What the known times tell."""
    if "known_time" not in part.coords:
        return
    known = part["known_time"].transpose("time", ...).values
    known = np.broadcast_to(known if known.ndim == 2 else known[:, None], sight.values.shape)
    known = np.where(sight.present, known, np.datetime64("NaT", "ns"))
    behind = arrivals.delays(known, sight.time, sight.step, reference.delay if reference else -1)
    yield Label.LATE, arrivals.late(behind, settings)
    yield Label.BACKFILLED, arrivals.backfilled(behind, known, settings)


def _revised(revisions: pd.DataFrame, name: str, panel: xr.Dataset) -> Entry:
    cells, when = arrivals.revised(revisions, name, panel["time"].values, panel["node"].values)
    return Entry(name, int(Label.REVISED), *cells, when)


def _dataset(panel: xr.Dataset, masks: dict[str, np.ndarray], known: np.ndarray, first: int) -> xr.Dataset:
    part = panel.isel(time=slice(first, None))
    held = {name: (("time", "node"), mask[first:], flag_attrs(str(panel[name].attrs["long_name"])))
            for name, mask in masks.items()}
    return part.drop_vars(list(masks)).assign(held).assign_coords(known_time=(("time", "node"), known[first:]))

