"""The stream at its limits: ten thousand SDKs, stopped readers, restarts, browsers.

For: measuring what the design promises of `/stream/v1`, each figure beside a goal and, where there
is one, beside a floor of the same run. Runs that miss a goal or fail are printed like all others.

The client is not what is measured: the crowd is one process in C (``loadgen/``), compiled anew for
each run. It shares the machine's cores with the server, though, and so do PostgreSQL and Valkey:
figures of two runs on a machine that did something else meanwhile cannot be compared.
"""
