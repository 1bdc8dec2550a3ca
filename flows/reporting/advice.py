"""Is the loop worth it on this stream? One sentence from the errors of a replay, with the policy to choose.

A difference counts where it is clear: paired by issue time, in blocks of a week or three horizons, beyond what two
sides of 95 % of Student's t leave open.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from terracast.adapt.evaluation.oracle import ORACLE
from terracast.adapt.evaluation.replay import ReplayOutcome
from terracast.flows.reporting.wording import unit_words
from terracast.streams.wording import number

FEWEST_BLOCKS = 4
BLOCK = pd.Timedelta("7D")
LEVEL = 0.975


def advice(outcomes: Sequence[ReplayOutcome], baselines: Sequence[str], horizon: pd.Timedelta, units: str) -> str:
    """The sentence. ``baselines`` names the outcomes that are plain rules, not policies; ``units`` are the target's."""
    errors = {outcome.policy: _errors(outcome, horizon) for outcome in outcomes if outcome.policy != ORACLE}
    mae = {outcome.policy: float(outcome.row()["mae"]) for outcome in outcomes}
    trained = {outcome.policy: outcome.adaptations for outcome in outcomes}
    policies = [name for name in errors if name not in baselines]
    if not policies:
        return "No policy was replayed, so there is nothing to choose: name some with --policies."
    best, plain = min(policies, key=mae.__getitem__), min(baselines, key=mae.__getitem__)
    choice = min((name for name in policies if name == best or clearly(errors[name], errors[best]) <= 0),
                 key=lambda name: (trained[name], mae[name]))
    told = f"mean error {number(mae[choice])}{unit_words(units)}"
    beside = f"the plain rule {plain} {number(mae[plain])}"
    against = clearly(errors[choice], errors[plain])
    if against > 0:
        return (f"It is not worth it on this stream: {choice} has {told}, {beside}; use the rule, or give the model "
                "more past (base.first_fit) and replay again.")
    if against == 0:
        return (f"No clear difference: {choice} has {told}, {beside}; a longer replay may tell them apart, "
                f'until then choose adapt.policy = "{choice}".')
    if "frozen" not in policies or (choice == "frozen" and len(policies) == 1):
        return f'{choice} is worth it here: {told}, {beside}; choose adapt.policy = "{choice}".'
    if choice == "frozen":
        others = f"{best} has {number(mae[best])}, frozen has {told}" if best != "frozen" else f"frozen has {told}"
        return (f"Adapting makes no clear difference on this stream: {others}, {beside}; "
                'choose adapt.policy = "frozen".')
    gain = 100 * (1 - mae[choice] / mae["frozen"])
    return (f"Adapting is worth it on this stream: {choice} has {told}, {number(gain, 2)} % less than frozen "
            f'({number(mae["frozen"])}); {beside}; choose adapt.policy = "{choice}".')


def clearly(one: pd.Series, other: pd.Series) -> int:
    """1 where the errors of ``one`` are clearly larger than those of ``other``, −1 where clearly smaller, else 0.

    >>> weeks = pd.date_range("2020-01-05", periods=8, freq="7D")
    >>> low, high = pd.Series(1.0, weeks), pd.Series([2.0, 2.1, 1.9, 2, 2, 2.2, 1.8, 2], weeks)
    >>> clearly(high, low), clearly(low, high), clearly(low, low), clearly(high[:3], low[:3])
    (1, -1, 0, 0)
    """
    apart = (one - other).dropna()
    if len(apart) < FEWEST_BLOCKS or not apart.abs().max() > 0:
        return 0
    spread = float(apart.std(ddof=1)) / np.sqrt(len(apart))
    mean = float(apart.mean())
    return int(np.sign(mean)) if abs(mean) > stats.t.ppf(LEVEL, len(apart) - 1) * spread else 0


def _errors(outcome: ReplayOutcome, horizon: pd.Timedelta) -> pd.Series:
    """Mean absolute error per block of issue times, weighted by the labels that came."""
    scores = outcome.scores
    total = (scores["absolute_error"].astype(float).fillna(0.0) * scores["labels"]).groupby(scores["issue_time"]).sum()
    labels = scores.groupby("issue_time")["labels"].sum()
    block = max(BLOCK, 3 * horizon)
    sums, counts = total.resample(block).sum(), labels.resample(block).sum()
    return sums / counts.where(counts > 0)
