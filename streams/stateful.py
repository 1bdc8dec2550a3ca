"""Objects whose state is kept between processes: one codec for all of them.

A class that derives from ``Stateful`` is saved attribute by attribute, as the tree of plain values and arrays that
``streams.storage.tree`` packs. What cannot be kept, or is found again from something else, is named in
``NOT_KEPT`` and put back by ``restored``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Self

import numpy as np

from terracast.streams.errors import StoreError

CLASS, PAIRS, SET, QUEUE = "@class", "@pairs", "@set", "@queue"  # keys that say what a mapping stands for
TIMES = {"@time": np.dtype("datetime64[ns]"), "@span": np.dtype("timedelta64[ns]")}  # nanoseconds, the usual unit
OWN = "@state"  # of a class that writes its state itself
TAGS = frozenset({CLASS, OWN, PAIRS, SET, QUEUE, *TIMES})
OURS = __name__.split(".")[0]


class Stateful:
    """Something whose attributes can be written down and read back, to the bit.

    Attributes may be plain values, numpy arrays and scalars, lists, tuples, sets, deques, mappings, None, and other
    ``Stateful`` objects; dataclasses, frozen or not, are as welcome as ordinary classes. Reading back runs no
    ``__init__``: it makes the object, sets the attributes and calls ``restored``. An object that two attributes hold
    comes back as two: name all but one of them in ``NOT_KEPT``. A class may write ``state`` and ``restore`` itself,
    both of them, where its attributes are not the form to keep.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Level(Stateful):
    ...     mean: float
    ...     seen: tuple[int, ...] = ()
    >>> Level.restore(Level(2.5, (1, 2)).state())
    Level(mean=2.5, seen=(1, 2))
    """

    NOT_KEPT: ClassVar[frozenset[str]] = frozenset()
    _KNOWN: ClassVar[dict[str, type[Stateful]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Stateful._KNOWN[_name(cls)] = cls

    def state(self) -> dict[str, object]:
        """Everything that is kept, as a tree of plain values; its arrays are copies."""
        return {CLASS: _name(type(self)), **{name: _encoded(value, name) for name, value in vars(self).items()
                                             if name not in self.NOT_KEPT}}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """The object that ``state`` was taken of; ``StoreError`` where it is one of another class."""
        kind = _class(str(state.get(CLASS)))
        if not issubclass(kind, cls):
            raise StoreError(f"a state of {state.get(CLASS)}", where="state", expected=f"one of {_name(cls)}",
                             remedy="begin service anew: terracast retrain")
        made = object.__new__(kind)
        vars(made).update({name: decoded(one) for name, one in state.items() if name != CLASS})
        made.restored()
        return made

    def restored(self) -> None:
        """Called when all kept attributes are back: make those in ``NOT_KEPT``."""


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _encoded(value: object, where: str) -> object:
    if isinstance(value, Stateful):
        state = value.state()
        return state if CLASS in state else {CLASS: _name(type(value)), OWN: state}
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value) and not TAGS & value.keys():
            return {key: _encoded(one, f"{where}.{key}") for key, one in value.items()}
        return {PAIRS: [[_encoded(key, where), _encoded(one, f"{where}.{key}")] for key, one in value.items()]}
    if isinstance(value, set | frozenset):
        return {SET: sorted((_encoded(one, where) for one in value), key=repr), "frozen": isinstance(value, frozenset)}
    if isinstance(value, deque):
        return {QUEUE: [_encoded(one, where) for one in value], "longest": value.maxlen}
    if isinstance(value, list):
        return [_encoded(one, where) for one in value]
    if isinstance(value, tuple):
        return tuple(_encoded(one, where) for one in value)
    if isinstance(value, np.datetime64 | np.timedelta64) and value.dtype in TIMES.values():
        return {"@time" if isinstance(value, np.datetime64) else "@span": int(value.astype(np.int64))}
    if value is None or isinstance(value, bool | int | float | str | np.generic):
        return value
    raise StoreError(f"a {type(value).__name__} cannot be kept", where=where,
                     expected="plain values, arrays and Stateful objects",
                     remedy="name it in NOT_KEPT and make it again in restored()")


def decoded(value: object) -> object:
    """What a part of a state stands for, such as one attribute that was read alone; its arrays are copies."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if isinstance(value, tuple):
        return tuple(decoded(one) for one in value)
    if not isinstance(value, Mapping):
        return value
    if CLASS in value:
        return _class(str(value[CLASS])).restore(value.get(OWN, value))
    if PAIRS in value:
        return {decoded(key): decoded(one) for key, one in value[PAIRS]}
    if SET in value:
        return (frozenset if value["frozen"] else set)(decoded(one) for one in value[SET])
    if QUEUE in value:
        return deque((decoded(one) for one in value[QUEUE]), value["longest"])
    for tag in TIMES.keys() & value.keys():
        return np.int64(value[tag]).astype(TIMES[tag])
    return {key: decoded(one) for key, one in value.items()}


def _class(name: str) -> type[Stateful]:
    """A class that is known already, or stands in this package: a state never imports anything else."""
    if name not in Stateful._KNOWN and name.partition(":")[0].split(".")[0] == OURS:
        import_module(name.partition(":")[0])
    if name not in Stateful._KNOWN:
        raise StoreError(f"a state of {name}, which is not known", where="state", expected="a class that is imported",
                         remedy="import it first, or begin service anew: terracast retrain")
    return Stateful._KNOWN[name]
