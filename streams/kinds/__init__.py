"""The kinds of spatio-temporal data. Each is read, checked, brought to a panel and back again, and drawn.

``sensor``: fixed nodes, perhaps a graph, networks that grow. ``raster``: grids, lazy. ``point``: nodes that move.
``trajectory``: tracks of any length. ``event``: marks in time and place, counted sparsely.
"""
