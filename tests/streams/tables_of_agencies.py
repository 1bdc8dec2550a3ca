"""Tables as agencies of Europe, the Americas, Asia and Oceania publish them, made up: each a file and what is right."""
# ruff: noqa: E501  # lines of exports are long

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.streams.exported_table import Made, Right, comma, lines, table, wave

HOURS = pd.date_range("2024-01-10", periods=300, freq="h")
LAST = "2024-01-22T11:00"
DAYS = pd.date_range("2022-01-01", periods=400, freq="D")


@table
def dutch_hours_1_to_24_with_a_header_among_remarks() -> Made:
    """KNMI's form: remarks, the header commented out, hours 1 to 24 (UT)."""
    rows = ["# BRON: KONINKLIJK NEDERLANDS METEOROLOGISCH INSTITUUT (KNMI)",
            "# T         : Temperatuur (in 0.1 graden Celsius) op 1.50 m hoogte tijdens de waarneming",
            "# FH        : Uurgemiddelde windsnelheid (in 0.1 m/s)", "#", "# STN,YYYYMMDD,   HH,   FH,    T", "#"]
    rows += [f"{place},{t:%Y%m%d},{t.hour + 1:5d},{int(x):5d},{int(x) * 10:5d}" for place in (260, 344)
             for t, x in zip(HOURS[:288], wave(288, place % 7), strict=True)]
    return "uurgeg.txt", lines(rows), Right(2, "1h", "2024-01-10T01:00", "2024-01-22T00:00", ("FH", "T"), {},
                                            {"node": "STN"})


@table
def swedish_remarks_beside_the_rows() -> Made:
    """SMHI's form: blocks about the station first, a remark in a column of its own beside the first rows."""
    rows = ["Stationsnamn;Stationsnummer;Stationsnät;Mäthöjd (meter över marken)", "Abisko;188790;SMHIs stationsnät;2.0",
            "", "Parameternamn;Beskrivning;Enhet", "Lufttemperatur;momentanvärde, 1 gång/tim;celsius", "",
            "Datum;Tid (UTC);Lufttemperatur;Kvalitet;;Tidsutsnitt:"]
    notes = ["Kvalitetskontrollerade historiska data", "Tidsperiod (fr.o.m.) = 2024-01-10", "", ""]
    rows += [f"{t:%Y-%m-%d};{t:%H:%M:%S};{x};G;;{notes[at] if at < 4 else ''}"
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "smhi.csv", lines(rows), Right(1, "1h", "2024-01-10T00:00", LAST, ("Lufttemperatur",))


@table
def french_synop_with_mq() -> Made:
    stamps = pd.date_range("2024-01-10", periods=160, freq="3h")
    rows = ["numer_sta;date;pmer;tend;dd;ff;t"]
    rows += [f"{place};{t:%Y%m%d%H%M%S};{101000 + int(10 * x)};{'mq' if at % 40 == 5 else -30};220;{x:.6f};{270 + x:.2f}"
             for place in ("07005", "07015", "07020") for at, (t, x) in enumerate(zip(stamps, wave(160), strict=True))]
    return "synop.csv", lines(rows), Right(3, "3h", "2024-01-10T00:00", "2024-01-29T21:00", ("pmer", "tend", "ff", "t"),
                                           {}, {"node": "numer_sta"}, missing={"tend": 12})


@table
def british_station_since_1990() -> Made:
    """The Met Office's form: text above, two header lines, marks behind values, a word at the end of provisional rows."""
    months = pd.date_range("1990-01-01", periods=240, freq="MS")
    rows = ["Armagh", "Location: 287800E 345200N (Irish Grid), 62 metres amsl", "Estimated data is marked with a * after the",
            "value. Missing data is marked by  ---.", "   yyyy  mm   tmax    tmin      af    rain     sun",
            "              degC    degC    days      mm   hours"]
    for at, (t, x) in enumerate(zip(months, wave(240, 0, 40), strict=True)):
        sun = "---" if at % 60 == 7 else f"{x:.1f}#"
        rows.append(f"   {t.year}  {t.month:2d}   {x / 4:4.1f}{'*' if at % 50 == 3 else ''}    {x / 9:3.1f}      "
                    f"{at % 9}    {x:4.1f}   {sun}" + ("  Provisional" if at > 235 else ""))
    return "armaghdata.txt", lines(rows), Right(
        1, "1mo", "1990-01-01T00:00", "2009-12-01T00:00", ("tmax", "tmin", "rain", "sun"),
        {"tmax": "degC", "rain": "mm"}, missing={"sun": 4})


@table
def indian_from_and_to_with_a_title() -> Made:
    rows = ["CENTRAL POLLUTION CONTROL BOARD", "CONTINUOUS AMBIENT AIR QUALITY", "Date: Thursday, Feb 01 2024", "",
            "Station,\"Anand Vihar, Delhi - DPCC\"", "",
            "From Date,To Date,PM2.5 (ug/m3),NO2 (ug/m3),AT (degree C),RH (%)"]
    rows += [f"{t:%d-%m-%Y %H:%M},{t + pd.Timedelta('1h'):%d-%m-%Y %H:%M},{'None' if at % 60 == 4 else x},{x + 9:.1f},"
             f"{x / 2:.1f},{x + 30:.1f}" for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "cpcb.csv", lines(rows), Right(1, "1h", "2024-01-10T00:00", LAST, ("PM2.5", "NO2", "AT", "RH"),
                                          {"PM2.5": "µg m-3", "RH": "%"}, missing={"PM2.5": 5})


@table
def chinese_row_per_quantity_column_per_station() -> Made:
    places = ("东四", "天坛", "官园", "万寿西宫")
    rows = ["date,hour,type," + ",".join(places)]
    rows += [f"{t:%Y%m%d},{t.hour},{name}," + ",".join("" if at % 75 == 9 else f"{x + place:.1f}" for place in range(4))
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True)) for name in ("PM2.5", "PM10", "AQI")]
    return "beijing_all.csv", lines(rows), Right(4, "1h", "2024-01-10T00:00", LAST, ("PM2.5", "PM10", "AQI"))


