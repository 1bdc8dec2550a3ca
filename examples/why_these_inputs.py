"""From panels to a causal graph, and from the graph to drivers with reasons, on a city whose causes are known."""

# --8<-- [start:panels]
from terracast.streams.city.city import simulate_city

city = simulate_city(seed=7, days=365, drifts=())
panels = {domain: city.panels[domain] for domain in ("weather", "traffic", "air")}
for domain, panel in panels.items():
    print(domain, dict(panel.sizes), ", ".join(map(str, panel.data_vars)))
# --8<-- [end:panels]

# --8<-- [start:discover]
from terracast.causal.knowledge import Knowledge
from terracast.causal.search.robust_search import default_search, robust_search

knowledge = Knowledge.parse("air.* never causes weather.*\nair.* never causes traffic.*\n")
graph = robust_search(panels, default_search(max_lag=4), knowledge=knowledge)
for link in graph.links:
    if link.cause.domain != link.effect.domain:
        print(f"{link.cause} -> {link.effect} after {link.lag} h, strength {link.strength:+.2f}")
# --8<-- [end:discover]

# --8<-- [start:drivers]
from terracast.causal.graph.graph import Series
from terracast.drivers.direct_causes import choose_drivers

delays = {"weather": 1, "traffic": 0, "air": 1}  # hours after which each domain is published
for driver in choose_drivers(graph, Series("air", "no2"), published=delays, horizon=6):
    print("use" if driver.used else "leave", f"{driver.series}:", driver.reason)
# --8<-- [end:drivers]

# --8<-- [start:truth]
between = {(law.cause, law.effect, law.lag) for law in city.truth
           if law.cause.partition(".")[0] != law.effect.partition(".")[0]}
found = {(str(one.cause), str(one.effect), one.lag) for one in graph.links if one.cause.domain != one.effect.domain}
print(f"{len(between & found)} of {len(between)} true links found, {len(found - between)} false")
# --8<-- [end:truth]
