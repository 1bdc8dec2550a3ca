"""Who forecasts: the champion in service, versions in the shadow beside it, and champions that retired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from terracast.adapt.candidate import Candidate, Score
from terracast.adapt.correction.experts.streaming import StreamingExperts
from terracast.adapt.probation import Probation
from terracast.adapt.promotion.approval import Approvals
from terracast.adapt.promotion.e_process_gate import EProcessGate
from terracast.adapt.promotion.paired_gate import PairedGate
from terracast.adapt.promotion.policy import AdaptationRequest
from terracast.adapt.promotion.verdict import Verdict
from terracast.adapt.trial import Trial
from terracast.stfm.forecaster import Forecaster, Request
from terracast.streams.stateful import Stateful


@dataclass
class Deployment(Stateful):
    """The versions of one stream and their parts.

    Attributes
    ----------
    champion
        Its forecasts are served.
    gate
        Decides on challengers; None: no version is ever compared.
    trial, probation
        The challenger, and the champion before the one in service, while there are such.
    retired
        Champions of old, kept until the last forecast that they served has closed. They learn no longer.
    stream
        The experts that the mixtures of all versions read; None without mixtures.
    """

    champion: Candidate
    gate: PairedGate | EProcessGate | None
    trial: Trial | None = None
    probation: Probation | None = None
    retired: list[Candidate] = field(default_factory=list)
    stream: StreamingExperts | None = None
    NOT_KEPT = frozenset({"gate"})

    def __post_init__(self) -> None:
        if self.champion.mixture is not None:
            self.stream = self.champion.mixture.stream

    def equipped(self, gate: PairedGate | EProcessGate | None, request: Request,
                 model: Callable[[str], Forecaster]) -> Deployment:
        """The same, handed what a state does not keep; ``model`` finds a forecaster by its version."""
        self.gate = gate
        for compared in (self.trial, self.probation):
            if compared is not None:
                compared.gate = gate
        for one in (self.champion, *self.shadows, *self.retired):
            one.equipped(model(one.version), request, self.stream)
        return self

    def ask(self, request: Request) -> None:
        """Let all that forecasts from now on answer another request."""
        for one in (self.champion, *self.shadows):
            one.request = request

    def grow(self, known: xr.DataArray, issue_time: np.datetime64, beside: xr.DataArray | None) -> None:
        """Begin the experts anew on all that is ``known`` (time, node) and ``beside`` (time, variable, node) it."""
        self.stream = StreamingExperts.begin(known, self.champion.request.at(issue_time), beside)
        for one in (self.champion, *self.shadows):
            one.grow(known, self.stream)

    @property
    def shadows(self) -> list[Candidate]:
        """What forecasts beside the champion."""
        beside = [] if self.trial is None else [self.trial.challenger]
        return beside if self.probation is None else [*beside, self.probation.previous]

    @property
    def open_issues(self) -> list[np.datetime64]:
        """Issue times that anything served still waits for labels of."""
        served = [*self.retired, self.champion, *([] if self.probation is None else [self.probation.previous])]
        return [one.issue_time for contender in served for one in contender.open]

    def update(self, now: np.datetime64, labels: xr.DataArray, label_timeout: np.timedelta64,
               approvals: Approvals) -> tuple[list[Score], Verdict | None]:
        """Take in labels (time, node) as known now: scores of what was served, and a verdict that was carried out.

        A champion that lost in service goes before a challenger is looked at. What the gate accepts waits for a person
        where ``approvals`` say so, and forecasts in the shadow meanwhile.
        """
        def closed(contender: Candidate) -> list[Score]:
            return contender.match_labels(now, labels, label_timeout)

        scores = [score for contender in (*self.retired, self.champion) for score in closed(contender)]
        self.retired = [one for one in self.retired if one.open]
        champion, of_probation = self.champion.version, None
        if self.trial is not None:
            self.trial.update(scores, closed(self.trial.challenger))
        if self.probation is not None:
            before = closed(self.probation.previous)
            of_probation = self.probation.update(champion, scores, before)
            scores += before
        served = [score for score in scores if not score.shadow]
        if of_probation is not None and self._end_probation(of_probation):
            approvals.withdraw(now, f"version {champion}, which it was to replace, was rolled back")
            return served, of_probation
        of_trial = None if self.trial is None else approvals.judged(now, champion, self.trial.verdict)
        if of_trial is not None:
            self._end_trial(of_trial)
        return served, of_trial

    def replaced(self, version: str, model: Forecaster) -> AdaptationRequest | None:
        """Another version serves, by a decision from outside, with the corrections as they stand.

        A probation ends, and a trial of that very version, whose act is answered; any other challenger has a new
        champion to beat.
        """
        self.champion.version, self.champion.model = version, model
        if self.probation is not None:
            self._retire(self.probation.previous)
            self.probation = None
        if self.trial is None:
            return None
        if self.trial.challenger.version != version:
            self.trial.losses = []
            return None
        ended, self.trial = self.trial.act, None
        self.champion.drop_shadows()
        return ended

    def _end_probation(self, verdict: Verdict) -> bool:
        """Whether the version before serves again."""
        assert self.probation is not None, "it gave the verdict"
        previous, self.probation = self.probation.previous, None
        if verdict.decision.verdict != "rollback":
            self._retire(previous)
            return False
        self._retire(self.champion)
        self.champion = previous
        if self.trial is not None:
            self.trial.losses = []  # it has a new champion to beat
        return True

    def _end_trial(self, verdict: Verdict) -> None:
        assert self.trial is not None, "it gave the verdict"
        trial, self.trial = self.trial, None
        if verdict.decision.verdict == "accept":
            if self.probation is not None:
                self._retire(self.probation.previous)
            self.champion.drop_shadows()
            before, self.probation = self.champion, None
            if self.gate is None:
                self._retire(before)
            else:
                self.probation = Probation(before, trial.act, self.gate)
            self.champion = trial.challenger

    def _retire(self, contender: Candidate) -> None:
        """Keep a contender that issues no longer until what it served has closed."""
        contender.open = [one for one in contender.open if not one.shadow]
        contender.mixture = contender.residual_ridge = None
        if contender.open:
            self.retired.append(contender)
