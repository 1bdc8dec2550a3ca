"""Units as people write them: in brackets behind a name, at its end, in a row or a column of their own."""

from __future__ import annotations

import re

from terracast.streams.vocabulary import named

ATOMS = named("unit_atoms")
_BRACKETS = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\[\]()]*)[\])]\s*$")
_SUFFIXES = {"mm": "mm", "degc": "degC", "celsius": "degC", "degf": "degF", "hpa": "hPa", "mbar": "hPa", "kpa": "kPa",
             "kmh": "km h-1", "kph": "km h-1", "mph": "mph", "mps": "m s-1", "cfs": "ft3 s-1", "cms": "m3 s-1",
             "m3s": "m3 s-1", "cumecs": "m3 s-1", "pct": "%", "percent": "%", "kwh": "kWh", "mwh": "MWh", "kw": "kW",
             "mw": "MW", "ugm3": "ug m-3", "ppb": "ppb", "ppm": "ppm", "wm2": "W m-2", "knots": "knot", "cm": "cm"}
_CURRENCY = re.compile(r"(?:^|_)(eur|usd|gbp|chf|sek|nok|dkk|pln|aud|cad|jpy|inr|cny)$", re.IGNORECASE)
CUBIC = {f"{mass}m-3": f"{mass} m-3" for mass in ("ug", "µg", "mg", "ng")} | {
    f"{mass}/m3": f"{mass} m-3" for mass in ("mg", "ng")}
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_PLAIN = {"deg c": "degC", "degc": "degC", "deg_c": "degC", "°c": "degC", "celsius": "degC", "deg. c": "degC",
          "c": "degC", "degree c": "degC", "degrees c": "degC", "degree celsius": "degC", "degrees celsius": "degC",
          "millimetres": "mm", "millimeters": "mm", "centimetres": "cm", "metres": "m", "meters": "m",
          "metres per second": "m s-1", "meters per second": "m s-1", "cubic metres per second": "m3 s-1",
          "kilometres per hour": "km h-1", "hectopascals": "hPa", "percent": "%", "deg f": "degF", "degf": "degF",
          "°f": "degF", "fahrenheit": "degF", "kmh": "km h-1",
          "kph": "km h-1", "ug/m3": "µg m-3", "µg/m3": "µg m-3", "cfs": "ft3 s-1"}


def split_unit(name: str) -> tuple[str, str]:
    """A column's name without the unit in brackets behind it, and that unit ("" where there is none).

    >>> split_unit("NO2 [µg/m³]"), split_unit("Temp. (°C)"), split_unit("flow (raw)"), split_unit("rain_mm")
    (('NO2', 'µg m-3'), ('Temp.', 'degC'), ('flow (raw)', ''), ('rain_mm', 'mm'))
    >>> split_unit("Flow cfs"), split_unit("RH %"), split_unit("Bus 7"), split_unit("price_eur_mwh")
    (('Flow', 'ft3 s-1'), ('RH', '%'), ('Bus 7', ''), ('price_eur_mwh', 'EUR MWh-1'))
    """
    if name.startswith("%") and len(name) > 1:
        return name, "%"
    found = _BRACKETS.match(name)
    if found and found["name"].strip() and is_unit(found["unit"]):
        return found["name"].strip(), plain(found["unit"])
    inside = re.search(r"\[([^\[\]]+)\]", name)
    if inside and is_unit(inside[1]):
        return name, plain(inside[1])  # more of the name follows
    end = re.search(r"_([A-Za-z0-9]+)$", name)
    if end and end[1].lower() in _SUFFIXES:
        price = _CURRENCY.search(name[:end.start()])  # price_eur_mwh: euros for a megawatt-hour
        return name, (f"{price[1].upper()} " if price else "") + _SUFFIXES[end[1].lower()] + ("-1" if price else "")
    further = re.match(r"^([^,]+), (\S{1,12}) \(", name)  # as loggers write it: Temp, °C (LGR S/N: 1038)
    if further and is_unit(further[2]):
        return further[1].strip(), plain(further[2])
    dashed = re.match(r"^(\S.*?)\s+-\s+(\S{1,12})$", name)
    if dashed and is_unit(dashed[2]):
        return dashed[1], plain(dashed[2])
    slash = re.match(r"^(\S.*?)\s+(?:in|en)\s+(\S+)$|^([^/]+),\s*(\S+)$", name)
    if slash:
        before, unit = (slash[1], slash[2]) if slash[1] else (slash[3], slash[4])
        if is_unit(unit) and len(unit) <= 12 and not unit.isdigit():
            return before.strip(), plain(unit)
    spaced = re.match(r"^(\S.*?)\s+(\S{1,12})$", name)  # Temp °C, Flow cfs
    if spaced and is_unit(spaced[2]) and (spaced[2].lower() in _SUFFIXES or re.search(r"[°%/µμ³²]", spaced[2])):
        return spaced[1], _SUFFIXES.get(spaced[2].lower()) or plain(spaced[2])
    return name, ""


def is_unit(text: str) -> bool:
    """Whether all parts of a text are units.

    >>> is_unit("m³/s"), is_unit("kg m-2 s-1"), is_unit("raw"), is_unit("Deg C"), is_unit("V72812")
    (True, True, False, True, False)
    """
    words = text.strip().lower().translate(_SUPER).replace("μ", "µ")
    if not words:
        return False
    if words in _PLAIN or words in ATOMS or words in CUBIC:
        return True
    if re.search(r"[^\W\d_]\d{2,}", words):
        return False  # a code such as V72812
    parts = [part for part in re.split(r"[\s/*·.^()\d-]+", words.replace("deg ", "deg")) if part]
    return bool(parts) and all(part in ATOMS for part in parts)


def plain(text: str) -> str:
    """A unit with products and powers, as CF writes it; one that is not understood stays as it is.

    >>> plain("µg/m³"), plain("m^3/s"), plain("ug.m-3"), plain("vehicles")
    ('µg m-3', 'm3 s-1', 'ug.m-3', 'vehicles')
    """
    text = text.strip().translate(_SUPER).replace("\u03bc", "\u00b5").replace("^", "").replace("**", "")
    if text.isupper() and text.lower() in ("ppb", "ppm", "ppt", "ug/m3"):
        text = text.lower()
    if text.lower() in _PLAIN or text.lower() in CUBIC:
        return _PLAIN.get(text.lower()) or CUBIC[text.lower()]
    if "/" not in text or not is_unit(text):
        return text
    over, *under = [part.strip() for part in text.split("/")]
    parts = [over] if over and over != "1" else []
    for part in under:
        found = re.fullmatch(r"(.*?)(\d*)", part.strip("()"))
        parts.append(f"{found[1]}-{found[2] or 1}" if found else part)
    return " ".join(parts)
