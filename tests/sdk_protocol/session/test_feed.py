from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from halyard_protocol.messages import Changes, Heartbeat, Snapshot, Welcome, decode_server_message
from halyard_protocol.session.feed import (
    CACHED_FRAMES,
    Delta,
    Feed,
    Gap,
    Merged,
    OtherEpoch,
    Renewed,
    Repeat,
    Stored,
    epoch_order,
)
from halyard_protocol.session.frames import (
    DEFLATED,
    PLAIN,
    SnapshotFrame,
    WireFormat,
    joined,
)


def body(key: str, version: int, *, deleted: bool = False) -> bytes:
    return msgspec.json.encode(
        {"key": key, "version": version} | ({"deleted": True} if deleted else {})
    )


def flags(**versions: int) -> dict[str, bytes]:
    return {f"flag:{key}": body(key, version) for key, version in versions.items()}


def at(changed: int, epoch: str = "1.1", seq: int = 0, horizon: int = 0, **versions: int) -> Stored:
    return Stored(epoch, changed, max(changed, seq), horizon, flags(**versions))


def delta(since: int, to: int, epoch: str = "1.1", seq: int = 0, **versions: int) -> Delta:
    return Delta(epoch, since, to, max(to, seq), flags(**versions))


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    assert feed.install(at(5, a=3, b=5)) == Renewed()
    return feed


def versions(feed: Feed) -> dict[str, int]:
    return {document.key: document.version for document in feed.documents.values()}


def snapshot(feed: Feed) -> SnapshotFrame:
    made = feed.snapshot()
    assert made is not None
    return made


def changes(feed: Feed, since: int) -> list[str]:
    message = decode_server_message(feed.changes_since(since))
    assert isinstance(message, Changes)
    return [msgspec.json.decode(flag)["key"] for flag in message.put.flags]


@pytest.mark.parametrize(
    ("lesser", "greater"),
    [("1.1", "1.2"), ("1.9", "2.0"), ("9.1", "10.0"), ("", "0.0"), ("x", "0.0"), ("1", "0.0")],
)
def test_epochs_are_ordered_by_number(lesser: str, greater: str) -> None:
    assert epoch_order(lesser) < epoch_order(greater)


@pytest.mark.parametrize("odd", ["1.1.1", "-1.1", " 1.1", "1_0.1", "\u0661.1", "1." + "9" * 5000])
def test_what_is_no_epoch_comes_before_all(odd: str) -> None:
    assert epoch_order(odd) < epoch_order("0.0")


def test_a_delta_that_connects_is_merged(feed: Feed) -> None:
    assert feed.merge(delta(5, 7, a=7)) == Merged(since=5)
    assert (feed.changed, feed.seq, versions(feed)) == (7, 7, {"a": 7, "b": 5})


def test_a_delta_heard_twice_is_a_repeat(feed: Feed) -> None:
    feed.merge(delta(5, 7, a=7))
    assert feed.merge(delta(5, 7, a=7)) == Repeat()


def test_a_delta_after_a_lost_one_is_a_gap_and_changes_nothing(feed: Feed) -> None:
    assert feed.merge(delta(6, 7, a=7)) == Gap()
    assert (feed.changed, versions(feed)) == (5, {"a": 3, "b": 5})


def test_a_delta_that_overlaps_leaves_what_is_newer(feed: Feed) -> None:
    feed.merge(delta(5, 8, c=8))
    assert feed.merge(delta(5, 9, c=7, b=9)) == Merged(since=8)
    assert versions(feed) == {"a": 3, "b": 9, "c": 8}
    assert changes(feed, 5) == ["c", "b"]


def test_a_delta_of_a_later_epoch_asks_for_the_whole(feed: Feed) -> None:
    assert feed.merge(delta(5, 6, epoch="1.2", a=6)) == OtherEpoch()


def test_a_delta_of_an_earlier_epoch_is_old_news(feed: Feed) -> None:
    assert feed.merge(delta(5, 6, epoch="1.0", a=6)) == Repeat()
    assert feed.changed == 5


