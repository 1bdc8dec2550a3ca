"""Banks of change detectors: all nodes at once in compiled loops, with the flags of river's own detectors.

``adwin.AdwinBank`` and ``page_hinkley.PageHinkleyBank`` give, sample by sample, the flags that one river detector a
node would give; ``kswin.KswinBank`` holds river's own. All keep the contract ``contract.DetectorBank``.
The loops are compiled at first use (seconds, kept on disk beside the source) and run on one thread.
"""