@table
def korean_hours_1_to_24_in_one_number() -> Made:
    rows = ["지역,측정소코드,측정소명,측정일시,SO2,CO,O3,NO2,PM10,PM25,주소"]
    rows += [f"서울 중구,11112{place},{name},{t:%Y%m%d}{t.hour + 1:02d},0.003,0.5,0.0{int(x)},0.02{at % 9},{int(x)},{int(x) // 2},"
             f"서울 중구 덕수궁길 {place}" for place, name in ((1, "중구"), (3, "한강대로"))
             for at, (t, x) in enumerate(zip(HOURS[:288], wave(288), strict=True))]
    return "2024_1.csv", lines(rows, "cp949"), Right(
        2, "1h", "2024-01-10T01:00", "2024-01-22T00:00", ("SO2", "O3", "PM10", "PM25"))


@table
def chilean_validated_preliminary_and_not() -> Made:
    """SINCA's form: six digits of the day, four of the hour, a column per state of one value."""
    rows = ["FECHA (YYMMDD);HORA (HHMM);Registros validados;Registros preliminares;Registros no validados;"]
    rows += [f"{t:%y%m%d};{t:%H%M};{comma(x) if at < 200 else ''};{comma(x) if at >= 200 else ''};;"
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "datos_pm25.csv", lines(rows), Right(1, "1h", "2024-01-10T00:00", LAST, (
        "Registros validados", "Registros preliminares"), missing={"Registros validados": 100})


@table
def mexican_long_with_codes_of_units() -> Made:
    rows = ["Dirección de Monitoreo Atmosférico", "http://www.aire.cdmx.gob.mx", "Red Automática de Monitoreo Atmosférico",
            "Contaminantes criterio 2024", "Datos horarios", "", "", "", "", "", "date,id_station,id_parameter,value,unit"]
    rows += [f"{t:%d/%m/%Y %H:%M},{place},{name},{'' if at % 75 == 5 else int(x)},{code}"
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True)) for place in ("CUA", "MER")
             for name, code in (("O3", 1), ("PM10", 2))]
    return "contaminantes_2024.csv", lines(rows, "latin-1"), Right(
        2, "1h", "2024-01-10T00:00", LAST, ("O3", "PM10"), {}, {"variable": "id_parameter"})


