"""The chart of one node, as a Vega-Lite specification that the page fills with the node's own data."""

from __future__ import annotations

from typing import Any

import altair

from terracast.flows.reporting.chart import FONT, FORECAST, FROZEN, OBSERVED

HEIGHTS = (230, 170)
CLOCK = "utcFormat(datum.value, utchours(datum.value) || utcminutes(datum.value) ? '%H:%M' : '%-d %b')"


def node_chart(target: str, units: str) -> dict[str, Any]:
    """Two panels: the observed past with the newest forecast, and last week's forecasts against what came.

    Its data are named ``observed``, ``forecast``, ``week`` and ``issued``; times are milliseconds since 1970, UTC.
    """
    title = f"{target}, {units}" if units else target
    forecast = altair.layer(
        _band("forecast", "p10", "p90", 0.2), _band("forecast", "p25", "p75", 0.28),
        _line("forecast", "p50", FORECAST, 2.0), _line("observed", "value", OBSERVED, 1.4),
        altair.Chart(altair.NamedData("issued")).mark_rule(color=FROZEN, strokeDash=[4, 3]).encode(x=_time()),
        _points("forecast", [("time", "time"), ("p50", "median"), ("p10", "10 %"), ("p90", "90 %")], "p50"),
    ).properties(height=HEIGHTS[0], title=f"What comes next: {title}")
    week = altair.layer(
        _band("week", "p10", "p90", 0.2), _line("week", "p50", FORECAST, 1.6), _line("came", "value", OBSERVED, 1.4),
        _points("week", [("time", "time"), ("came", "came"), ("p50", "forecast"), ("p10", "10 %"), ("p90", "90 %")],
                "p50"),
    ).properties(height=HEIGHTS[1], title="Last week's forecasts against what came")
    chart = altair.vconcat(forecast, week, spacing=18).configure(font=FONT, background="white").configure_view(
        stroke=None).configure_axis(labelFontSize=12, labelColor="#4b545c", gridColor="#e8ebed", domainColor="#b9c0c6",
                                    tickColor="#b9c0c6").configure_title(
        anchor="start", frame="group", fontSize=13, fontWeight=600, color="#2d353b", offset=8)
    specification: dict[str, Any] = chart.to_dict()
    specification.pop("$schema", None)
    return specification


def _time() -> Any:
    return altair.X("at", type="temporal", title=None, scale=altair.Scale(type="utc"),
                    axis=altair.Axis(grid=False, labelOverlap=True, labelFlush=True, labelExpr=CLOCK))


def _value(field: str) -> Any:
    return altair.Y(f"{field}:Q", title=None, scale=altair.Scale(zero=False, nice=True),
                    axis=altair.Axis(minExtent=44, maxExtent=44, tickCount=5, domain=False, ticks=False))


def _band(data: str, low: str, high: str, opacity: float) -> Any:
    return altair.Chart(altair.NamedData(data)).mark_area(color=FORECAST, opacity=opacity).encode(
        x=_time(), y=_value(low), y2=f"{high}:Q")


def _line(data: str, field: str, colour: str, width: float) -> Any:
    return altair.Chart(altair.NamedData(data)).mark_line(color=colour, strokeWidth=width).encode(
        x=_time(), y=_value(field))


def _points(data: str, told: list[tuple[str, str]], at: str) -> Any:
    """Points that are not seen, and tell their numbers under the pointer."""
    return altair.Chart(altair.NamedData(data)).mark_point(size=90, opacity=0, filled=True).encode(
        x=_time(), y=_value(at),
        tooltip=[altair.Tooltip(f"{field}:N", title=name) for field, name in told])
