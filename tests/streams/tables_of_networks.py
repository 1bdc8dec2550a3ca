"""Tables as public networks and tools export them, made up: each a file and what is right about it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from tests.streams.exported_table import Made, Right, comma, lines, table, wave

HOURS = pd.date_range("2024-01-10", periods=300, freq="h")
LAST = "2024-01-22T11:00"
QUARTERS = pd.date_range("2024-05-01", periods=600, freq="15min")


@table
def usgs_rdb_with_two_parameters() -> Made:
    rows = ["# U.S. Geological Survey", "#", "#         69928       00060     Discharge, cubic feet per second",
            "#         69929       00065     Gage height, feet", "#",
            "agency_cd\tsite_no\tdatetime\ttz_cd\t69928_00060\t69928_00060_cd\t69929_00065\t69929_00065_cd",
            "5s\t15s\t20d\t6s\t14n\t10s\t14n\t10s"]
    for at, (t, x, y) in enumerate(zip(QUARTERS, wave(600, 0, 9000), wave(600, 1, 5), strict=True)):
        said = "\t" if at % 50 == 3 else f"{x}\tP"
        rows.append(f"USGS\t01646500\t{t:%Y-%m-%d %H:%M}\tEDT\t{said}\t{y}\tP")
    return "nwis.txt", lines(rows), Right(
        1, "15min", "2024-05-01T04:00", "2024-05-07T09:45", ("69928_00060", "69929_00065"),
        {"69928_00060": "ft3 s-1", "69929_00065": "ft"}, {"node": "site_no"}, missing={"69928_00060": 12})


@table
def british_status_behind_each_value() -> Made:
    """The header comes after four lines, ``status`` twice, midnight is 24:00, the last line is a remark."""
    rows = ["Hourly measurement data", "Data supplied by UK-AIR", "", "",
            "Date,Time,Nitrogen dioxide,status,Ozone,status"]
    for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True)):
        day, clock = (t, f"{t:%H:%M}") if t.hour else (t - pd.Timedelta("1D"), "24:00")
        no2 = "No data," if at % 75 == 5 else f"{x},R ugm-3"
        rows.append(f"{day:%d-%m-%Y},{clock},{no2},{x + 20:.1f},V ugm-3")
    return "CLL2.csv", lines([*rows, "End"]), Right(
        1, "1h", "2024-01-10T00:00", LAST, ("Nitrogen dioxide", "Ozone"),
        {"Nitrogen dioxide": "ug m-3", "Ozone": "ug m-3"}, missing={"Nitrogen dioxide": 4})


@table
def quotes_around_stamps() -> Made:
    rows = ["Stationscode;Datum;Zeit;Messwert;Einheit"]
    rows += [f"{place};'{t:%d.%m.%Y}';'{t:%H:%M}';{'-' if at % 60 == 7 else int(x)};µg/m³"
             for place in ("DEBB007", "DEBB021") for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "uba.csv", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("Messwert",), {"Messwert": "µg m-3"},
                                         missing={"Messwert": 10})


@table
def bars_and_no_header() -> Made:
    """AirNow's form: place, quantity and unit are found by what they hold."""
    rows = [f"{t:%m/%d/%y}|{t:%H:%M}|{place}|Mount Pearl|-4|{name}|{unit}|{20 + (t.hour + len(name)) % 17}.0|Agency"
            for t in HOURS for place in ("000010601", "000010602") for name, unit in (
                ("OZONE", "PPB"), ("PM2.5", "UG/M3"))]
    return "HourlyData.dat", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("OZONE", "PM2.5"),
                                                {"OZONE": "ppb", "PM2.5": "µg m-3"},
                                                {"header": 0, "variable": "column 6"})


