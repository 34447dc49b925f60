"""What ``HALYARD_REDIS_URL`` may say. Imports no driver: reading settings must be quick.

::

    redis://[user:password@]host:port/db        one server
    unix:///path/of/socket                      one server on this machine
    redis+cluster://host:port,host:port         a Redis Cluster, by some of its nodes
    redis+sentinel://host:port,host:port/name   the master that Sentinels watch by that name

``rediss`` in place of ``redis`` is the same with TLS. Options of redis-py may follow behind ``?``.
For Sentinels, user and password are those of the servers that they watch.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit

PLAIN = ("redis", "rediss", "unix")
CLUSTER = ("redis+cluster", "rediss+cluster")
SENTINEL = ("redis+sentinel", "rediss+sentinel")
SCHEMES = (*PLAIN, *CLUSTER, *SENTINEL)
_PORT, _SENTINEL_PORT = 6379, 26379


def read_redis_url(url: str) -> str:
    """The URL as it is; raises ``ValueError`` that says what is allowed."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(
            "a URL that begins with redis://, redis+cluster:// or redis+sentinel://, "
            "each also with rediss for TLS, or with unix://"
        )
    if parts.scheme not in PLAIN:
        addresses(parts)
    if parts.scheme in SENTINEL and not parts.path.strip("/"):
        raise ValueError("redis+sentinel://host:port,host:port/NAME with the name of the master")
    if parts.scheme in CLUSTER and parts.path not in ("", "/", "/0"):
        raise ValueError("redis+cluster://host:port,host:port without the number of a database")
    return url


def addresses(parts: SplitResult) -> list[tuple[str, int]]:
    """The hosts and ports of a URL that names several. Raises ``ValueError``."""
    default = _SENTINEL_PORT if parts.scheme in SENTINEL else _PORT
    named = parts.netloc.rpartition("@")[2].split(",")
    return [_address(each, default) for each in named]


def _address(text: str, default_port: int) -> tuple[str, int]:
    try:
        one = urlsplit(f"//{text}")
        host, port = one.hostname, one.port
    except ValueError:
        host = port = None
    if not host:
        raise ValueError("host:port,host:port behind ://, each a name or an address and a number")
    return host, port or default_port


def one_server(parts: SplitResult, host: str, port: int) -> str:
    """The URL of one of several servers, with the credentials and options that they share."""
    shown = f"[{host}]" if ":" in host else host
    secret, at, _ = parts.netloc.rpartition("@")
    scheme = parts.scheme.partition("+")[0]
    return urlunsplit((scheme, f"{secret}{at}{shown}:{port}", "", parts.query, ""))