def test_installing_what_is_newer_is_a_merge(feed: Feed) -> None:
    assert feed.install(at(9, a=9, horizon=4)) == Merged(since=5)
    assert (feed.changed, feed.horizon, versions(feed)) == (9, 4, {"a": 9})


def test_installing_what_is_older_changes_nothing(feed: Feed) -> None:
    assert feed.install(at(4, a=4, seq=99)) == Repeat()
    assert feed.install(at(9, epoch="1.0", a=9)) == Repeat()
    assert (feed.epoch, feed.changed, feed.seq, versions(feed)) == ("1.1", 5, 5, {"a": 3, "b": 5})


def test_installing_a_later_epoch_replaces_everything_even_by_a_lower_seq(feed: Feed) -> None:
    assert feed.install(at(2, epoch="2.0", z=2)) == Renewed()
    assert (feed.epoch, feed.changed, feed.seq, versions(feed)) == ("2.0", 2, 2, {"z": 2})


def test_what_is_newer_than_the_head_extends_it(feed: Feed) -> None:
    assert feed.extend(at(9, a=9), since=5) == Merged(since=5)
    assert versions(feed) == {"a": 9, "b": 5}


def test_an_extension_without_its_tombstones_is_a_gap(feed: Feed) -> None:
    assert feed.extend(at(9, a=9, horizon=6), since=5) == Gap()
    assert feed.changed == 5


def test_an_extension_of_another_epoch_is_told(feed: Feed) -> None:
    assert feed.extend(at(9, epoch="2.0", a=9), since=5) == OtherEpoch()
    assert feed.extend(at(9, epoch="1.0", a=9), since=5) == Repeat()


def test_seq_is_taken_only_where_nothing_changed_in_between(feed: Feed) -> None:
    feed.checked("1.1", 6, 20)
    feed.checked("1.2", 5, 20)
    assert feed.seq == 5
    feed.checked("1.1", 5, 8)
    assert feed.seq == 8
    feed.checked("1.1", 5, 7)
    assert feed.seq == 8


def test_changes_hold_what_is_newer_once_each(feed: Feed) -> None:
    feed.merge(delta(5, 6, a=6))
    feed.merge(delta(6, 7, a=7, c=7))
    assert changes(feed, 5) == ["a", "c"]
    assert changes(feed, 3) == ["b", "a", "c"]


def test_frames_are_encoded_once_and_anew_after_a_change(feed: Feed) -> None:
    first = feed.changes_since(3)
    assert feed.changes_since(3) is first
    assert snapshot(feed).frame is snapshot(feed).frame
    assert feed.heartbeat() is feed.heartbeat()
    assert feed.welcome("none", "1.1", 5) is feed.welcome("none", "1.1", 5)
    feed.merge(delta(5, 6, a=6))
    assert feed.changes_since(3) is not first


def test_only_a_few_catch_ups_are_kept() -> None:
    feed = Feed()
    feed.install(Stored("1.1", 100, 100, 0, {"flag:a": heavy("a", 50, 20_000)} | flags(b=100)))
    first = feed.changes_since(60)
    for since in reversed(range(CACHED_FRAMES)):
        assert feed.changes_since(60) is first
        assert from_of(feed.changes_since(since)) == since
    assert feed.changes_since(60) is not first
    assert from_of(feed.changes_since(60)) == 60


def test_only_a_few_welcomes_are_kept(feed: Feed) -> None:
    first = feed.welcome("none", "1.1", 0)
    for seq in range(1, CACHED_FRAMES + 1):
        feed.welcome("none", "1.1", seq)
    assert feed.welcome("none", "1.1", 0) is not first


def test_a_crowd_at_many_positions_shares_what_is_much_the_same(feed: Feed) -> None:
    feed.merge(delta(5, 100, c=100))
    frames = [feed.changes_since(since) for since in range(5, 5 + CACHED_FRAMES)]
    assert feed.changes_since(50) is frames[-1]
    assert feed.changes_since(4) not in frames  # what none of them tells


