"""Draw a causal graph as one SVG text: no script, nothing loaded from elsewhere, on a white ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from terracast.causal.graph.graph import CausalGraph, Driver, Link, Series
from terracast.causal.graph.layout import Box, Curve, Point, Ring, arrow, place_label, ring
from terracast.causal.graph.sentences import sentence, short_duration
from terracast.streams.printable import printable

_COLOURS = {"used": "#0a7d55", "refused": "#c2410c", "known": "#6d28d9", "plain": "#64748b"}
_MEANING = {"used": "driver in use", "refused": "driver refused", "known": "put in by knowledge",
            "plain": "other link"}
_DOMAINS = (("#dbeafe", "#1d4ed8"), ("#fef3c7", "#b45309"), ("#dcfce7", "#15803d"), ("#fce7f3", "#be185d"),
            ("#ede9fe", "#6d28d9"), ("#e2e8f0", "#334155"))
_INK, _MARGIN, _STABLE = "#0f172a", 46.0, 0.5


@dataclass(frozen=True)
class _Arrow:
    """All links of one pair and direction, drawn as one arrow."""

    cause: Series
    effect: Series
    links: tuple[Link, ...]
    status: str

    @property
    def strength(self) -> float:
        return max(abs(link.strength) for link in self.links)

    @property
    def unstable(self) -> bool:
        measured = [link.stability for link in self.links if link.stability is not None]
        return bool(measured) and max(measured) < _STABLE

    @property
    def directed(self) -> bool:
        return any(link.oriented for link in self.links)


def draw(graph: CausalGraph, drivers: Sequence[Driver] = ()) -> str:
    """The graph as SVG: boxes by domain, an arrow per pair labelled with its lags.

    Arrow = direction (none where the data do not tell it), label = ↑ raises or ↓ lowers with the lag, width =
    strength, dashes = returned in fewer than half of the redraws, colour = used, refused or known. Links of a
    series with its own past are told in its box. Every box and arrow has a tooltip. Deterministic;
    O(links^2) for the labels.

    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = CausalGraph((rain, flow), (Link(rain, flow, 2, -0.4, 0.0),), "1h", "PCMCI+", 900)
    >>> "↓2 h" in draw(graph)
    True
    """
    arrows = _arrows(graph, drivers)
    weights = {(one.cause, one.effect): 0.2 + one.strength for one in arrows}
    placed = ring(graph.series, weights)
    curves = [arrow(placed.boxes[one.cause], placed.boxes[one.effect],
                    [box for series, box in placed.boxes.items() if series not in (one.cause, one.effect)])
              for one in arrows]
    lines = [_line(one, curve, graph) for one, curve in zip(arrows, curves, strict=True)]
    labels = _labels(arrows, curves, placed, graph)
    boxes = [_box(one, placed.boxes[one], graph) for one in graph.series]
    return _page(graph, placed, [*_domain_names(placed, graph), *lines, *boxes, *labels])


def _arrows(graph: CausalGraph, drivers: Sequence[Driver]) -> list[_Arrow]:
    """One arrow per pair and direction, weak ones first so that strong ones lie on top."""
    verdicts = {(one.series, one.effect, one.lag): one.used for one in drivers}
    groups: dict[tuple[Series, Series, bool], list[Link]] = {}
    for link in graph.links:
        if link.cause != link.effect:
            groups.setdefault((link.cause, link.effect, link.oriented), []).append(link)
    arrows = []
    for (cause, effect, _), links in groups.items():
        said = [verdicts[key] for link in links for key in ((link.cause, link.effect, link.lag),
                (link.effect, link.cause, link.lag)) if key in verdicts and (link.oriented or link.lag == 0)]
        if any(said):
            status = "used"
        elif said:
            status = "refused"
        else:
            status = "known" if any(link.known for link in links) else "plain"
        arrows.append(_Arrow(cause, effect, tuple(sorted(links, key=lambda link: link.lag)), status))
    return sorted(arrows, key=lambda one: (one.status != "plain", one.strength))


def _line(one: _Arrow, curve: Curve, graph: CausalGraph) -> str:
    width = 1.2 + 6.0 * min(one.strength, 0.6)
    colour = _COLOURS[one.status]
    dash = ' stroke-dasharray="6 5"' if one.unstable else ""
    head, end = ("", curve.end)
    if one.directed:
        head, end = _head(curve, 7 + 1.3 * width, colour)
    path = (f"M{_xy(curve.start)} Q{_xy(curve.bend)} {_xy(end)}")
    tip = _shown("\n".join(sentence(link, graph) for link in one.links))
    opacity = 0.55 if one.status == "plain" and one.cause.domain == one.effect.domain else 0.9
    return (f'<g opacity="{opacity}"><title>{tip}</title><path d="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:.1f}"{dash}/>{head}</g>')


def _head(curve: Curve, size: float, colour: str) -> tuple[str, Point]:
    """The arrow head at the curve's end, and where the line should stop."""
    across, down = curve.end[0] - curve.bend[0], curve.end[1] - curve.bend[1]
    length = math.hypot(across, down) or 1.0
    along, side = (across / length, down / length), (-down / length, across / length)
    foot = (curve.end[0] - along[0] * size, curve.end[1] - along[1] * size)
    wings = [(foot[0] + wide * side[0], foot[1] + wide * side[1]) for wide in (0.45 * size, -0.45 * size)]
    points = " ".join(_xy(point) for point in (curve.end, *wings))
    return f'<polygon points="{points}" fill="{colour}"/>', foot


