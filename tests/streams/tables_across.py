"""Tables whose columns are hours, days, months, dates, or places of quantities: each a file and what is right."""

from __future__ import annotations

import calendar
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tests.streams.exported_table import Made, Right, comma, lines, table, wave

HOURS = pd.date_range("2024-01-01", periods=400, freq="h")
DAYS = pd.date_range("2023-03-01", periods=60, freq="D")


def _months(year: int) -> Iterator[tuple[int, int]]:
    yield from ((month, calendar.monthrange(year, month)[1]) for month in range(1, 13))


@table
def hours_across_with_a_validity_each() -> Made:
    """Madrid's form: H01 to H24, each followed by V01 to V24; N is not valid."""
    rows = ["ESTACION;MAGNITUD;ANO;MES;DIA;" + ";".join(f"H{hour:02d};V{hour:02d}" for hour in range(1, 25))]
    for place in (4, 8):
        for at, day in enumerate(DAYS):
            cells = ((at * 24 + hour) for hour in range(1, 25))
            rows.append(f"{place};8;{day.year};{day.month:02d};{day.day:02d};" + ";".join(
                f"{count % 97 + 8};{'N' if count % 100 == 0 else 'V'}" for count in cells))
    return "mar_mo23.csv", lines(rows), Right(
        2, "1h", "2023-03-01T01:00", "2023-04-30T00:00", ("value",), options={"across": ["H{hour}", "V{hour}"]},
        missing={"value": 28})


@table
def hours_ending_across() -> Made:
    rows = ["OpDate,Zone," + ",".join(f"HE{hour:02d}" for hour in range(1, 25))]
    for zone in ("East", "West"):
        rows += [f"{day:%m/%d/%Y},{zone}," + ",".join(str(1000 + (at * 24 + hour) % 50) for hour in range(24))
                 for at, day in enumerate(DAYS)]
    return "demand.csv", lines(rows), Right(2, "1h", "2023-03-01T01:00", "2023-04-30T00:00", ("demand",),
                                            options={"across": ["HE{hour}"], "value": "demand"})


@table
def hours_across_in_two_languages() -> Made:
    rows = ["NAPS Data", "", "Pollutant//Polluant,NAPS ID//Identifiant,Date//Date," + ",".join(
        f"H{hour:02d}//H{hour:02d}" for hour in range(1, 25))]
    rows += [f"O3,{place},{day:%Y-%m-%d}," + ",".join(str(-999 if (at * 24 + hour) % 97 == 5 else 20 + (at + hour) % 31)
                                                      for hour in range(1, 25))
             for place in (10102, 30113) for at, day in enumerate(DAYS)]
    return "O3_2022.csv", lines(rows), Right(2, "1h", "2023-03-01T01:00", "2023-04-30T00:00", ("o3",),
                                             options={"across": ["H{hour}//H{hour}"]}, missing={"o3": 30})


@table
def times_of_day_across() -> Made:
    times = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(0, 1440, 30)]
    rows = ["Meter;Datum;" + ";".join(times)]
    for meter in ("M1", "M2"):
        rows += [f"{meter};{day:%d.%m.%Y};" + ";".join(comma(1 + (at * 48 + part) % 50 / 10) for part in range(48))
                 for at, day in enumerate(DAYS)]
    return "lastgang.csv", lines(rows), Right(2, "30min", "2023-03-01T00:00", "2023-04-29T23:30", ("value",),
                                              options={"across": ["{time}"], "decimal": ","})


@table
def days_across_by_element() -> Made:
    """A row per month and element; days that a month does not have are -9999."""
    rows = ["ID,YEAR,MONTH,ELEMENT," + ",".join(f"VALUE{day}" for day in range(1, 32))]
    for month, last in _months(2023):
        for name, level in (("TMAX", 100), ("PRCP", 0)):
            rows.append(f"USW00094728,2023,{month},{name}," + ",".join(
                str(level + (month * 31 + day) % 17) if day <= last else "-9999" for day in range(1, 32)))
    return "ghcn_wide.csv", lines(rows), Right(1, "1d", "2023-01-01T00:00", "2023-12-31T00:00", ("TMAX", "PRCP"),
                                               options={"across": ["VALUE{day}"]}, missing={"TMAX": 0})


@table
def days_across_beside_a_first_of_month() -> Made:
    rows = ["Estacao;Data;" + ";".join(f"Cota{day:02d}" for day in range(1, 32))]
    for year in (2020, 2021):
        rows += [f"15400000;01/{month:02d}/{year};" + ";".join(
            str(300 + month * 5 + day) if day <= last else "" for day in range(1, 32)) for month, last in _months(year)]
    return "cotas.csv", lines(rows), Right(1, "1d", "2020-01-01T00:00", "2021-12-31T00:00", ("Cota",),
                                           options={"time_format": "*/%m/%Y %d"}, missing={"Cota": 0})