def test_what_is_shared_does_not_repeat_much() -> None:
    feed = Feed()
    heavy = {"flag:a": msgspec.json.encode({"key": "a", "version": 50, "salt": "s" * 20_000})}
    feed.install(Stored("1.1", 100, 100, 0, heavy | flags(b=100)))
    for since in range(CACHED_FRAMES):
        feed.changes_since(since)
    assert from_of(feed.changes_since(40)) == CACHED_FRAMES - 1
    assert from_of(feed.changes_since(60)) == 60


def from_of(frame: bytes) -> int:
    message = decode_server_message(frame)
    assert isinstance(message, Changes)
    return message.from_


def test_a_snapshot_claims_the_seq_it_was_made_at(feed: Feed) -> None:
    feed.checked("1.1", 5, 8)
    made = snapshot(feed)
    message = decode_server_message(made.frame)
    assert isinstance(message, Snapshot)
    assert (made.seq, message.seq, message.epoch, len(message.flags)) == (8, 8, "1.1", 2)


def test_a_heartbeat_says_what_is_so(feed: Feed) -> None:
    assert decode_server_message(feed.heartbeat()) == Heartbeat("1.1", 5, 5)
    feed.stale = True
    assert decode_server_message(feed.heartbeat()) == Heartbeat("1.1", 5, 5, stale=True)


def test_a_welcome_names_the_environment() -> None:
    feed = Feed(heartbeat_s=7.5)
    documents = {"environment": body("production", 1)}
    feed.install(Stored("1.1", 5, 5, 0, documents))
    welcome = decode_server_message(feed.welcome("full", "1.1", 5))
    assert welcome == Welcome("production", "1.1", 5, "full", 7.5)


def test_frames_are_joined_as_the_transport_wants_them() -> None:
    feed = Feed(framing=lambda parts, _: b"[" + b"".join(parts) + b"]")
    feed.install(at(1, a=1))
    for frame in (feed.changes_since(0), snapshot(feed).frame, feed.heartbeat(), feed.framed(b"x")):
        assert frame.startswith(b"[")
        assert frame.endswith(b"]")


def test_a_key_is_found_until_it_is_revoked(feed: Feed) -> None:
    key = {"key:abc": b'{"id":"k","kind":"server","version":6}'}
    feed.merge(Delta("1.1", 5, 6, 6, key))
    assert feed.key("key:abc") is not None
    assert feed.keys_changed_since(5)
    feed.merge(delta(6, 7, a=7))
    assert not feed.keys_changed_since(6)
    feed.merge(Delta("1.1", 7, 8, 8, {"key:abc": body("abc", 8, deleted=True)}))
    assert feed.key("key:abc") is None
    assert feed.key("flag:a") is None
    assert feed.keys_changed_since(7)


def test_keys_are_in_no_frame(feed: Feed) -> None:
    secret = {"key:abc": b'{"id":"secret","kind":"server","version":6}'}
    feed.merge(Delta("1.1", 5, 6, 6, secret))
    for frame in (feed.changes_since(0), snapshot(feed).frame, feed.changes_since(5)):
        assert b"secret" not in frame
        assert b"abc" not in frame


def test_being_behind_is_a_later_epoch_or_a_seq_from_the_future(feed: Feed) -> None:
    assert feed.is_behind("1.2", 1)
    assert feed.is_behind("1.1", 6)
    assert not feed.is_behind("1.1", 5)
    assert not feed.is_behind("1.0", 99)
    assert not feed.is_behind("nonsense", 99)
    feed.checked("1.1", 5, 9)  # and a heartbeat may have told so
    assert not feed.is_behind("1.1", 9)
    assert feed.is_behind("1.1", 10)


# --- snapshots that are made aside


def large(*, size: int = 1000) -> Feed:
    """A feed of ten flags, whose snapshots take too long to be made at once."""
    feed = Feed(at_once_bytes=1000)
    feed.install(Stored("1.1", 10, 10, 0, {f"flag:{n}": heavy(str(n), n, size) for n in range(10)}))
    return feed


