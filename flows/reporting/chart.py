"""The timeline as a Vega-Lite chart: three panels over one time axis, drawn in the browser, offline."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import altair
import vl_convert

from terracast.flows.reporting.timeline import TimelineRows

# Okabe and Ito's colours (2008), told apart by colour-blind readers, and each line also by its dash or weight
OBSERVED, FORECAST, FROZEN = "#20262b", "#0072B2", "#8a8f94"
EPISODE, OUTAGE, EVENT = "#E69F00", "#7d8790", "#CC79A7"
PROMOTION, ROLLBACK = "#00785a", "#C24A00"
FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Liberation Sans, Arial, sans-serif"


def chart_of(rows: TimelineRows, target: str, units: str) -> dict[str, Any]:
    """The chart as a Vega-Lite specification; report.js gives it the page's width.

    Panels: observation against forecast; error per week; lanes of episodes and known events. A panel without
    rows is left out.
    """
    panels = []
    if rows.values:
        panels.append(_values_panel(rows, f"{target}, {units}" if units else target))
    if rows.errors:
        panels.append(_errors_panel(rows, f"Mean absolute error per week{f', {units}' if units else ''}"))
    if rows.lanes:
        panels.append(_lanes_panel(rows))
    chart = altair.vconcat(*panels, spacing=14).resolve_scale(x="shared", color="independent")
    chart = chart.configure(font=FONT, background="white").configure_view(stroke=None).configure_axis(
        labelFontSize=12, labelColor="#4b545c", gridColor="#e8ebed", domainColor="#b9c0c6",
        tickColor="#b9c0c6").configure_title(
            anchor="start", frame="group", fontSize=13, fontWeight=600, color="#2d353b", offset=8)
    specification: dict[str, Any] = chart.to_dict()
    specification.pop("$schema", None)  # report.js says which language it is; no address is left in the page
    return _with_zoom(specification)


def _with_zoom(specification: dict[str, Any]) -> dict[str, Any]:
    """One window of time that all panels share and the reader drags; the plain wheel keeps scrolling the page.

    Written by hand: altair puts a selection of several panels on every layer that has one, which Vega refuses.
    """
    views = []
    for index, panel in enumerate(specification["vconcat"]):
        panel["layer"][0]["name"] = f"panel_{index}"
        views.append(f"panel_{index}")
    select = {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.ctrlKey]"}
    zoom = {"name": "zoom", "select": select, "bind": "scales", "views": views}
    return {**specification, "params": [*specification.get("params", []), zoom]}


@cache
def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that defines ``window.vegaEmbed`` alone (0.9 MB)."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;")
    # its own scope, and no text in it may end the script element of the page
    return "(function(){" + re.sub(r"</(script)", r"<\\/\1", bundle, flags=re.IGNORECASE) + "\n})();"


def _data(rows: list[dict[str, object]]) -> Any:
    return altair.InlineData(values=rows)


def _time(rows: TimelineRows, field: str = "at", axis: bool = False) -> Any:
    # numbers are read as UTC milliseconds; one layer a panel has the axis and with it the bounds of time
    if not axis:
        return altair.X(field, type="temporal", title=None, scale=altair.Scale(type="utc"))
    return altair.X(field, type="temporal", title=None,
                    scale=altair.Scale(type="utc", domain=list(rows.domain)),
                    axis=altair.Axis(grid=False, labelOverlap=True, tickCount=8, labelFlush=True))


def _height_axis(**more: object) -> Any:
    return altair.Axis(minExtent=44, maxExtent=44, tickCount=4, domain=False, ticks=False, **more)


def _pointed(base: Any, rows: TimelineRows, name: str, tooltip: list[Any]) -> Any:
    """A column per row over the whole height: it lights up under the pointer and shows the row's numbers."""
    pointer = altair.selection_point(name=name, on="pointerover", clear="pointerout", empty=False)
    return base.mark_rect(color="#47525a").encode(
        x=_time(rows), x2="until:T", tooltip=tooltip,
        opacity=altair.condition(pointer, altair.value(0.18), altair.value(0))).add_params(pointer)


def _behind(rows: TimelineRows) -> list[Any]:
    """Episodes as shaded bands and changes of version as rules, the same in every panel."""
    layers = []
    if rows.episodes:
        layers.append(altair.Chart(_data(rows.episodes)).mark_rect(opacity=0.2).encode(
            x=_time(rows), x2="until:T", color=_episode_colour()))
    if rows.changes:
        layers.append(altair.Chart(_data(rows.changes)).mark_rule(strokeWidth=1.5).encode(
            x=_time(rows), color=_change_colour(), strokeDash=altair.condition(
                "datum.kind === 'rollback'", altair.value([4, 3]), altair.value([1, 0]))))
    return layers


