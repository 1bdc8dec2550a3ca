"""Banks of change detectors: all nodes at once in compiled loops, with the flags of river's own detectors.

``AdwinBank`` and ``PageHinkleyBank`` give, sample by sample, the flags that one river detector a node would give;
``CusumBank`` is the tabular CUSUM, which river does not have. All keep the contract ``DetectorBank``.
The loops are compiled at first use (seconds, kept on disk beside the source) and run on one thread.
"""

from adapt.bank.adwin import AdwinBank
from adapt.bank.contract import DetectorBank, DetectorError
from adapt.bank.cusum import CusumBank
from adapt.bank.page_hinkley import PageHinkleyBank

__all__ = ["AdwinBank", "CusumBank", "DetectorBank", "DetectorError", "PageHinkleyBank"]
