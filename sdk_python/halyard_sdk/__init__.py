"""Halyard's SDK for Python: feature flags, evaluated in your process, streamed as they change.

::

    from halyard_sdk import Client

    with Client("https://flags.example.org", key) as flags:
        flags.wait_ready(5)
        flags.boolean("new-checkout", {"key": "alice", "country": "DE"}, False)

Evaluating never waits for the network and never raises. The SDK must never disturb the program
that it serves: what goes wrong shows in the status, in the detail of an answer, and in the log of
the name ``halyard_sdk``.

Rooms:
    client, async_client        the two clients, for threads and for asyncio
    evaluations, subscriptions  what both can be asked, and how both tell of changes
    tracking                    what both are told about what contexts did
    exposures, context_sample   who was served what, in sums; a few of those who were
    follower                    the asynchronous core: a session, carried out
    address                     where to connect, and with which key
    connection, dialer, backoff one WebSocket, when to open the next, and how long to wait
    keeper, lastknown           the file of the last known ruleset
    listeners, status           who is told of what, and whether the answers are up to date
    background                  the core in a thread
    testing                     clients for the tests of those who use this
    openfeature                 the provider of OpenFeature; an extra, it needs openfeature-sdk
    announcements               when that tells of what

Invariants:
    What is evaluated is one ruleset, complete as of one seq; within an epoch it never goes back.
    Whoever may be behind the server is told so: ``status`` is STALE, and since when.
    No callback, no server and no file can end the client or raise into an evaluation.
"""

from halyard_protocol.context import Context
from halyard_protocol.evaluation import Detail, Reason

from halyard_sdk.async_client import AsyncClient
from halyard_sdk.client import Client
from halyard_sdk.evaluations import ExplainedDetail
from halyard_sdk.listeners import Change
from halyard_sdk.status import State, Status

__all__ = [
    "AsyncClient",
    "Change",
    "Client",
    "Context",
    "Detail",
    "ExplainedDetail",
    "Reason",
    "State",
    "Status",
]