@table
def a_header_among_the_comments() -> Made:
    """KNMI's form: hours 1 to 24, units in tenths in the remarks."""
    rows = ["# KNMI", "#", "# FH        : mean wind speed (in 0.1 m/s)",
            "# T         : temperature (in 0.1 degrees Celsius)", "#", "# STN,YYYYMMDD,   HH,   FH,    T", "#"]
    rows += [f"  260,{day:%Y%m%d},{hour:5d},{30 + hour % 7:5d},{(at + hour) * 4 - 20:5d}" for at, day in enumerate(
        pd.date_range("2023-01-01", periods=20)) for hour in range(1, 25)]
    return "uurgeg_260.txt", lines(rows), Right(1, "1h", "2023-01-01T01:00", "2023-01-21T00:00", ("FH", "T"),
                                                {"FH": "0.1 m s-1"}, {"time": ["YYYYMMDD", "HH"], "node": "STN"})


@table
def a_unit_in_the_remarks() -> Made:
    days = pd.date_range("2010-01-01", periods=500)
    rows = ["# Title: RIVER DATA", "# Unit of measure:                  m3/s", "YYYY-MM-DD;hh:mm; Value"]
    rows += [f"{t:%Y-%m-%d};--:--;{-999.0 if at % 100 == 5 else 2000 + at % 90 * 3:12.3f}" for at, t in enumerate(days)]
    return "6335020_Q_Day.txt", lines(rows, "latin-1", "\r\n"), Right(
        1, "1d", "2010-01-01T00:00", "2011-05-15T00:00", ("Value",), {"Value": "m3 s-1"}, missing={"Value": 5})


@table
def influx_annotated() -> Made:
    rows = ["#group,false,false,false,false,true,true,true",
            "#datatype,string,long,dateTime:RFC3339,double,string,string,string",
            "#default,_result,,,,,,", ",result,table,_time,_value,_field,_measurement,host"]
    for at, (name, host) in enumerate((("temp", "a"), ("temp", "b"), ("hum", "a"), ("hum", "b"))):
        rows += [f",,{at},{t:%Y-%m-%dT%H:%M:%SZ},{x},{name},air,{host}" for t, x in zip(
            HOURS, wave(300, at, 20 if name == "temp" else 60), strict=True)]
    return "influx.csv", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("temp", "hum"),
                                            options={"variable": "_field", "node": "host"})


@table
def units_in_every_cell() -> Made:
    rows = ['"Time","room1","room2","room3"']
    rows += [f"{t:%Y-%m-%d %H:%M:%S},{x} °C,{x + 1:.1f} °C,{x - 1:.1f} °C" for t, x in zip(
        HOURS, wave(300, 0, 22), strict=True)]
    return "Temperature-data.csv", lines(rows), Right(3, "1h", "2024-01-10T00:00", LAST, ("temperature",),
                                                      {"temperature": "degC"},
                                                      {"suffix": ["°C"], "wide": "temperature"})


@table
def marks_behind_values() -> Made:
    days = pd.date_range("2023-01-01", periods=300)
    rows = ["date,station,flow"] + [f"{t:%Y-%m-%d},{place},{x}{' e' if at % 20 == 3 else '*' if at % 30 == 7 else ' A'}"
                                    for place in "XY" for at, (t, x) in enumerate(zip(days, wave(300), strict=True))]
    return "flow.csv", lines(rows), Right(2, "1d", "2023-01-01T00:00", "2023-10-27T00:00", ("flow",),
                                          missing={"flow": 0}, doubts=("what stands behind them",))


@table
def measures_that_are_places() -> Made:
    rows = ["measure,dateTime,date,value,quality"]
    rows += [f"http://hydrology.example/measures/{place}-flow-i-900-m3s,{t:%Y-%m-%dT%H:%M:%S},{t:%Y-%m-%d},"
             f"{'' if at % 80 == 4 else x},{'Missing' if at % 80 == 4 else 'Good'}"
             for place in ("3c5c", "b2b9") for at, (t, x) in enumerate(zip(QUARTERS, wave(600, 1, 3), strict=True))]
    return "readings.csv", lines(rows), Right(2, "15min", "2024-05-01T00:00", "2024-05-07T05:45", ("value",),
                                              options={"node": "measure"}, missing={"value": 16})


@table
def periods_of_the_day() -> Made:
    rows = ["Settlement Date,Settlement Period,Demand (MW)"]
    rows += [f"{day:%Y-%m-%d},{period},{30000 + period * 50 + day.day}" for day in pd.date_range(
        "2024-01-10", periods=20) for period in range(1, 49)]
    return "demand_gb.csv", lines(rows), Right(1, "30min", "2024-01-10T00:00", "2024-01-29T23:30", ("Demand",),
                                               {"Demand": "MW"}, {"time_format": "%Y-%m-%d %k/48"})