@table
def american_balance_with_three_clocks() -> Made:
    rows = ['"Balancing Authority","Data Date","Hour Number","Local Time at End of Hour","UTC Time at End of Hour",'
            '"Demand Forecast (MW)","Demand (MW)","Net Generation (MW)"']
    for name in ("AECI", "CISO"):
        for at, (t, x) in enumerate(zip(HOURS, wave(300, 0, 2000), strict=True)):
            local = t - pd.Timedelta("6h")
            demand = f"{x:,.0f}"
            rows.append(f'"{name}","{local - pd.Timedelta("1h"):%m/%d/%Y}",{(local.hour - 1) % 24 + 1},'
                        f'"{local:%m/%d/%Y %I:%M:%S %p}","{t:%m/%d/%Y %I:%M:%S %p}","{x + 30:,.0f}",'
                        f'"{demand if at % 100 != 7 else ""}","{x + 500:,.0f}"')
    return "EIA930_BALANCE_2024_Jan_Jun.csv", lines(rows), Right(
        2, "1h", "2024-01-10T00:00", LAST, ("Demand Forecast", "Demand", "Net Generation"), {"Demand": "MW"},
        {"time": "UTC Time at End of Hour", "node": "Balancing Authority"}, missing={"Demand": 6})


@table
def spanish_quarter_hours_of_detectors() -> Made:
    stamps = pd.date_range("2024-02-01", periods=400, freq="15min")
    rows = ['"id";"fecha";"tipo_elem";"intensidad";"ocupacion";"carga";"vmed";"error";"periodo_integracion"']
    rows += [
        f'{place};"{t:%Y-%m-%d %H:%M:%S}";"{sort}";{int(20 * x)};{int(x) % 30};{int(x)};{int(x) + 30};"N";15'
        for place, sort in ((1001, "M30"), (1002, "M30"), (3911, "URB"))
        for t, x in zip(stamps, wave(400, place % 5), strict=True)]
    return "02-2024.csv", lines(rows), Right(3, "15min", "2024-02-01T00:00", "2024-02-05T03:45",
                                             ("intensidad", "ocupacion", "carga", "vmed"), {}, {"node": "id"})