@table
def a_year_and_its_months() -> Made:
    rows = ["Year,Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec,Annual"]
    for year in range(1960, 2024):
        values = [round(10 + 8 * float(np.sin((month - 3) * np.pi / 6)) + year % 3, 1) for month in range(12)]
        known = values if year < 2023 else [*values[:5], *[-99.9] * 7]
        rows.append(f"{year},{','.join(map(str, known))},{known[-1]}")
    return "temperature.csv", lines(rows), Right(1, "1mo", "1960-01-01T00:00", "2023-05-01T00:00", ("temperature",),
                                                 options={"across": ["{month}"]})


@table
def a_climate_index_without_a_header() -> Made:
    """Years, twelve months, -99.99 for months to come, and remarks below."""
    rows = ["  1950          2023"]
    rows += [f"{year}  " + "  ".join("-99.99" if year == 2023 and month > 8 else f"{(year * 12 + month) % 37 / 10:6.2f}"
                                     for month in range(12)) for year in range(1950, 2024)]
    return "nina34.data", lines([*rows, "  -99.99", "  NINA34"]), Right(
        1, "1mo", "1950-01-01T00:00", "2023-09-01T00:00", ("value",), options={"across": ["{month}"]})


@table
def dates_across_by_place() -> Made:
    days = pd.date_range("2020-01-22", periods=300, freq="D")
    rows = ["Province/State,Country/Region,Lat,Long," + ",".join(f"{day.month}/{day.day}/{day:%y}" for day in days)]
    for at, (part, country) in enumerate((("", "Albania"), ("Hubei", "China"), ("Beijing", "China"))):
        rows.append(f"{part},{country},{30 + at}.5,{60 + at}.1," + ",".join(
            str(step * (at + 1)) for step in range(300)))
    return "confirmed_cases.csv", lines(rows), Right(3, "1d", "2020-01-22T00:00", "2020-11-16T00:00", ("cases",),
                                                     options={"across": ["{date}"]}, largest={"cases": 890.0})


@table
def eurostat_months_across() -> Made:
    """Names parted by commas before tabs, ``:`` for no value, marks behind numbers."""
    months = [f"{year}M{month:02d}" for year in (2019, 2020, 2021) for month in range(1, 13)]
    rows = ["freq,unit,geo\\time\t" + "\t".join(f"{month} " for month in months)]
    rows += [f"M,PC,{place}\t" + "\t".join(
        ": " if at == 4 and place == "BE" else f"{5 + at / 10:.1f} {'b' if at == 7 else ''}" for at in range(36))
        for place in ("AT", "BE", "DE")]
    return "une_rt_m.tsv", lines(rows), Right(3, "1mo", "2019-01-01T00:00", "2021-12-01T00:00", ("value",),
                                              options={"suffix": ["b"]}, missing={"value": 1})


@table
def two_lines_of_names() -> Made:
    """Quantities over stations."""
    rows = [",PM2.5,,NO2,", "time,Alpha,Beta,Alpha,Beta"]
    rows += [f"{t:%Y-%m-%d %H:%M},{x},{x + 1:.1f},{y},{y + 2:.1f}" for t, x, y in zip(
        HOURS, wave(400), wave(400, 3), strict=True)]
    return "pivot.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-17T15:00", ("PM2.5", "NO2"),
                                           options={"header_rows": 2, "across": ["{variable} | {node}"]})


@table
def place_and_quantity_in_one_name() -> Made:
    rows = ["timestamp,A1_no2,A1_o3,B2_no2,B2_o3,C3_no2,C3_o3"]
    rows += [f"{t:%Y-%m-%d %H:%M}," + ",".join(f"{x + at:.1f},{x + 30 + at:.1f}" for at in range(3))
             for t, x in zip(HOURS, wave(400), strict=True)]
    return "wide.csv", lines(rows), Right(3, "1h", "2024-01-01T00:00", "2024-01-17T15:00", ("no2", "o3"),
                                          options={"across": ["{node}_{variable}"]}, doubts=("3 places of 2",))


@table
def quantities_below_and_stations_beside() -> Made:
    rows = ["date,hour,type,1001A,1003A,1004A"]
    rows += [f"{t:%Y%m%d},{t.hour},{name}," + ",".join(
        str(30 + (at + 7 * place + len(name)) % 23) for place in range(3))
             for at, t in enumerate(HOURS) for name in ("AQI", "PM2.5", "NO2")]
    return "sites.csv", lines(rows), Right(3, "1h", "2024-01-01T00:00", "2024-01-17T15:00", ("AQI", "PM2.5", "NO2"),
                                           options={"across": ["{node}"], "variable": "type"})