@table
def six_digits_and_hours_1_to_24() -> Made:
    rows = ["TKNR;Zst;Land;Datum;Wotag;Stunde;KFZ_R1;KFZ_R2"]
    rows += [f"3426;{place};3;{day:%y%m%d};{day.isoweekday()};{hour:02d};{100 + hour * 5};{90 + hour * 4}"
             for place in (1100, 1101) for day in pd.date_range("2021-03-01", periods=30) for hour in range(1, 25)]
    return "zst.csv", lines(rows), Right(2, "1h", "2021-03-01T01:00", "2021-03-31T00:00", ("KFZ_R1", "KFZ_R2"),
                                         options={"time_format": "%y%m%d %H", "node": "Zst"})


@table
def hours_and_a_zone_in_one_cell() -> Made:
    rows = ["REGIAO:;SE", "ESTACAO:;SAO PAULO", "LATITUDE:;-23,49", "Data;Hora UTC;PRECIPITAÇÃO (mm);VENTO (m/s);"]
    rows += [f"{t:%Y/%m/%d};{t:%H%M} UTC;{comma(at % 6 / 5)};{',8' if at % 2 else '1,2'};"
             for at, t in enumerate(HOURS)]
    return "INMET_A701.CSV", lines(rows, "latin-1"), Right(
        1, "1h", "2024-01-10T00:00", LAST, ("PRECIPITAÇÃO", "VENTO"), {"VENTO": "m s-1"},
        {"time_format": "%Y/%m/%d %H%M %Z"})


@table
def year_month_day_and_a_time_of_day() -> Made:
    rows = ['"Asema","Vuosi","Kuukausi","Päivä","Aika [UTC]","Lämpötila [°C]"']
    rows += [f'"Kaisaniemi","{t.year}","{t.month}","{t.day}","{t:%H:%M}","{"-" if at % 75 == 7 else x}"'
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "Kaisaniemi.csv", lines(rows, "utf-8-sig"), Right(1, "1h", "2024-01-10T00:00", LAST, ("Lämpötila",),
                                                             {"Lämpötila": "degC"}, missing={"Lämpötila": 4})


@table
def a_logger_that_names_its_offset() -> Made:
    rows = ['"Plot Title: Creek 7"', '"#","Date Time, GMT-07:00","Temp, °C (LGR S/N: 10381, SEN S/N: 10381)"']
    rows += [f'{at + 1},{t:%m/%d/%y %I:%M:%S %p},{x}' for at, (t, x) in enumerate(zip(
        pd.date_range("2024-05-10", periods=500, freq="15min"), wave(500), strict=True))]
    return "Creek7.csv", lines(rows), Right(1, "15min", "2024-05-10T07:00", "2024-05-15T11:45", ("Temp",),
                                            {"Temp": "degC"}, {"time_zone": "Etc/GMT+7"})


@table
def header_again_totals_and_a_remark() -> Made:
    rows = ["Date,Vehicles,Bikes"]
    for at, t in enumerate(pd.date_range("2023-01-01", periods=300)):
        rows += ["Date,Vehicles,Bikes"] if at % 50 == 49 else []
        rows.append(f"{t:%Y-%m-%d},{1000 + at * 7 % 300},{50 + at % 9}")
    rows += ["Total,344850,16195", '"Source: the road office, 2024",,']
    return "counts.csv", lines(rows), Right(1, "1d", "2023-01-01T00:00", "2023-10-27T00:00", ("Vehicles", "Bikes"),
                                            missing={"Vehicles": 0})


@table
def json_with_units_beside() -> Made:
    held = {"latitude": 52.52, "longitude": 13.42, "generationtime_ms": 2.2, "elevation": 38.0,
            "hourly_units": {"time": "iso8601", "temperature_2m": "°C", "precipitation": "mm"},
            "hourly": {"time": [f"{t:%Y-%m-%dT%H:%M}" for t in HOURS], "temperature_2m": wave(300).tolist(),
                       "precipitation": [round(at % 5 / 10, 1) for at in range(300)]}}
    return "forecast.json", json.dumps(held).encode(), Right(
        1, "1h", "2024-01-10T00:00", LAST, ("temperature_2m", "precipitation"),
        {"temperature_2m": "degC", "precipitation": "mm"})


@table
def json_of_several_series() -> Made:
    """Site, variable and unit stand above the values."""
    def series(site: str, name: str, unit: str, level: float) -> dict[str, object]:
        values = [{"value": str(x), "qualifiers": ["P"], "dateTime": f"{t:%Y-%m-%dT%H:%M:%S}.000-05:00"}
                  for t, x in zip(HOURS, wave(300, 1, level), strict=True)]
        return {"sourceInfo": {"siteName": f"SITE {site}", "siteCode": [{"value": site}]},
                "variable": {"variableName": name, "unit": {"unitCode": unit}}, "values": [{"value": values}]}

    held = {"name": "response", "value": {"timeSeries": [
        series("01646500", "Streamflow", "ft3/s", 900), series("01646500", "Gage height", "ft", 5),
        series("01638500", "Streamflow", "ft3/s", 700)]}}
    return "nwis.json", json.dumps(held).encode(), Right(
        2, "1h", "2024-01-10T05:00", "2024-01-22T16:00", ("Streamflow", "Gage height"),
        {"Streamflow": "ft3 s-1", "Gage height": "ft"})


@table
def json_of_pairs() -> Made:
    """Prometheus' form: lists of a time and a value."""
    found = [{"metric": {"__name__": "node_load1", "instance": f"h{place}:9100"}, "values": [
        [int(t.timestamp()), str(x)] for t, x in zip(HOURS, wave(300, place), strict=True)]} for place in (1, 2)]
    held = {"status": "success", "data": {"resultType": "matrix", "result": found}}
    return "query_range.json", json.dumps(held).encode(), Right(2, "1h", "2024-01-10T00:00", LAST, ("node_load1",))


@table
def json_lines() -> Made:
    rows = [json.dumps({"ts": int(t.timestamp() * 1000), "device": f"d{place}", "temp": float(x)})
            for place in (1, 2) for t, x in zip(HOURS, wave(300, place), strict=True)]
    return "devices.jsonl", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("temp",),
                                               options={"time_format": "epoch-ms", "node": "device"})