def _labels(arrows: Sequence[_Arrow], curves: Sequence[Curve], placed: Ring, graph: CausalGraph) -> list[str]:
    taken = list(placed.boxes.values())
    paths = [curve.samples() for curve in curves]
    texts = []
    for place in reversed(range(len(arrows))):  # the arrows that matter most choose their spot first
        one = arrows[place]
        words = _lags(one, graph)
        others = [path for number, path in enumerate(paths) if number != place]
        spot = place_label(curves[place], 7.6 * len(words) + 6, 17.0, taken, others)
        taken.append(spot)
        texts.append(f'<g pointer-events="none"><rect x="{spot.x - spot.width / 2:.0f}" '
                     f'y="{spot.y - spot.height / 2:.0f}" width="{spot.width:.0f}" '
                     f'height="{spot.height:.0f}" rx="5" fill="#ffffff" opacity="0.88"/>'
                     f'<text x="{spot.x:.0f}" y="{spot.y + 4.5:.0f}" text-anchor="middle" '
                     f'font-size="12.5" font-weight="600" fill="{_COLOURS[one.status]}">'
                     f"{_shown(words)}</text></g>")
    return texts


def _lags(one: _Arrow, graph: CausalGraph) -> str:
    """The lags of an arrow, the three strongest of them: the tooltip tells all."""
    shown = sorted(sorted(one.links, key=lambda link: -abs(link.strength))[:3], key=lambda link: link.lag)
    words = [("↑" if link.strength >= 0 else "↓") + short_duration(link.lag, graph.step) for link in shown]
    return " ".join(words) + ("…" if len(one.links) > 3 else "")


def _box(one: Series, box: Box, graph: CausalGraph) -> str:
    fill, edge = _domain_colours(graph)[one.domain]
    own = sorted(link.lag for link in graph.links if link.cause == link.effect == one)
    label = graph.label(one)
    shown = label if len(label) <= 22 else label[:21].rstrip() + "…"
    past = f"; follows its own past at lags {', '.join(map(str, own))}" if own else ""
    tip = _shown(f"{one}: {label}{past}")
    left, top = box.x - box.width / 2, box.y - box.height / 2
    memory = ""
    if own:
        memory = (f'<text x="{box.x:.0f}" y="{box.y + 15:.0f}" text-anchor="middle" font-size="11" '
                  f'fill="#475569">own memory {_shown(short_duration(own[-1], graph.step))}</text>')
    return (f'<g><title>{tip}</title><rect x="{left:.0f}" y="{top:.0f}" width="{box.width:.0f}" '
            f'height="{box.height:.0f}" rx="9" fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
            f'<text x="{box.x:.0f}" y="{box.y + (-2 if own else 5):.0f}" text-anchor="middle" font-size="13" '
            f'font-weight="600" fill="{_INK}">{_shown(shown)}</text>{memory}</g>')