def _episode_colour() -> Any:
    return altair.condition("datum.type === 'outage'", altair.value(OUTAGE), altair.value(EPISODE))


def _change_colour() -> Any:
    return altair.condition("datum.kind === 'rollback'", altair.value(ROLLBACK), altair.value(PROMOTION))


def _values_panel(rows: TimelineRows, title: str) -> Any:
    base = altair.Chart(_data(rows.values))
    height = altair.Axis(minExtent=44, maxExtent=44, tickCount=5, domain=False, ticks=False)
    scale = altair.Scale(zero=False, nice=True)
    band = base.mark_area(opacity=0.22, color=FORECAST).encode(
        x=_time(rows, axis=True), y=altair.Y("low:Q", title=None, axis=height, scale=scale), y2="high:Q")
    few = sum(row["median"] is not None for row in rows.values) < 40
    median = base.mark_line(color=FORECAST, strokeWidth=1.8, point=altair.OverlayMarkDef(
        color=FORECAST, size=16) if few else False).encode(
        x=_time(rows), y=altair.Y("median:Q", title=None, scale=scale))
    dots = altair.OverlayMarkDef(color=OBSERVED, size=16) if len(rows.values) < 40 else False
    observed = base.mark_line(color=OBSERVED, strokeWidth=1.3, point=dots).encode(
        x=_time(rows), y=altair.Y("observed:Q", title=None, scale=scale))
    pointed = _pointed(base, rows, "pointed_value", [
        altair.Tooltip("day:N", title="time"), altair.Tooltip("seen:N", title="observed"),
        altair.Tooltip("forecast:N", title="forecast"), altair.Tooltip("interval:N", title="80 % interval")])
    marks = altair.Chart(_data(rows.changes)).mark_point(size=70, filled=True, opacity=1, clip=False).encode(
        x=_time(rows), y=altair.value(7), color=_change_colour(), shape=altair.condition(
            "datum.kind === 'rollback'", altair.value("triangle-down"), altair.value("triangle-up")),
        tooltip=[altair.Tooltip("kind:N", title="change"), altair.Tooltip("label:N", title="to"),
                 altair.Tooltip("when:N", title="on")])
    layers = [*_behind(rows), band, median, observed, pointed, *([marks] if rows.changes else [])]
    return altair.layer(*layers).properties(height=270, title=title)


def _errors_panel(rows: TimelineRows, title: str) -> Any:
    base = altair.Chart(_data(rows.errors))
    tooltip = [altair.Tooltip("week:N", title="week"), altair.Tooltip("frozen:Q", title="frozen base"),
               altair.Tooltip("champion:Q", title="champion")]
    frozen = base.mark_line(color=FROZEN, strokeWidth=1.6, strokeDash=[5, 3]).encode(
        x=_time(rows, axis=True), y=altair.Y("frozen:Q", title=None, axis=_height_axis()))
    champion = base.mark_line(color=FORECAST, strokeWidth=2).encode(
        x=_time(rows), y=altair.Y("champion:Q", title=None))
    pointed = _pointed(base, rows, "pointed_error", tooltip)
    return altair.layer(*_behind(rows), frozen, champion, pointed).properties(height=130, title=title)


def _lanes_panel(rows: TimelineRows) -> Any:
    lane = altair.Y("lane:O", title=None, axis=None, scale=altair.Scale(domain=list(range(rows.lanes))))
    layers: list[Any] = []
    for spans, colour in ((rows.episodes, _episode_colour()), (rows.events, altair.value(EVENT))):
        if not spans:
            continue
        base = altair.Chart(_data(spans))
        layers.append(base.mark_bar(height=11, cornerRadius=2, clip=True).encode(
            x=_time(rows), x2="until:T", y=lane, color=colour,
            tooltip=[altair.Tooltip("label:N", title="what"), altair.Tooltip("type:N", title="kind"),
                     altair.Tooltip("when:N", title="when")]))
        for side, field, shift in (("left", "until", 5), ("right", "at", -5)):
            named = base.transform_filter(f"datum.align === '{side}'")
            text = named.mark_text(align=side, dx=shift, fontSize=11.5, color="#2d353b", clip=True)
            # not on the bars: Vega-Lite would read their end as another bound of time
            layers.append(text.encode(x=_time(rows, field, axis=len(layers) == 1), y=lane, text="label:N"))
    return altair.layer(*layers).properties(height=21 * rows.lanes, title="Episodes and known events")
