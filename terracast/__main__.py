"""``python -m terracast``: the command."""

from terracast.flows.command import main

main()
