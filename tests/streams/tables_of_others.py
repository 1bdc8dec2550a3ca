"""Tables as people export them, made up: each a file and what is right about it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from tests.streams import tables_across, tables_of_agencies, tables_of_networks
from tests.streams.exported_table import TABLES, Made, Right, comma, lines, table, wave, write

__all__ = ["TABLES", "tables_across", "tables_of_agencies", "tables_of_networks", "write"]

HOURS = pd.date_range("2024-01-01", periods=700, freq="h")
DAYS = pd.date_range("2023-01-01", periods=400, freq="D")


@table
def spanish_semicolons_iso_stamps() -> Made:
    """Semicolons, comma decimals, ISO stamps, Windows line ends, cp1252."""
    rows = ["Fecha y hora;Estación;Ozono (µg/m³);Partículas PM2,5 (µg/m³)"]
    for place, name in enumerate(("Méndez Álvaro", "Plaza España", "Casa de Campo")):
        a, b = wave(700, place, 40), wave(700, place + 9)
        rows += [f"{t:%Y-%m-%dT%H:%M:%S};{name};{comma(x)};{comma(y)}" for t, x, y in zip(HOURS, a, b, strict=True)]
    return "aire.csv", lines(rows, "cp1252", "\r\n"), Right(
        3, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Ozono", "Partículas PM2,5"),
        {"Ozono": "µg m-3", "Partículas PM2,5": "µg m-3"}, {"decimal": ",", "node": "Estación"})


@table
def french_date_and_time_columns() -> Made:
    rows = ["date;heure;station;débit (m³/s)"]
    for name in ("Pont A", "Pont B"):
        rows += [f"{t:%d/%m/%Y};{t:%H:%M};{name};{comma(x)}" for t, x in zip(HOURS, wave(700, len(name)), strict=True)]
    return "debits.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("débit",),
                                            {"débit": "m3 s-1"}, {"time": ["date", "heure"]})


@table
def german_hours_1_to_24() -> Made:
    rows = ["Datum;Stunde;Zählstelle;Kfz"]
    for place in ("Z01", "Z02", "Z03"):
        for at, t in enumerate(HOURS[:696]):
            rows.append(f"{t:%d.%m.%Y};{t.hour + 1};{place};{100 + at % 24 * 7 + len(place)}")
    return "verkehr.csv", lines(rows), Right(3, "1h", "2024-01-01T01:00", "2024-01-30T00:00", ("Kfz",),
                                             options={"time": ["Datum", "Stunde"]}, doubts=("1 to 24",))


@table
def japanese_shift_jis() -> Made:
    rows = ["年月日時,観測所,気温(℃),降水量(mm)"]
    for place, name in enumerate(("東京", "横浜")):
        rows += [f"{t:%Y/%m/%d %H:%M},{name},{x},{0.5 if at % 9 == 0 else 0}"
                 for at, (t, x) in enumerate(zip(HOURS, wave(700, place, 10), strict=True))]
    return "jma.csv", lines(rows, "shift_jis"), Right(2, "1h", "2024-01-01T00:00", "2024-01-30T03:00",
                                                      ("気温(℃)", "降水量"), {"降水量": "mm"})


@table
def entsoe_load_intervals() -> Made:
    """Intervals as one text, zone in the header."""
    local = pd.date_range("2024-01-01", periods=400, freq="h")
    rows = ["Time (CET/CEST),Day-ahead Total Load Forecast [MW] - BZN|NL,Actual Total Load [MW] - BZN|NL"]
    for at, t in enumerate(local):
        end = t + pd.Timedelta("1h")
        rows.append(f"{t:%d.%m.%Y %H:%M} - {end:%d.%m.%Y %H:%M},{9000 + at % 24 * 100},{9100 + at % 24 * 90}")
    return "load.csv", lines(rows), Right(1, "1h", "2023-12-31T23:00", "2024-01-17T14:00", (
        "Day-ahead Total Load Forecast [MW] - BZN|NL", "Actual Total Load [MW] - BZN|NL"),
        options={"time_zone": "Europe/Brussels"})


@table
def openaq_v3() -> Made:
    """A sensor id per place and parameter, local and UTC stamps."""
    rows = ['"location_id","location_name","parameter","units","value","datetimeUtc","datetimeLocal","timezone",'
            '"latitude","longitude","country_iso","isMobile","owner_name","provider","sensors_id"']
    for place, name in enumerate(("Alto", "Bajo")):
        for code, parameter in enumerate(("pm25", "o3")):
            unit, level = (("µg/m³", 15.0), ("ppm", 0.04))[code]
            for t, x in zip(HOURS[:300], wave(300, place), strict=True):
                value = x if code == 0 else round(level + x / 1000, 4)
                rows.append(f'{place + 10},"{name}","{parameter}","{unit}",{value},"{t:%Y-%m-%dT%H:%M:%SZ}",'
                            f'"{t - pd.Timedelta("5h"):%Y-%m-%dT%H:%M:%S}-05:00","America/Bogota",'
                            f'4.{place},-74.{place},"CO","false","Unknown","AirNow",{1000 + 2 * place + code}')
    return "openaq.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-13T11:00", ("pm25", "o3"),
                                            {"pm25": "µg m-3", "o3": "ppm"}, {"variable": "parameter"})


@table
def german_long_table_by_component() -> Made:
    rows = ["Messzeit;Stationscode;Komponente;Messwert;Einheit"]
    for place in ("DEBE010", "DEBE032"):
        for code, name in enumerate(("NO2", "PM10", "O3")):
            rows += [f"{t:%d.%m.%Y %H:%M};{place};{name};{comma(x)};µg/m³"
                     for t, x in zip(HOURS[:400], wave(400, code), strict=True)]
    return "luft.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-17T15:00", ("NO2", "PM10", "O3"),
                                          {"NO2": "µg m-3"}, {"variable": "Komponente", "node": "Stationscode"})


@table
def racks_by_letter_with_units_in_the_header() -> Made:
    """A column a rack: told apart by a letter, each with its unit."""
    values = [wave(700, place, 20 + place) for place in range(3)]
    rows = ["Zeit;Rack A (°C);Rack B (°C);Rack C (°C)"]
    rows += [f"{t:%d/%m/%Y %H:%M};" + ";".join(map(comma, row)) for t, *row in zip(HOURS, *values, strict=True)]
    return "room.csv", lines(rows), Right(
        3, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("temperature",), {"temperature": "degC"},
        {"wide": "temperature", "decimal": ","}, doubts=("places of one quantity",))


@table
def axes_of_one_sensor() -> Made:
    """Letters that are axes: three variables of one place."""
    values = [wave(700, place, 20 + place) for place in range(3)]
    rows = ["time,acc_x,acc_y,acc_z"]
    rows += [f"{t:%Y-%m-%d %H:%M}," + ",".join(map(str, row)) for t, *row in zip(HOURS, *values, strict=True)]
    return "shaker.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00",
                                            ("acc_x", "acc_y", "acc_z"), doubts=("3 variables at one place",))


@table
def scada_wide_tags() -> Made:
    rows = ["Timestamp;FT_101;FT_102;FT_103;FT_104;FT_105;FT_106"]
    values = [wave(700, place) for place in range(6)]
    rows += [f"{t:%d.%m.%Y %H:%M:%S};" + ";".join(comma(one[at]) for one in values) for at, t in enumerate(HOURS)]
    return "flow_export.csv", lines(rows), Right(6, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("flow",),
                                                 options={"wide": "flow"})


@table
def metr_la_index_column() -> Made:
    """The index of a data frame: the time column has no name."""
    five = pd.date_range("2012-03-01", periods=600, freq="5min")
    rows = [",773869,767541,767542,717447,717446"]
    values = [np.round(wave(600, place, 60), 3) for place in range(5)]
    rows += [f"{t},{','.join(str(one[at]) for one in values)}" for at, t in enumerate(five)]
    return "metr-la-speed.csv", lines(rows), Right(5, "5min", "2012-03-01T00:00", "2012-03-03T01:55", ("speed",))


@table
def swedish_epoch_milliseconds() -> Made:
    rows = ["tid,mätare,nivå"]
    for place in ("A", "B"):
        rows += [f"{int(t.value / 1e6)},{place},{x}" for t, x in zip(HOURS, wave(700), strict=True)]
    return "niva.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("nivå",),
                                          options={"time_format": "epoch-ms", "node": "mätare"})


@table
def epoch_seconds_without_node() -> Made:
    rows = ["ts\tpower_kw"] + [f"{int(t.value / 1e9)}\t{x}" for t, x in zip(HOURS, wave(700), strict=True)]
    return "meter.tsv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("power_kw",),
                                           {"power_kw": "kW"}, {"time_format": "epoch-s"})


@table
def cdc_epiweeks() -> Made:
    """MMWR weeks: 2020 has 53, 2015 does not."""
    weeks = [(year, week) for year in (2019, 2020, 2021) for week in range(1, 54 if year == 2020 else 53)]
    rows = ["jurisdiction,mmwr_year,mmwr_week,deaths"]
    for place in ("Ohio", "Iowa", "Utah"):
        rows += [f"{place},{year},{week},{10 + (week * 7) % 23}" for year, week in weeks]
    return "nndss.csv", lines(rows), Right(3, "7d", "2018-12-30T00:00", "2021-12-26T00:00", ("deaths",),
                                           options={"time_format": "%Y %V", "node": "jurisdiction"})


@table
def year_and_month_name() -> Made:
    months = pd.date_range("2010-01-01", periods=120, freq="MS")
    names = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
             "novembre", "décembre"]
    rows = ["année,mois,région,pluie (mm)"]
    for place in ("Nord", "Sud"):
        rows += [f"{t.year},{names[t.month - 1]},{place},{x}" for t, x in zip(months, wave(120), strict=True)]
    return "pluie.csv", lines(rows), Right(2, "1mo", "2010-01-01T00:00", "2019-12-01T00:00", ("pluie",),
                                           {"pluie": "mm"})


@table
def day_month_name_stamps() -> Made:
    rows = ["Date,Gauge,Level"] + [f"{t:%d-%b-%Y},G{place},{x}" for place in (1, 2)
                                   for t, x in zip(DAYS, wave(400, place), strict=True)]
    return "gauges.csv", lines(rows), Right(2, "1d", "2023-01-01T00:00", "2024-02-04T00:00", ("Level",))


@table
def apostrophe_thousands() -> Made:
    rows = ["Zeit;Ort;Passanten"] + [f"{t:%d.%m.%Y %H:%M};Zürich HB;{int(x * 100):,}".replace(",", "'")
                                     for t, x in zip(HOURS, wave(700), strict=True)]
    return "passanten.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Passanten",),
                                               largest={"Passanten": 1000.0})


@table
def points_group_commas_part() -> Made:
    """1.234,5 beside 87,5."""
    rows = ["Datum;Werk;Leistung [kW]"]
    rows += [f"{t:%d.%m.%Y %H:%M};W1;" + f"{x * 80:,.1f}".replace(",", "x").replace(".", ",").replace("x", ".")
             for t, x in zip(HOURS, wave(700), strict=True)]
    return "leistung.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Leistung",),
                                              {"Leistung": "kW"}, largest={"Leistung": 1000.0})


@table
def not_below_zero_and_words() -> Made:
    rows = ["timestamp,site,turbidity"]
    for at, (t, x) in enumerate(zip(HOURS, wave(700), strict=True)):
        said = "NoData" if at % 50 == 7 else "---" if at % 90 == 3 else "<0.5" if at % 40 == 1 else str(x)
        rows.append(f"{t},Weir,{said}")
    words = sum(at % 50 == 7 or at % 90 == 3 for at in range(700))
    return "turbidity.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("turbidity",),
                                               options={"below_limit": "half"}, missing={"turbidity": words})


@table
def nines_above_everything() -> Made:
    rows = ["date,station,tmax,prcp"]
    for at, t in enumerate(DAYS):
        rows.append(f"{t:%Y-%m-%d},USW1,{9999 if at % 37 == 5 else 15 + at % 20},{99.99 if at % 41 == 2 else at % 7}")
    return "ghcn.csv", lines(rows), Right(
        1, "1d", "2023-01-01T00:00", "2024-02-04T00:00", ("tmax", "prcp"),
        missing={"tmax": sum(at % 37 == 5 for at in range(400)), "prcp": sum(at % 41 == 2 for at in range(400))})


@table
def quality_flags_beside_each_value() -> Made:
    """An invalid hour has flag N and a sentinel."""
    rows = ["time,station,so2,so2_flag"]
    for at, (t, x) in enumerate(zip(HOURS, wave(700), strict=True)):
        bad = at % 60 == 11
        rows.append(f"{t},S1,{-99.0 if bad else x},{'N' if bad else 'V'}")
    return "so2.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("so2",),
                                         missing={"so2": sum(at % 60 == 11 for at in range(700))})


@table
def campbell_toa5() -> Made:
    rows = ['"TOA5","Mast","CR1000","12345","CR1000.Std.31","CPU:mast.CR1","1234","Hourly"',
            '"TIMESTAMP","RECORD","AirTC_Avg","WS_ms"', '"TS","RN","Deg C","meters/second"', '"","","Avg","Smp"']
    rows += [f'"{t}",{at},{x},{3.5}' for at, (t, x) in enumerate(zip(HOURS, wave(700, 0, 8), strict=True))]
    return "mast.dat", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("AirTC_Avg", "WS_ms"),
                                          {"AirTC_Avg": "degC"}, {"header": 2, "first_row": 5})


@table
def comments_and_remarks_above() -> Made:
    rows = ["% Pegel Hofkirchen", "% Quelle: Amt", "", "Datum\tUhrzeit\tWasserstand [cm]"]
    rows += [f"{t:%d.%m.%Y}\t{t:%H:%M}\t{x}" for t, x in zip(HOURS, wave(700, 0, 300), strict=True)]
    return "pegel.txt", lines(rows, "latin-1"), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Wasserstand",),
                                                      {"Wasserstand": "cm"}, {"time": ["Datum", "Uhrzeit"]})


@table
def spaces_part_the_fields() -> Made:
    rows = ["#YY  MM DD hh mm WSPD  ATMP", "#yr  mo dy hr mn m/s   degC"]
    rows += [f"{t:%Y %m %d %H %M}  {3 + at % 5:4.1f}  {x:5.1f}" for at, (t, x) in enumerate(
        zip(HOURS, wave(700, 0, 12), strict=True))]
    return "buoy.txt", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("WSPD", "ATMP"))


@table
def newest_first_local_autumn() -> Made:
    """Local hours, newest row first, the hour 02 of 27 October comes twice."""
    utc = pd.date_range("2024-10-20", periods=400, freq="h", tz="UTC")
    local = utc.tz_convert("Europe/Berlin").tz_localize(None)
    rows = ["zeit;zaehler;kwh"] + [f"{t:%d.%m.%Y %H:%M};Z7;{x}" for t, x in zip(local[::-1], wave(400), strict=True)]
    return "strom.csv", lines(rows), Right(1, "1h", "2024-10-20T02:00", "2024-11-05T16:00", ("kwh",),
                                           doubts=("comes twice on 2024-10-27",))


@table
def american_12_hours_without_seconds() -> Made:
    rows = ["DateTime,Sensor ID,Speed (mph)"] + [f"{t:%m/%d/%Y %I:%M %p},S-{place},{x}" for place in (1, 2)
                                                for t, x in zip(HOURS, wave(700, place), strict=True)]
    return "speeds.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Speed",),
                                            {"Speed": "mph"},
                                            {"time_format": "%m/%d/%Y %I:%M %p"})


@table
def two_stations_of_one_name() -> Made:
    rows = ["id,name,observed_at,lat,lon,pm10"]
    for code, name in ((11, "Hauptstraße"), (12, "Hauptstraße"), (13, "Markt")):
        rows += [f"{code},{name},{t:%Y-%m-%d %H:%M:%S+00:00},48.{code},11.{code},{x}"
                 for t, x in zip(HOURS[:300], wave(300, code), strict=True)]
    return "pm10.csv", lines(rows), Right(3, "1h", "2024-01-01T00:00", "2024-01-13T11:00", ("pm10",),
                                          options={"node": "id"})


@table
def hourly_beside_daily() -> Made:
    rows = ["time,station,no2,snow_depth"]
    for at, (t, x) in enumerate(zip(HOURS, wave(700), strict=True)):
        rows.append(f"{t},S,{x},{at // 24 if t.hour == 7 else ''}")
    return "two.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("no2",))


@table
def json_records() -> Made:
    held = {"meta": {"count": 600}, "results": [
        {"date": {"utc": f"{t:%Y-%m-%dT%H:%M:%SZ}"}, "sensor": {"name": name}, "value": float(x)}
        for name in ("a", "b") for t, x in zip(HOURS[:300], wave(300), strict=True)]}
    return "feed.json", json.dumps(held).encode(), Right(2, "1h", "2024-01-01T00:00", "2024-01-13T11:00", ("value",))


@table
def compact_stamps() -> Made:
    rows = ["STATIONS_ID;MESS_DATUM;  TT_TU;RF_TU;eor"]
    rows += [f"       44;{t:%Y%m%d%H};{x:7.1f};{80 + at % 9};eor" for at, (t, x) in enumerate(
        zip(HOURS, wave(700, 0, 5), strict=True))]
    return "dwd.txt", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("TT_TU", "RF_TU"),
                                         options={"time_format": "%Y%m%d%H", "node": "STATIONS_ID"})


@table
def places_by_name_many_columns() -> Made:
    weeks = pd.date_range("2015-01-04", periods=200, freq="7D")
    names = ("Baranya", "Bekes", "Borsod", "Csongrad", "Fejer", "Gyor", "Hajdu", "Heves")
    draws = np.random.default_rng(3).poisson(30, (200, len(names)))
    rows = ["Date," + ",".join(names)] + [f"{t:%d/%m/%Y},{','.join(map(str, row))}"
                                          for t, row in zip(weeks, draws, strict=True)]
    return "varicella_cases.csv", lines(rows), Right(8, "7d", "2015-01-04T00:00", "2018-10-28T00:00", ("cases",),
                                                     options={"wide": "cases"})


@table
def utf16_tabs() -> Made:
    rows = ["Time\tPump\tFlow, m3/h"] + [f"{t:%Y-%m-%d %H:%M}\tP{place}\t{x}" for place in (1, 2)
                                        for t, x in zip(HOURS, wave(700, place), strict=True)]
    return "pumps.txt", lines(rows, "utf-16"), Right(2, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Flow",),
                                                     {"Flow": "m3 h-1"})


@table
def zone_names_beside_stamps() -> Made:
    local = pd.date_range("2024-07-01", periods=300, freq="h")
    rows = ["site_no,datetime,tz_cd,stage_ft"] + [f"0{place},{t:%Y-%m-%d %H:%M},EDT,{x}" for place in (7, 8)
                                                 for t, x in zip(local, wave(300, place), strict=True)]
    return "stage.csv", lines(rows), Right(2, "1h", "2024-07-01T04:00", "2024-07-13T15:00", ("stage_ft",))


@table
def month_names_and_inches() -> Made:
    months = pd.date_range("1995-01-01", periods=240, freq="MS")
    rows = ["Month,Gauge,Precip (in)"] + [f"{t:%b %Y},G{place},{x}" for place in (1, 2)
                                          for t, x in zip(months, wave(240, place), strict=True)]
    return "precip.csv", lines(rows), Right(2, "1mo", "1995-01-01T00:00", "2014-12-01T00:00", ("Precip",),
                                            {"Precip": "in"})


@table
def year_and_month_in_one_number() -> Made:
    months = pd.date_range("1995-01-01", periods=240, freq="MS")
    rows = ["yyyymm,region,rate"] + [f"{t:%Y%m},{place},{x}" for place in "NS"
                                     for t, x in zip(months, wave(240), strict=True)]
    return "rates.csv", lines(rows), Right(2, "1mo", "1995-01-01T00:00", "2014-12-01T00:00", ("rate",))


@table
def a_validity_column_of_its_own_name() -> Made:
    rows = ["Messpunkt;Beginn;Ende;Konzentration;Einheit;Gültigkeit"]
    for place in ("P1", "P2"):
        for at, (t, x) in enumerate(zip(HOURS, wave(700), strict=True)):
            said = "-9999" if at % 50 == 7 else comma(x)
            rows.append(f"{place};{t:%d.%m.%Y %H:%M};{t + pd.Timedelta('1h'):%d.%m.%Y %H:%M};{said};µg/m³;"
                        f"{0 if at % 50 == 7 else 1}")
    return "gas.csv", lines(rows), Right(2, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Konzentration",),
                                         {"Konzentration": "µg m-3"}, {"valid": ["Gültigkeit=1"]},
                                         missing={"Konzentration": 28})


@table
def points_group_whole_numbers() -> Made:
    rows = ["Zeit;Zählstelle;Anzahl"] + [f"{t:%d.%m.%Y %H:%M};Z1;" + f"{int(x * 60):,}".replace(",", ".")
                                         for t, x in zip(HOURS, wave(700), strict=True)]
    return "zaehler.csv", lines(rows), Right(1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("Anzahl",),
                                             options={"node": "Zählstelle"}, largest={"Anzahl": 1000.0})


@table
def remarks_above_and_below() -> Made:
    rows = ["Report;Hourly", "Created;2024-05-01", "", "Date/Time;NO2 (ppb);O3 (ppb)"]
    rows += [f"{t:%Y-%m-%d %H:%M};{x};{x + 9:.1f}" for t, x in zip(HOURS, wave(700), strict=True)]
    return "report.csv", lines([*rows, "End of report"]), Right(
        1, "1h", "2024-01-01T00:00", "2024-01-30T03:00", ("NO2", "O3"), {"O3": "ppb"}, {"header": 4})