@table
def facts_of_places() -> Made:
    rows = ["time,station,road,height,no2"]
    values = np.round(wave(300), 1)
    rows += [f"{t:%Y-%m-%dT%H:%MZ},{place},{road},{height},{x}" for place, road, height in (
        ("A", "motorway", 12), ("B", "street", 40)) for t, x in zip(HOURS, values, strict=True)]
    return "roads.csv", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("no2",),
                                           options={"facts": ["road", "height"]})


@table
def local_and_gmt_in_two_columns_each() -> Made:
    """The date in GMT belongs to the time in GMT."""
    local = HOURS - pd.Timedelta("6h")
    rows = ['"Site Num","Parameter Name","Date Local","Time Local","Date GMT","Time GMT","Sample Measurement"']
    rows += [f'"{place}","Ozone","{here:%Y-%m-%d}","{here:%H:%M}","{t:%Y-%m-%d}","{t:%H:%M}",{x}'
             for place in ("0010", "0023") for t, here, x in zip(HOURS, local, wave(300), strict=True)]
    return "hourly_44201.csv", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("Ozone",),
                                                  options={"time": ["Date GMT", "Time GMT"]})


@table
def json_header_in_one_text() -> Made:
    values = [["0-203-0-11406", name, f"{t:%Y-%m-%dT%H:%M:%S}Z", float(x), ""] for name in ("T", "H")
              for t, x in zip(HOURS, wave(300), strict=True)]
    held = {"id": "x", "data": {"type": "table", "data": {"header": "STATION,ELEMENT,DT,VAL,FLAG", "values": values}}}
    return "1h-11406.json", json.dumps(held).encode(), Right(1, "1h", "2024-01-10T00:00", LAST, ("T", "H"),
                                                             options={"variable": "ELEMENT"})
