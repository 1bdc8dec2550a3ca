"""Days on which people do otherwise: public holidays, days between them and a weekend, and the turn of the year."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from importlib import resources

import numpy as np

TUESDAY, THURSDAY = 1, 3
ONE = timedelta(days=1)
# Where no place is known, the past chooses among these: large ones of every part of the world.
COUNTRIES = ("US", "GB", "DE", "FR", "IT", "ES", "NL", "BE", "CH", "AT", "SE", "NO", "DK", "FI", "PL", "CZ", "HU", "RO",
             "GR", "PT", "IE", "CA", "MX", "BR", "AR", "CL", "CO", "PE", "AU", "NZ", "JP", "CN", "KR", "IN", "SG", "TW",
             "HK", "ZA", "EG", "MA", "TR", "SA", "AE", "IL", "RU", "UA", "TH", "VN", "ID", "MY", "PH", "PK", "BD", "NG",
             "KE")


@lru_cache(maxsize=1024)
def days_off(country: str, year: int) -> frozenset[date]:
    """The days off of a year.

    Where Christmas is a holiday, the days from Christmas Eve to New Year count; so does the Friday after a holiday on a
    Thursday, and the Monday before one on a Tuesday.

    Parameters
    ----------
    country : str
        ISO 3166 code, with a part of the country where wanted: ``DE``, ``DE-NW``.
    year : int
        Of the Gregorian calendar.

    Raises
    ------
    KeyError
        Where the holidays of such a country are not known.

    Examples
    --------
    >>> sorted(str(day) for day in days_off("DE", 2024))[:5]
    ['2024-01-01', '2024-03-29', '2024-04-01', '2024-05-01', '2024-05-09']
    >>> date(2024, 5, 10) in days_off("DE", 2024)
    True
    """
    found = set(_calendar(country, year))
    bridges = {day + ONE for day in found if day.weekday() == THURSDAY}
    bridges |= {day - ONE for day in found if day.weekday() == TUESDAY}
    if date(year, 12, 25) in found:
        bridges |= {date(year, 12, day) for day in range(24, 32)} | {date(year, 1, 1)}
    return frozenset(found | bridges)


def has_holidays(country: str) -> bool:
    """Whether the holidays of a country, or of a part of one, are known.

    >>> [has_holidays(one) for one in ("GB", "DE-NW", "DE-XX", "Atlantis")]
    [True, True, False, False]
    """
    try:
        _calendar(country, 2024)
    except KeyError:
        return False
    return True


def country_of(zone: str) -> str | None:
    """The country that a time zone is named after; None where it is of none.

    >>> country_of("Europe/Berlin"), country_of("America/Chicago"), country_of("Etc/GMT-1")
    ('DE', 'US', None)
    """
    return _countries().get(zone)


def are_off(days: np.ndarray, country: str) -> np.ndarray:
    """Which of these days (datetime64[D]) are off.

    >>> are_off(np.array(["2024-12-23", "2024-12-27"], "datetime64[D]"), "DE").tolist()
    [False, True]
    """
    years = np.unique(days.astype("datetime64[Y]").astype(int)) + 1970
    return np.isin(days, np.array([day for year in years for day in days_off(country, int(year))], "datetime64[D]"))


def _calendar(country: str, year: int) -> list[date]:
    import holidays  # a tenth of a second

    land, _, part = country.partition("-")
    try:
        return list(holidays.country_holidays(land, subdiv=part or None, years=year))
    except NotImplementedError:
        raise KeyError(country) from None


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    table = (resources.files("tzdata.zoneinfo") / "zone.tab").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return {row[2]: row[0] for row in rows}