def heavy(key: str, version: int, size: int = 1000) -> bytes:
    return msgspec.json.encode({"key": key, "version": version, "salt": "s" * size})


def put(feed: Feed, *keys: str) -> None:
    to = feed.changed + 1
    feed.merge(Delta("1.1", to - 1, to, to, {f"flag:{key}": heavy(key, to) for key in keys}))


def test_a_large_snapshot_is_there_once_it_was_made() -> None:
    feed = large()
    assert feed.snapshot() is None
    assert feed.snapshot_due(PLAIN)
    made = feed.keep(feed.source().framed(joined, PLAIN))
    assert feed.snapshot() is made
    assert not feed.snapshot_due(PLAIN)
    assert feed.snapshot(DEFLATED) is None


def test_an_old_snapshot_is_sent_on_while_a_newer_one_is_due() -> None:
    feed = large()
    made = feed.keep(feed.source().framed(joined, PLAIN))
    put(feed, "1")
    assert not feed.snapshot_due(PLAIN)
    put(feed, "2")
    assert feed.snapshot_due(PLAIN)
    assert feed.snapshot() is made
    put(feed, "3", "4", "5", "6")
    assert feed.snapshot() is None


def test_a_snapshot_that_was_overtaken_while_it_was_made_counts_what_came_meanwhile() -> None:
    feed = large()
    source = feed.source()
    put(feed, "1", "2")
    made = feed.keep(source.framed(joined, PLAIN))
    assert feed.snapshot() is made
    assert feed.snapshot_due(PLAIN)


def test_a_snapshot_that_was_just_made_is_sent_however_much_has_changed_meanwhile() -> None:
    feed = large()
    source = feed.source()
    put(feed, *"123456789")
    made = feed.keep(source.framed(joined, PLAIN))
    assert feed.snapshot() is made
    put(feed, "1")
    assert feed.snapshot() is None


def test_a_snapshot_of_another_epoch_or_from_below_the_horizon_is_not_sent() -> None:
    feed = large()
    source = feed.source()
    feed.keep(source.framed(joined, PLAIN))
    put(feed, "1")
    feed.extend(Stored("1.1", 12, 12, 11, {"flag:2": heavy("2", 12)}), since=11)
    assert feed.snapshot() is None
    feed.install(Stored("1.2", 12, 12, 0, {"flag:a": heavy("a", 12, 5000)}))
    feed.keep(source.framed(joined, PLAIN))
    assert feed.snapshot() is None


def test_the_size_is_that_of_all_documents() -> None:
    feed = large()
    put(feed, "1", "2", "new")
    feed.merge(Delta("1.1", 11, 12, 12, {"flag:3": body("3", 12, deleted=True)}))
    assert feed.size == sum(len(document.body) for document in feed.documents.values())
    feed.install(at(20, a=20))
    assert feed.size == len(body("a", 20))


def test_frames_are_made_once_for_each_wire_format() -> None:
    made: list[tuple[int, int]] = []

    def framing(parts: Sequence[bytes], wire: WireFormat) -> bytes:
        made.append((wire, sum(map(len, parts))))
        return b"%d" % wire + b"".join(parts)

    feed = Feed(framing)
    feed.install(Stored("1.1", 5, 5, 0, {"flag:a": heavy("a", 5)}))
    assert feed.snapshot(DEFLATED) is feed.snapshot(DEFLATED)
    assert [wire for wire, _ in made] == [DEFLATED]
    large_one, small_one = feed.broadcast(0), feed.broadcast(5)
    assert large_one.shared.form(DEFLATED) is large_one.shared.form(DEFLATED)
    assert feed.changes_since(0, DEFLATED) is large_one.shared.form(DEFLATED)
    assert [wire for wire, _ in made] == [DEFLATED, DEFLATED]
    assert small_one.shared.form(DEFLATED) is small_one.frame
    assert small_one.frame.startswith(b"0")
