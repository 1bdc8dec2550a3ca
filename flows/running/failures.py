"""A run that fails is told once, and once more when it works again; the store may be what failed, so neither needs it.

What failed stands in ``.terracast`` beside the settings (``flows.running.failed_verbs``). Where not even that can be
written (a full disk), the same failure may be told twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from terracast.flows.alerting.alert import Alert, of_failure, of_recovery
from terracast.flows.running.failed_verbs import failed_verbs, write_failure
from terracast.flows.running.place import RunningPlace
from terracast.flows.running.run_status import now, stamp
from terracast.flows.settings import Settings, read_settings
from terracast.flows.terminal.one_line import in_one_line
from terracast.flows.terminal.output import note
from terracast.streams.errors import TerracastError


@contextmanager
def failure_alerts(config: str | Path, verb: str) -> Iterator[None]:
    """Around a run of a verb: if it raises, whoever is told of the ``system`` hears it, if that is news."""
    path = Path(config)
    try:
        yield
    except Exception as error:
        words = str(error) if isinstance(error, TerracastError) else in_one_line(error, verb)
        _tell(path, verb, words)
        raise
    _tell(path, verb, None)


def tell_at_once(settings: Settings, alert: Alert, told: Collection[str] = ()) -> tuple[str, ...]:
    """Send an alert now, past the outbox, to the addresses of its kind that are not ``told``; returns who knows it
    then. What does not arrive is a line on standard error."""
    from terracast.flows.alerting.claims import message_id
    from terracast.flows.alerting.message import Message
    from terracast.flows.alerting.sending import send

    reached = []
    for address in settings.alerts.addresses(alert.kind):
        message = Message(alert.title, alert.text, alert.level, id=message_id(address, [alert.id]))
        why = None if address in told else send(address, message)
        if why is None:
            reached.append(address)
        else:
            note(f"an alert did not reach {address}: {why}")
    return tuple(reached)


def _tell(config: Path, verb: str, words: str | None) -> None:
    """Tell whoever does not know it yet that a verb failed (``words``), or, if they know that, that it works again
    (None)."""
    place = RunningPlace.of(config)
    known = failed_verbs(place).get(verb)
    write_failure(place, verb, words)
    if words is None and known is None:
        return
    known = known or {"since": stamp(now()), "told": []}
    with suppress(TerracastError, OSError):  # the settings may be what failed
        settings = read_settings(config)
        name, people = settings.stream.name, settings.alerts.addresses("system")
        if words is None:
            tell_at_once(settings, of_recovery(verb, name, stamp(now())), set(people) - set(known["told"]))
        elif people:
            told = tell_at_once(settings, of_failure(verb, words, name, known["since"]), known["told"])
            write_failure(place, verb, words, list(told))