def _domain_colours(graph: CausalGraph) -> dict[str, tuple[str, str]]:
    names = list(dict.fromkeys(one.domain for one in graph.series))
    return {name: _DOMAINS[place % len(_DOMAINS)] for place, name in enumerate(names)}


def _domain_names(placed: Ring, graph: CausalGraph) -> list[str]:
    """Each domain's name above its highest box; below its lowest where the domain lies at the bottom."""
    colours = _domain_colours(graph)
    texts = []
    for domain, (_, down) in placed.domains.items():
        members = [box for one, box in placed.boxes.items() if one.domain == domain]
        side = 1 if down > 0.7 else -1
        end = max(members, key=lambda box: (side * round(box.y), -box.x))
        y = end.y + side * (end.height / 2 + (21 if side > 0 else 9))
        texts.append(f'<text x="{end.x:.0f}" y="{y:.0f}" text-anchor="middle" font-size="16" '
                     f'font-weight="700" fill="{colours[domain][1]}">{_shown(domain)}</text>')
    return texts


def _page(graph: CausalGraph, placed: Ring, parts: Sequence[str]) -> str:
    """The whole picture: white ground, title, the ring, the legend."""
    half_width = max(abs(box.x) + box.width / 2 for box in placed.boxes.values()) if placed.boxes else 200.0
    half_height = max(abs(box.y) + box.height / 2 for box in placed.boxes.values()) if placed.boxes else 100.0
    half_width = max(half_width + _MARGIN, 430.0)
    top, bottom = -half_height - _MARGIN - 34, half_height + 104
    title = (f"What drives what: {graph.method}, lags in steps of {graph.step}, "
             f"{graph.samples} complete steps")
    said = (f'<text x="0" y="{top + 24:.0f}" text-anchor="middle" font-size="15" font-weight="600" '
            f'fill="{_INK}">{_shown(title)}</text>')
    view = f"{-half_width:.0f} {top:.0f} {2 * half_width:.0f} {bottom - top:.0f}"
    ground = (f'<rect x="{-half_width:.0f}" y="{top:.0f}" width="{2 * half_width:.0f}" '
              f'height="{bottom - top:.0f}" fill="#ffffff"/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" width="{2 * half_width:.0f}" '
            f'height="{bottom - top:.0f}" role="img" style="max-width:100%;height:auto" '
            f'font-family="system-ui, \'DejaVu Sans\', Arial, sans-serif">'
            f"<title>{_shown(title)}</title>{ground}{said}{''.join(parts)}{_legend(half_height + 50)}</svg>")


def _shown(words: str) -> str:
    """As text of the picture: XML takes no control character."""
    return escape("\n".join(map(printable, words.split("\n"))))


def _legend(y: float) -> str:
    parts = []
    for place, (status, words) in enumerate(_MEANING.items()):
        x = -400 + 205 * place
        parts.append(f'<path d="M{x} {y:.0f} h34" stroke="{_COLOURS[status]}" stroke-width="3.5"/>'
                     f'<polygon points="{x + 44},{y:.0f} {x + 32},{y - 5:.0f} {x + 32},{y + 5:.0f}" '
                     f'fill="{_COLOURS[status]}"/>'
                     f'<text x="{x + 52}" y="{y + 4.5:.0f}" font-size="13" fill="{_INK}">{words}</text>')
    told = ("↑ raises, ↓ lowers, after this time", "wider: stronger", "no head: direction unknown")
    for x, text in zip((-400, -160, -30), told, strict=True):
        parts.append(f'<text x="{x}" y="{y + 30:.0f}" font-size="13" fill="{_INK}">{text}</text>')
    parts.append(f'<path d="M170 {y + 26:.0f} h34" stroke="{_COLOURS["plain"]}" stroke-width="3" '
                 f'stroke-dasharray="6 5"/><text x="212" y="{y + 30:.0f}" font-size="13" fill="{_INK}">'
                 f"unstable: under half of redraws</text>")
    return "".join(parts)


def _xy(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
