"""From flagged streams to a few pieces of evidence: where, since when, what type, in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from terracast.adapt.monitoring.calibration import Calibration
from terracast.adapt.monitoring.detection.glr_scan import WINDOWS, differences
from terracast.adapt.monitoring.diagnosis.change_types import SURE, Began, ChangeType, began, change_type_of, rises
from terracast.adapt.monitoring.diagnosis.evidence import Evidence, with_windows
from terracast.adapt.monitoring.diagnosis.explanations import LOOK
from terracast.adapt.monitoring.diagnosis.localisation import grown, localise
from terracast.adapt.monitoring.statistics.node_statistics import KINDS, OF_ALL, OF_NODES

LOCAL = KINDS.index("local level")
JUMP = OF_ALL.index("common jump")
HALF = 0.5


class Diagnosis:
    """Reads the end of the past blocks and says what is new in them; keeps nothing itself.

    A detector's flags decide whether there is news. Where it is, how strong and of which size, the scan of windows
    says: a sequential detector flags the nodes that a change spills over to on other days than the one that changed.
    """

    def __init__(self, frozen: Calibration) -> None:
        self._frozen, self._nodes, self._views, self._scan = frozen, frozen.nodes, frozen.views, frozen.scan
        self._threshold, self._sure = frozen.threshold, frozen.sure

    def of(self, time: np.datetime64, flags: np.ndarray, past: np.ndarray, moments: np.ndarray,
           ill: np.ndarray) -> list[Evidence]:
        """Evidence at ``time``, the last instant of the last of the blocks ``past`` (block, stream), with the windows
        that it is about.

        ``flags`` (stream,): what the detector says of it; ``moments`` (block, 7, node) of the same blocks; ``ill``
        (node,): nodes that have a data ticket already.
        """
        if len(past) < 2 or not flags.any():
            return []
        scores, moved = self._scan.latest(past)
        frozen = self._frozen
        found = self._found(time, frozen.span, flags, scores, moved, past, moments, ill)
        if not found or frozen.reference is None:
            return found
        return with_windows(found, scores, self._nodes, time + frozen.clock.step, frozen.span, len(past),
                            frozen.reference)

    def _found(self, time: np.datetime64, span: np.timedelta64, flags: np.ndarray, scores: np.ndarray,
               moved: np.ndarray, past: np.ndarray, moments: np.ndarray, ill: np.ndarray) -> list[Evidence]:
        strengths = self._strengths(scores, flags)
        nodes = len(self._nodes)
        of_nodes = strengths[:-len(OF_ALL)].reshape(len(OF_NODES), nodes)
        of_all = strengths[-len(OF_ALL):]
        flagged = np.where(ill, 0.0, of_nodes.max(axis=0)) > self._threshold
        own = of_nodes[:2].max(axis=0) > self._threshold
        found = []
        if of_all.max() > self._threshold or (nodes > 2 and own.mean() > HALF):
            found.append(self._everywhere(time, span, past, of_all, of_nodes))
            # what is common spills into the neighbour residuals; a node must stand out from it
            flagged &= of_nodes[2:].max(axis=0) > max(float(of_all.max()), self._threshold)
        if not flagged.any():
            return found
        change_types = {int(node): self._change_type(int(node), past, moments, of_nodes)
                        for node in np.flatnonzero(flagged)}
        settled = {node: one for node, one in self._settled(change_types, scores, of_nodes[LOCAL], moved, past,
                                                            moments).items()
                   if not ill[node]}
        return found + self._grouped(time, span, past, of_nodes, settled)

    def _strengths(self, scores: np.ndarray, flags: np.ndarray) -> np.ndarray:
        """How strong the evidence of each stream is, (stream,): the largest score of a window (window, stream), which
        passes the threshold at least where the detector flags it."""
        sizes = np.nan_to_num(np.abs(scores)).max(axis=0)
        return np.where(flags, np.maximum(sizes, np.nextafter(self._threshold, np.inf)), sizes)

    def _change_type(self, node: int, past: np.ndarray, moments: np.ndarray,
                     of_nodes: np.ndarray) -> tuple[ChangeType, Began]:
        nodes = len(self._nodes)
        loudest = int(np.argmax(of_nodes[:, node]))
        when = began(past[:, loudest * nodes + node])
        change_type, age = change_type_of(moments[:, :5, node], moments[:, 5:, node])
        return change_type, Began(age, max(age, when.oldest), min(age, when.youngest))

    def _settled(self, change_types: dict[int, tuple[ChangeType, Began]], scores: np.ndarray, strengths: np.ndarray,
                 moved: np.ndarray, past: np.ndarray, moments: np.ndarray) -> dict[int, tuple[ChangeType, Began]]:
        """Level and trend put down to the few nodes whose own move explains the residuals of all.

        A node whose local level moved too may be one of them whatever its type: inside a region that moves, what its
        neighbours make one expect is as unheard of as what it does. Where no other is linked to it, its type stands.
        """
        nodes = len(self._nodes)
        levels = [node for node, (change_type, _) in change_types.items() if change_type.name in ("level", "trend")]
        if nodes < 3 or not levels:
            return change_types
        part = slice(LOCAL * nodes, (LOCAL + 1) * nodes)
        window = int(np.argmax(np.nan_to_num(np.abs(scores[:, part])).max(axis=1)))
        loud = strengths > self._threshold
        start = np.array([node in levels or (node in change_types and bool(loud[node])) for node in range(nodes)])
        weights, own = self._views.weights, moved[window, :nodes]
        # Of what was not clipped: else a large change is as large at the neighbours that it spills over to.
        local = differences(moments[:, 0], WINDOWS[window])[-1]
        culprits = grown(localise(local, weights, self._scan.limits[window, part], start), own, weights)
        kept = {node: one for node, one in change_types.items() if node not in levels}
        sure = [node for node in culprits if node in levels]
        for node, amount in culprits.items():
            if node in levels:
                name, when = change_types[node][0].name, change_types[node][1]
            elif node not in change_types or weights[node, sure].any() or weights[sure, node].any():
                name, when = "level", began(past[:, LOCAL * nodes + node])
            else:
                continue
            kept[node] = (ChangeType(name, "up" if amount > 0 else "down", abs(amount)), when)
        return kept

    def _grouped(self, time: np.datetime64, span: np.timedelta64, past: np.ndarray, of_nodes: np.ndarray,
                 change_types: dict[int, tuple[ChangeType, Began]]) -> list[Evidence]:
        """One piece of evidence for all nodes that changed the same way; a step at one and a rise at another of them
        are one change, called after what more of the evidence says."""
        groups: dict[tuple[str, str], list[int]] = {}
        for node, (change_type, _) in change_types.items():
            family = "level" if change_type.name == "trend" else change_type.name
            groups.setdefault((family, change_type.direction), []).append(node)
        sizes = of_nodes.max(axis=0)
        found = []
        for (_, direction), members in sorted(groups.items()):
            votes: dict[str, float] = {}
            for node in members:
                votes[change_types[node][0].name] = votes.get(change_types[node][0].name, 0.0) + float(sizes[node])
            name = max(votes, key=lambda one: votes[one])
            loudest = max((node for node in members if change_types[node][0].name == name),
                          key=lambda node: float(sizes[node]))
            change_type, when = change_types[loudest]
            names = tuple(self._nodes[node] for node in sorted(members))
            strength = float(sizes[members].max())
            streams = int(np.argmax(of_nodes[:, loudest])) * len(self._nodes) + np.array(sorted(members))
            sure = float(self._sure.values(past, streams).max())
            common = ChangeType(name, direction, change_type.size)
            found.append(self._evidence(time, span, names, common, when, strength, (sure, len(self._nodes))))
        return found

    def _everywhere(self, time: np.datetime64, span: np.timedelta64, past: np.ndarray, of_all: np.ndarray,
                    of_nodes: np.ndarray) -> Evidence:
        """A change of the whole network: of its common level, or of its scale."""
        kind = int(np.argmax(of_all)) if of_all.max() > self._threshold else int(
            of_nodes[1].mean() > of_nodes[0].mean())
        number = past.shape[1] + kind - len(OF_ALL)
        stream = past[:, number]
        when = Began(1, 1, 1) if kind == JUMP else began(stream)
        before, after = stream[:-when.age], stream[-when.age:]
        step = float(np.nanmean(after) - np.nanmean(before)) if np.isfinite(after).any() else 0.0
        if kind == 1:
            change_type = ChangeType("scale", "wider" if step > 0 else "narrower", abs(step))
        else:
            jump, rise = (0.0, 0.0) if kind == JUMP else rises(stream)
            change_type = ChangeType("trend" if jump - rise > 3 * SURE * rise / LOOK else "level",
                              "up" if step > 0 else "down", abs(step))
        strength, sure = max(of_all.max(), self._threshold), self._sure.values(past, np.array([number]))[0]
        found = self._evidence(time, span, self._nodes, change_type, when, float(strength), (float(sure), 1))
        return replace(found, common=len(self._nodes) > 1)

    def _evidence(self, time: np.datetime64, span: np.timedelta64, nodes: tuple[str, ...], change_type: ChangeType,
                  when: Began, strength: float, sure: tuple[float, int]) -> Evidence:
        """``sure``: the e-value, and over how many streams. A change began with the first instant of its block."""
        since, earliest, latest = (time + self._frozen.clock.step - age * span
                                   for age in (when.age, when.oldest, when.youngest))
        size = change_type.size if change_type.name in ("level", "trend") else 0.0
        return Evidence(time, since, nodes, change_type.name, change_type.direction, strength, size=size,
                        earliest=earliest, latest=latest, e_value=sure[0], streams=sure[1])