@table
def french_counts_with_offset_and_a_place_in_one_cell() -> Made:
    rows = ["Identifiant arc;Libelle;Date et heure de comptage;Débit horaire;Taux d'occupation;Etat trafic;Etat arc;"
            "geo_point_2d"]
    for arc, name, place in ((4264, "Av_Italie", "48.8226,2.3582"), (5169, "Bd_Masséna", "48.8219,2.3661")):
        rows += [f"{arc};{name};{t:%Y-%m-%dT%H:%M:%S}+01:00;{'' if at % 60 == 9 else int(20 * x)};{x / 3:.5f};Fluide;Invalide;"
                 f"{place}" for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "comptages.csv", lines(rows, "utf-8-sig"), Right(
        2, "1h", "2024-01-09T23:00", "2024-01-22T10:00", ("Débit horaire", "Taux d'occupation"),
        missing={"Débit horaire": 10})


@table
def european_weeks_of_two_indicators() -> Made:
    weeks = pd.date_range("2020-01-06", periods=130, freq="7D")
    rows = ["country,country_code,continent,population,indicator,year_week,source,weekly_count,cumulative_count"]
    for country, code, people in (("Austria", "AUT", 8901064), ("Belgium", "BEL", 11522440)):
        for name in ("cases", "deaths"):
            total = 0
            for t, x in zip(weeks, wave(130, len(name)), strict=True):
                total += int(x)
                year, week, _ = t.isocalendar()
                rows.append(f"{country},{code},Europe,{people},{name},{year}-{week:02d},TESSy,{int(x)},{total}")
    return "ecdc.csv", lines(rows), Right(2, "7d", "2020-01-06T00:00", "2022-06-27T00:00", ("cases", "deaths"), {},
                                          {"variable": "indicator", "value": "weekly_count"})


@table
def australian_rain_with_quality() -> Made:
    rows = ["Product code,Bureau of Meteorology station number,Year,Month,Day,Rainfall amount (millimetres),"
            "Period over which rainfall was measured (days),Quality"]
    rows += [f"IDCJAC0009,066062,{t.year},{t.month:02d},{t.day:02d},{'' if at % 80 == 3 else x},{'' if at % 80 == 3 else 1},"
             f"{'' if at % 80 == 3 else 'Y'}" for at, (t, x) in enumerate(zip(DAYS, wave(400), strict=True))]
    return "IDCJAC0009_066062_1800_Data.csv", lines(rows), Right(
        1, "1d", "2022-01-01T00:00", "2023-02-04T00:00", ("Rainfall amount",), {"Rainfall amount": "mm"},
        missing={"Rainfall amount": 5})


@table
def canadian_hours_with_flags() -> Made:
    rows = ['"Longitude (x)","Latitude (y)","Station Name","Climate ID","Date/Time (LST)","Year","Month","Day","Time (LST)",'
            '"Temp (°C)","Temp Flag","Rel Hum (%)","Rel Hum Flag","Wind Spd (km/h)","Wind Spd Flag","Weather"']
    rows += [f'"-79.63","43.68","TORONTO INTL A","6158731","{t:%Y-%m-%d %H:%M}","{t:%Y}","{t:%m}","{t:%d}","{t:%H:%M}",'
             f'"{"" if at % 75 == 4 else f"{x - 25:.1f}"}","{"M" if at % 75 == 4 else ""}","{int(x) + 50}","","{int(x)}","","NA"'
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "en_climate_hourly_ON.csv", lines(rows, "utf-8-sig"), Right(
        1, "1h", "2024-01-10T00:00", LAST, ("Temp", "Rel Hum", "Wind Spd"),
        {"Temp": "degC", "Rel Hum": "%", "Wind Spd": "km h-1"}, missing={"Temp": 4})


@table
def daily_elements_without_a_header() -> Made:
    """GHCN's form by year: station, day, element, value, three flags and the hour of observation."""
    rows = [f"{place},{t:%Y%m%d},{name},{int(x * scale)},,,W,{'' if name == 'PRCP' else '2400'}"
            for t, x in zip(DAYS, wave(400), strict=True) for place in ("USW00094728", "GME00102380")
            for name, scale in (("TMAX", 10), ("TMIN", 3), ("PRCP", 1))]
    return "2022.csv", lines(rows), Right(2, "1d", "2022-01-01T00:00", "2023-02-04T00:00", ("TMAX", "TMIN", "PRCP"))


@table
def italian_sensors_with_states() -> Made:
    rows = ["IdSensore,Data,Valore,Stato,idOperatore"]
    rows += [f"{place},{t:%d/%m/%Y %I:%M:%S %p},{-9999 if at % 60 == 8 else x},{'NA' if at % 60 == 8 else 'VA'},1"
             for place in (5504, 5834, 6327) for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "Dati_sensori_aria_2024.csv", lines(rows), Right(
        3, "1h", "2024-01-10T00:00", LAST, ("Valore",), {}, {"node": "IdSensore"}, missing={"Valore": 15})


@table
def polish_six_lines_of_names() -> Made:
    codes = ("DsJelGorOgin", "DsWrocAlWisn", "MzWarAlNiepo")
    rows = ["Nr;1;2;3", "Kod stacji;" + ";".join(codes), "Wskaźnik;PM2.5;PM2.5;PM2.5", "Czas uśredniania;1g;1g;1g",
            "Jednostka;ug/m3;ug/m3;ug/m3", "Kod stanowiska;" + ";".join(f"{one}-PM2.5-1g" for one in codes)]
    rows += [f"{t:%d.%m.%Y %H:%M};" + ";".join("" if at % 75 == 6 else comma(x + place) for place in range(3))
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "2024_PM25_1g.csv", lines(rows), Right(3, "1h", "2024-01-10T00:00", LAST, ("pm25",), {"pm25": "µg m-3"})


@table
def norwegian_lanes_and_totals() -> Made:
    rows = ["Trafikkregistreringspunkt;Navn;Vegreferanse;Fra;Til;Dato;Fra tidspunkt;Til tidspunkt;Felt;Trafikkmengde;"
            "Dekningsgrad (%)"]
    for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True)):
        until = t + pd.Timedelta("1h")
        for lane, share in (("1", 0.5), ("2", 0.4), ("Totalt", 0.9)):
            said = "-" if at % 75 == 8 else str(int(50 * x * share))
            rows.append(f"44656V72812;Danmarksplass;E39 S2D1 m100;{t:%Y-%m-%dT%H:%M}+01:00;{until:%Y-%m-%dT%H:%M}+01:00;"
                        f"{t:%Y-%m-%d};{t:%H:%M};{until:%H:%M};{lane};{said};{100 if at % 75 != 8 else '-'}")
    return "trafikkdata.csv", lines(rows), Right(3, "1h", "2024-01-09T23:00", "2024-01-22T10:00", ("Trafikkmengde",),
                                                 missing={"Trafikkmengde": 12})


@table
def nasa_power_with_a_marked_header() -> Made:
    rows = ["-BEGIN HEADER-", "NASA/POWER CERES/MERRA2 Native Resolution Hourly Data ",
            "Dates (month/day/year): 01/10/2024 through 01/22/2024 in UTC", "Location: Latitude  48.1   Longitude 11.6 ",
            "The value for missing source data that cannot be computed or is outside of the sources availability range: -999 ",
            "Parameter(s): ", "T2M      MERRA-2 Temperature at 2 Meters (C) ", "WS10M    MERRA-2 Wind Speed at 10 Meters (m/s) ",
            "-END HEADER-", "YEAR,MO,DY,HR,T2M,WS10M"]
    rows += [f"{t.year},{t.month},{t.day},{t.hour},{-999 if at % 75 == 2 else x},{x / 4:.2f}"
             for at, (t, x) in enumerate(zip(HOURS, wave(300), strict=True))]
    return "POWER_Point_Hourly.csv", lines(rows), Right(1, "1h", "2024-01-10T00:00", LAST, ("T2M", "WS10M"),
                                                        {"T2M": "degC", "WS10M": "m s-1"}, missing={"T2M": 4})


def _week(values: np.ndarray, at: int) -> str:
    return ";".join(str(int(value)) for value in values[7 * at:7 * at + 7])


@table
def weekdays_across_by_iso_week() -> Made:
    weeks = pd.date_range("2022-01-03", periods=60, freq="7D")
    rows = ["Jahr;KW;Zählstelle;Mo;Di;Mi;Do;Fr;Sa;So"]
    for place in ("Nordbrücke", "Südbrücke"):
        values = wave(420, len(place), 300)
        rows += [f"{t.isocalendar()[0]};{t.isocalendar()[1]};{place};{_week(values, at)}" for at, t in enumerate(weeks)]
    return "Radverkehr.csv", lines(rows), Right(2, "1d", "2022-01-03T00:00", "2023-02-26T00:00", ("value",), {},
                                                {"node": "Zählstelle"})


@table
def several_values_of_a_parameter() -> Made:
    rows = ["station,parameter,date,value_min,value_mean,value_max,unit"]
    rows += [f"{place},{name},{t:%Y-%m-%d},{x / 2:.1f},{x},{x * 2:.1f},{unit}" for t, x in zip(
        DAYS, wave(400), strict=True) for place in ("A1", "B2") for name, unit in (("no2", "µg/m³"), ("temp", "°C"))]
    return "daily_statistics.csv", lines(rows), Right(
        2, "1d", "2022-01-01T00:00", "2023-02-04T00:00", ("no2", "temp"), {"no2": "µg m-3", "temp": "degC"},
        {"variable": "parameter", "value": "value_mean"}, largest={"no2": 30.0}, doubts=("value_mean",))


@table
def two_values_with_units_of_their_own() -> Made:
    rows = ["Station,Time,NO2,NO2 Unit,O3,O3 Unit"]
    rows += [f"{place},{t:%Y-%m-%d %H:%M},{x},ppb,{x + 20:.1f},µg/m³" for place in ("P", "Q")
             for t, x in zip(HOURS, wave(300), strict=True)]
    return "two_units.csv", lines(rows), Right(2, "1h", "2024-01-10T00:00", LAST, ("NO2", "O3"),
                                               {"NO2": "ppb", "O3": "µg m-3"}, {"node": "Station"})


@table
def weekdays_across_by_the_week_s_first_day() -> Made:
    weeks = pd.date_range("2022-01-02", periods=60, freq="7D")
    values = wave(420, 0, 300)
    rows = ["Site,Week beginning,Sun,Mon,Tue,Wed,Thu,Fri,Sat"]
    rows += [f"A40,{t:%Y-%m-%d},{_week(values, at).replace(';', ',')}" for at, t in enumerate(weeks)]
    return "counts.csv", lines(rows), Right(1, "1d", "2022-01-02T00:00", "2023-02-25T00:00", ("count",))
