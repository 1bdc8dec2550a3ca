"""Data faults: tickets for sensors, drivers and feeds that are broken; never a drift of the world."""
