"""How a ruleset lies in Redis, how it is read, and what is published about it.

Keys of one environment, whose opaque id is ENV, share the hash tag ``{ENV}``, so that a script may
touch all of them on a cluster too::

    halyard:{ENV}:active              string: name of the generation that is read
    halyard:{ENV}:<generation>:meta       hash: the fields of Meta, and the builder's step
    halyard:{ENV}:<generation>:documents  hash: document key -> JSON with its version
    halyard:{ENV}:<generation>:index      sorted set: document keys by version
    halyard:{ENV}:changes             sharded channel: Delta, Swap, Probe as JSON

Document keys are ``environment``, ``flag:<key>``, ``segment:<key>`` and ``key:<SHA-256 of a server
key, or a client key>``. Whoever reads gets the pointer, the meta and the documents of one instant.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import msgspec
from redis.exceptions import RedisError

from projections.script import Argument, RedisClient, script

ATTEMPTS = 8
"""How often a generation may be replaced between finding out its name and reading it."""


class Meta(msgspec.Struct, frozen=True):
    """What a ruleset says of itself."""

    epoch: int
    """Of the log."""
    content: int
    """Grows when the same log gives other documents."""
    generation: str
    fold: int
    """Version of the fold that wrote it."""
    horizon: int
    """Tombstones up to this seq may be missing."""
    changed: int
    """The last seq that altered a document."""
    hash: str
    """Of the log's chain at ``changed``, in hexadecimal."""
    seq: int
    """The log was checked through here; never below ``changed``."""
    project: str
    environment: str
    """The key of the environment; its id is part of the Redis keys."""

    @property
    def wire_epoch(self) -> str:
        """What SDKs see as ``epoch``: ``<epoch>.<content>``."""
        return f"{self.epoch}.{self.content}"


class StoredRuleset(msgspec.Struct, frozen=True):
    """A ruleset as of one instant, whole or that part of it which is newer than a version."""

    meta: Meta
    documents: dict[str, bytes]


class Delta(msgspec.Struct, frozen=True):
    """Documents changed: the ruleset was brought from ``since`` to ``to``."""

    epoch: str
    """The wire epoch."""
    since: int
    to: int
    seq: int
    hash: str
    documents: dict[str, bytes]
    committed_us: int = 0
    """When the oldest of these changes was committed, by PostgreSQL's clock, in microseconds since
    the epoch; 0 where that is not known."""
    sent_us: int = 0
    """When the projector sent it to Redis, by its own clock; 0 where it does not say."""


class Swap(msgspec.Struct, frozen=True):
    """Another generation became active, at ``to``."""

    epoch: str
    """The wire epoch."""
    to: int
    seq: int


class Probe(msgspec.Struct, frozen=True):
    """A reader asks its own subscription whether it still hears."""

    id: str


Published: TypeAlias = Delta | Swap | Probe


class MalformedPublication(Exception):
    """Something on a channel that is no message of this version. ``str()`` says what is wrong."""


class _Message(msgspec.Struct, frozen=True, tag_field="type"):
    pass


_DELTA_NAMES = {"since": "from", "committed_us": "committedUs", "sent_us": "sentUs"}


class _Delta(_Message, frozen=True, tag="delta", rename=_DELTA_NAMES):
    epoch: str
    since: int
    to: int
    seq: int
    hash: str
    documents: dict[str, msgspec.Raw]
    committed_us: int = 0
    sent_us: int = 0


class _Swap(_Message, frozen=True, tag="swap"):
    epoch: str
    to: int
    seq: int


class _Probe(_Message, frozen=True, tag="probe"):
    id: str


_published_decoder: msgspec.json.Decoder[_Delta | _Swap | _Probe] = msgspec.json.Decoder(
    _Delta | _Swap | _Probe
)


