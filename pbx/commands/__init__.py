"""The commands of `gerbang`, one module each, and how its help is arranged."""

SET_UP = "Set up: what 112 needs on this machine, and the city's declaration"
SERVE = "Serve: 112 itself, in this terminal"
LOOK = "Look: place a call, read the records, see what is wrong"
PROCESSES = "Processes: gerbang run and systemd start these; by hand, to watch one"
"""The panels of `gerbang --help`; each title teaches what its commands are for."""

EPILOG = """The usual first five, the last four in a second terminal:

[bold]gerbang run[/bold]               serve 112 until Ctrl-C; installs what is missing
[bold]gerbang call --press 0[/bold]    one real call, told step by step
[bold]gerbang calls[/bold]             the records of calls
[bold]gerbang status[/bold]            processes, queues, operators, alarms
[bold]gerbang doctor[/bold]            what is wrong here, and the cure

Each explains itself: gerbang COMMAND --help. How it all works: docs/README.md
"""
"""Stands below `gerbang --help`."""
