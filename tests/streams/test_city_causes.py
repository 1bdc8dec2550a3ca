"""The causal truth: interventions act along the recorded links, at their lags and strengths, nowhere else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from terracast.streams.city import LINKS, Reporting, Shock, TrueLink, simulate_city
from terracast.streams.city.links import TYPICAL
from terracast.streams.city.variables import all_series
from terracast.streams.city.world import REACH_KM

HOUR = np.timedelta64(1, "h")
PERFECT = Reporting(late_share=0, gap_share=0, revised_share={})
AT = np.datetime64("2023-01-08T12")


def city_of(days=15, **more):
    return simulate_city(seed=7, days=days, drifts=(), reporting=PERFECT, **more)


def values_of(city, series):
    domain, name = series.split(".")
    return city.panels[domain][name].to_numpy()


def earliest(cause):
    """Shortest summed lag from a cause to every series it reaches, by relaxation over the recorded links."""
    reach = {cause: 0}
    for _ in all_series():
        for link in LINKS:
            if link.cause in reach:
                lag = reach[link.cause] + link.lag
                reach[link.effect] = min(lag, reach.get(link.effect, lag))
    return reach


@pytest.mark.parametrize("cause", all_series())
def test_shock_is_felt_at_the_true_lag_and_not_before(cause):
    calm, shocked = city_of(), city_of(shocks=(Shock(cause, AT, 3.0),))
    time = calm.panels["air"].time.to_numpy()
    felt = {}
    for series in all_series():
        rows = (values_of(calm, series) != values_of(shocked, series)).any(axis=1)
        if rows.any():
            felt[series] = int((time[rows][0] - AT) / HOUR)
    assert felt == earliest(cause)


@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link.cause}>{link.effect}")
def test_link_switched_off_changes_its_effect_and_what_follows_alone(link):
    kept = tuple(one for one in LINKS if one != link)
    calm, without = city_of(), city_of(links=kept)
    assert without.truth == kept
    assert city_of(links=(*kept, replace(link, strength=0.0))).truth == kept
    changed = {series for series in all_series()
               if (values_of(calm, series) != values_of(without, series)).any()}
    assert changed == set(earliest(link.effect))


@pytest.mark.parametrize("lag", [1, 5])
def test_strength_is_the_log_response_to_one_unit_of_the_signal(lag):
    links = tuple(replace(link, lag=lag) if link.cause == "weather.wind_speed" else link for link in LINKS)
    calm, shocked = city_of(links=links), city_of(links=links, shocks=(Shock("weather.wind_speed", AT, 0.5),))
    winds = [city.panels["weather"].wind_speed.sel(time=AT).to_numpy() for city in (shocked, calm)]
    rise = (winds[0] - winds[1]) / 3.0
    weights = calm.layout.seen_from("weather", "air", REACH_KM["weather"])
    for effect in ("no2", "pm25"):
        answer = np.log(shocked.panels["air"][effect] / calm.panels["air"][effect]).sel(time=AT + lag * HOUR)
        strength = next(link.strength for link in LINKS if link.effect == f"air.{effect}"
                        and link.cause == "weather.wind_speed")
        np.testing.assert_allclose(answer, strength * weights @ rise, rtol=1e-6)


def test_typical_signals_are_those_of_a_calm_year():
    city = simulate_city(seed=11, drifts=(), reporting=PERFECT)
    weather, volume = city.panels["weather"], city.panels["traffic"].volume
    means = {"weather.temperature": float((weather.temperature.mean() - 10) / 10),
             "weather.wind_speed": float(weather.wind_speed.mean() / 3 - 1),
             "weather.rain": float(np.log1p(weather.rain).mean()), "traffic.volume": float(
                 (volume / volume.mean("time")).mean())}
    assert means == pytest.approx(TYPICAL, abs=0.1)


def regional_anomalies(city):
    """Domain means, robust to gaps, less the slow season and the mean hour of the week, over its spread."""
    means = pd.DataFrame({f"{domain}.{name}": panel[name].mean("node").to_series()
                          for domain, panel in city.panels.items() for name in panel})
    means = means - means.rolling(24 * 30, center=True, min_periods=240).mean()
    hour = means.index.day_of_week * 24 + means.index.hour
    means = means - means.groupby(hour).transform("mean")
    return (means / means.groupby(hour).transform("std")).fillna(0.0)


@pytest.mark.parametrize("seed, drifts", [
    (7, "default"), pytest.param(7, (), marks=pytest.mark.slow), pytest.param(3, (), marks=pytest.mark.slow)])
def test_pcmciplus_recovers_the_truth_from_regional_means(seed, drifts):
    from tigramite.data_processing import DataFrame
    from tigramite.independence_tests.parcorr import ParCorr
    from tigramite.pcmci import PCMCI

    city = simulate_city(seed=seed, drifts=drifts)
    anomalies = regional_anomalies(city)
    names = list(anomalies)
    graph = PCMCI(DataFrame(anomalies.to_numpy(), var_names=names), ParCorr(), verbosity=0).run_pcmciplus(
        tau_max=4, pc_alpha=0.01)["graph"]
    found = {(names[i], names[j], int(lag)) for i, j, lag in np.argwhere(graph == "-->") if i != j}
    truth = {(link.cause, link.effect, link.lag) for link in city.truth}
    assert len(found & truth) / len(truth) >= 0.8
    for cause, effect, _ in found:
        assert not (effect.startswith("weather") and not cause.startswith("weather"))
        assert not (effect.startswith("traffic") and cause.startswith("air"))


def test_truth_is_a_tuple_of_links_that_name_series():
    assert TrueLink("weather.wind_speed", "air.pm25", 1, -0.15) in city_of(days=1).truth
    assert {name for link in LINKS for name in (link.cause, link.effect)} <= set(all_series())
    assert not any(link.cause.startswith("air") or link.lag < 1 or link.strength == 0 for link in LINKS)
