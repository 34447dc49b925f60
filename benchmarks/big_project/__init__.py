"""A project of 10,000 flags, 500 segments and 200,000 events, and what it is asked.

Rooms: ``changes`` (what people do to such a project), ``filling`` (the log that they leave behind),
``stage`` (a server on it), ``questions`` (what is asked over HTTP, and how long that takes),
``plans`` (how PostgreSQL finds the events), ``__main__`` (all of it, one after the other).
"""
