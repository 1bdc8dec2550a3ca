"""Classes of other packages by name: an entry point of a group, or ``module:Class``."""

from __future__ import annotations

from importlib import metadata

from terracast.streams.errors import TerracastError


class PluginError(TerracastError):
    """A name that leads to no class."""


def has_plugin(group: str, name: str) -> bool:
    """Whether a name may lead to a class; nothing is imported.

    >>> has_plugin("terracast.sources", "json:JSONDecoder"), has_plugin("terracast.sources", "kafka")
    (True, False)
    """
    return ":" in name or bool(metadata.entry_points(group=group, name=name))


def find_plugin(group: str, name: str, built_in: tuple[str, ...] = ()) -> type:
    """Import the class that a name leads to.

    Parameters
    ----------
    group : str
        Group of entry points, such as ``terracast.sources``.
    name : str
        Name of an entry point, or ``module:Class`` with a module on Python's path.
    built_in : tuple of str
        Names that need no entry point; an error lists them.

    Raises
    ------
    PluginError
        The name leads nowhere, its module cannot be imported, or it is no class.

    Examples
    --------
    >>> find_plugin("terracast.sources", "json:JSONDecoder").__name__
    'JSONDecoder'
    """
    found = list(metadata.entry_points(group=group, name=name))
    if not found and ":" not in name:
        known = [*built_in, *sorted(metadata.entry_points(group=group).names)]
        raise PluginError(f"no {name!r}", where=f"entry points of {group}",
                          expected=f"one of {', '.join(known) or 'the installed names'}, or module:Class",
                          remedy="install the package that has it, or correct the name")
    entry = found[0] if found else metadata.EntryPoint(name, name, group)
    try:
        loaded = entry.load()
    except Exception as error:  # whatever the module of another package raises
        raise PluginError(f"{name!r} cannot be imported ({type(error).__name__}: {error})", where=entry.value,
                          expected="a module on Python's path",
                          remedy="install its package, set PYTHONPATH, or mend the name") from error
    if not isinstance(loaded, type):
        raise PluginError(f"{name!r} is no class", where=entry.value, expected="a class",
                          remedy="name the class after the colon")
    return loaded
