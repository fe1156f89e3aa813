"""Faults, for real: processes are killed, databases locked, disks filled. docs/reliability.md lists what was seen."""