def decode_published(payload: bytes) -> Published:
    """Read a message of an environment's channel. Raises :class:`MalformedPublication`."""
    try:
        message = _published_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedPublication(str(error)) from error
    match message:
        case _Delta(epoch, since, to, seq, digest, documents, committed_us, sent_us):
            bodies = {name: bytes(body) for name, body in documents.items()}
            return Delta(epoch, since, to, seq, digest, bodies, committed_us, sent_us)
        case _Swap(epoch, to, seq):
            return Swap(epoch, to, seq)
        case _Probe(probe_id):
            return Probe(probe_id)


def encode_probe(probe: Probe) -> bytes:
    """What to publish, for :func:`decode_published` to read."""
    return msgspec.json.encode(_Probe(probe.id))


def wire_epoch_order(wire_epoch: str) -> tuple[int, int]:
    """The place of a wire epoch among others. Raises ``ValueError`` for anything else."""
    epoch, _, content = wire_epoch.partition(".")
    return int(epoch), int(content)


def environment_prefix(env: str) -> str:
    """What every key of an environment begins with."""
    return f"halyard:{{{env}}}:"


def active_key(env: str) -> str:
    """The key of the pointer to the active generation."""
    return environment_prefix(env) + "active"


def generation_keys(env: str, generation: str) -> tuple[str, str, str]:
    """The keys of one generation: meta, documents, index."""
    begin = environment_prefix(env) + generation
    return f"{begin}:meta", f"{begin}:documents", f"{begin}:index"


def channel(env: str) -> str:
    """The sharded channel on which changes of an environment are published."""
    return environment_prefix(env) + "changes"


class Rulesets:
    """Reads rulesets; each read is one script, hence of one instant.

    Every method raises redis-py's errors, and answers None where there is no ruleset: it was never
    built, or Redis lost it and a projector is about to build it again.
    """

    def __init__(self, redis: RedisClient) -> None:
        self.redis = redis

    async def meta(self, env: str) -> Meta | None:
        """What the active generation says of itself."""
        answer = await read_active(self.redis, env, "meta")
        return None if answer is None else read_meta(answer)

    async def read(self, env: str) -> StoredRuleset | None:
        """The whole ruleset, tombstones and SDK keys included."""
        return _stored(await read_active(self.redis, env, "read"))

    async def read_since(self, env: str, version: int) -> StoredRuleset | None:
        """The documents that changed after ``version``, the oldest change first.

        Where ``meta.horizon`` is above ``version``, tombstones may be missing from the answer.
        """
        return _stored(await read_active(self.redis, env, "read_since", version))

    def channel(self, env: str) -> str:
        """The sharded channel on which changes of an environment are published."""
        return channel(env)


async def active_generation(redis: RedisClient, env: str) -> str | None:
    """The name of the generation that is read; None where there is none."""
    name: Any = await redis.get(active_key(env))
    return None if name is None else str(name, "ascii")


async def read_active(redis: RedisClient, env: str, name: str, *arguments: Argument) -> Any:
    """What a reading script answers for the active generation; None where there is none.

    The script is given every key that it reads. Were it to make them up from the pointer, a cluster
    that is moving them one by one to another node would let it find some of them empty.
    """
    for _ in range(ATTEMPTS):
        generation = await active_generation(redis, env)
        if generation is None:
            return None
        keys = (active_key(env), *generation_keys(env, generation))
        answer = await script(name).run(redis, keys, [generation, *arguments])
        if answer != 0:
            return answer
    raise RedisError(f"the ruleset of {env} is replaced faster than it can be read")


def read_pairs(flat: list[bytes]) -> dict[str, bytes]:
    """What a script answers for a hash: names and values in turn."""
    return {name.decode(): value for name, value in list(pairwise(flat))[::2]}


def _stored(answer: Any) -> StoredRuleset | None:
    if answer is None:
        return None
    meta = read_meta(answer[0])
    return None if meta is None else StoredRuleset(meta, read_pairs(answer[1]))


def read_meta(flat: list[bytes]) -> Meta | None:
    """What a script answers for a meta; None where it is not one."""
    fields = {name: value.decode() for name, value in read_pairs(flat).items()}
    try:
        return msgspec.convert(fields, Meta, strict=False)
    except msgspec.ValidationError:
        # A pointer to nothing, or to what some other hand has written: to be built again.
        return None
