"""The control room: the manager link, the second witness, alarms, status."""
