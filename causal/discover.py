"""Find the causal graph of prepared series, and say what was assumed."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from terracast.causal.graph.assumptions import assumptions_of
from terracast.causal.graph.graph import CausalGraph, Series
from terracast.causal.knowledge import Knowledge
from terracast.causal.preprocessing.prepare import DroppedSeries, Prepared
from terracast.causal.preprocessing.redundant import redundant
from terracast.causal.search.engine import search_links
from terracast.causal.search.stability import stability
from terracast.causal.settings import DiscoverError, Progress, Search

__all__ = ["DiscoverError", "discover", "enough_samples", "stability", "without_redundant"]


def discover(prepared: Prepared, *, max_lag: int, alpha: float = 0.01, method: str = "PCMCI+",
             knowledge: Knowledge | None = None, progress: Progress | None = None,
             search: Search | None = None) -> CausalGraph:
    """The causal graph of ``prepared`` with links up to ``max_lag`` steps, significant at ``alpha``.

    Copies and exact sums of other series leave first, each with a reason in ``assumptions``. Ten series of 8,760 steps
    and twelve lags take well under a second (see ``Search`` for how it grows, ``causal.search.cost_estimate`` for an
    estimate before).

    Parameters
    ----------
    prepared : Prepared
        Values (time, series) of one clock, without trend and season where that was asked for.
    max_lag : int
        In steps.
    alpha : float
        Significance level of a link.
    method : str
        ``PCMCI+`` (same-time links oriented where the data allow) or ``PCMCI`` (only where knowledge does).
    knowledge : Knowledge, optional
        Links that are known, or known not to be.
    progress : callable, optional
        Told the share done and what is done, in words.
    search : Search, optional
        The rarer settings; it wins over ``max_lag``, ``alpha`` and ``method``.

    Returns
    -------
    CausalGraph
        With the assumptions that its links rest on.

    Raises
    ------
    DiscoverError
        On too few samples or wrong settings.
    KnowledgeError
        On knowledge that contradicts itself or names no series.

    References
    ----------
    Runge et al. (2019), Detecting and quantifying causal associations in large nonlinear time series datasets,
    Science Advances 5. Runge (2020), Discovering contemporaneous and lagged causal relations in autocorrelated
    nonlinear time series datasets, UAI.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(400, 2))
    >>> noise[1:, 1] += 0.6 * noise[:-1, 0]
    >>> rain, flow = Series("weather", "rain"), Series("traffic", "flow")
    >>> graph = discover(Prepared(noise, (rain, flow), "1h", np.arange(400)), max_lag=2)
    >>> [(str(link.cause), str(link.effect), link.lag) for link in graph.links]
    [('weather.rain', 'traffic.flow', 1)]
    """
    search = (search or Search(max_lag=max_lag, alpha=alpha, method=method)).checked()
    known = knowledge or Knowledge()
    known.check(prepared.series + tuple(one.series for one in prepared.dropped), search.max_lag)
    values, series, dropped = without_redundant(prepared, search)
    samples = enough_samples(values, series, search)
    marks = known.link_assumptions(series, search.max_lag)
    try:
        links = search_links(values, series, marks, search, progress)
    except (ValueError, np.linalg.LinAlgError, IndexError) as error:
        raise DiscoverError(f"a test had no usable data: {error}", where=f"{len(series)} series",
                            expected="overlapping, varying series",
                            remedy="leave out the series with most gaps, or lower max_lag") from error
    ordered = sorted(links, key=lambda link: (link.effect, link.cause, link.lag))
    settings: dict[str, object] = {"search": asdict(search), "knowledge": known.text()}
    graph = CausalGraph(series=series, links=tuple(ordered), step=prepared.step, method=search.method,
                        samples=samples, settings=settings, labels=dict(prepared.labels))
    return replace(graph, assumptions=(
        *assumptions_of(search, graph), *prepared.notes,
        *(f"{one.series} was left out: {one.reason}." for one in (*prepared.dropped, *dropped)),
        *known.sentences(graph)))


def without_redundant(prepared: Prepared,
                      search: Search) -> tuple[np.ndarray, tuple[Series, ...], tuple[DroppedSeries, ...]]:
    """Values and series without copies and exact sums, and what was left out."""
    dropped = redundant(prepared.values, prepared.series, search.max_lag)
    gone = {one.series for one in dropped}
    kept = [place for place, one in enumerate(prepared.series) if one not in gone]
    return prepared.values[:, kept], tuple(prepared.series[place] for place in kept), dropped


def enough_samples(values: np.ndarray, series: tuple[Series, ...], search: Search) -> int:
    """Steps at which every series is observed; refuses fewer than two per possible condition + 30."""
    if len(series) < 2:
        raise DiscoverError(f"{len(series)} usable series", where="discover", expected="at least 2",
                            remedy="select more variables")
    seen = np.isfinite(values)
    samples = int(seen.all(axis=1).sum())
    need = 2 * len(series) * search.max_lag + 30
    if samples < need:
        worst = series[int(seen.sum(axis=0).argmin())]
        raise DiscoverError(f"{samples} complete steps for {len(series)} series and {search.max_lag} lags",
                            where=f"most gaps in {worst}", expected=f"at least {need}",
                            remedy="take a longer span or fewer series")
    return samples
