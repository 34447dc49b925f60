from __future__ import annotations

from collections.abc import Iterable

import pytest
from halyard_protocol.messages import (
    Changes,
    Goodbye,
    Heartbeat,
    Resume,
    ServerMessage,
    Snapshot,
    UnknownMessage,
    Welcome,
    decode_server_message,
)
from halyard_protocol.session.feed import Delta, Feed, Stored
from halyard_protocol.session.server import LOOK, Answer, ServerSession, State, goodbye


def stored(changed: int, epoch: str = "1.1", horizon: int = 0, seq: int = 0) -> Stored:
    documents = {"flag:a": b'{"key":"a","version":%d}' % changed}
    return Stored(epoch, changed, max(seq, changed), horizon, documents)


def delta(since: int, to: int) -> Delta:
    return Delta("1.1", since, to, to, {"flag:b": b'{"key":"b","version":%d}' % to})


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.install(stored(5, horizon=2))
    feed.merge(delta(5, 8))
    return feed


def decoded(frames: Iterable[bytes] | object) -> list[ServerMessage | UnknownMessage]:
    assert isinstance(frames, tuple)
    return [decode_server_message(frame) for frame in frames]


def ask(feed: Feed, resume: Resume | None) -> tuple[ServerSession, Answer]:
    session = ServerSession()
    session.hello(resume)
    return session, session.answer(feed)


def live(feed: Feed, seq: int) -> ServerSession:
    session, _ = ask(feed, Resume("1.1", seq))
    assert session.state is State.LIVE
    return session


def test_nothing_is_due_before_a_hello(feed: Feed) -> None:
    session = ServerSession()
    assert session.answer(feed) == ()
    assert session.advance(feed) is None
    assert session.snapshot(feed) is None
    assert session.heartbeat(feed) is None
    assert session.offer(feed, feed.broadcast(5)) is None
    assert session.state is State.AWAITING_HELLO


def test_a_newcomer_waits_for_a_snapshot(feed: Feed) -> None:
    session, answer = ask(feed, None)
    assert decoded(answer) == [Welcome("", "1.1", 8, "full", 15.0)]
    assert session.state is State.WAITING
    frame = session.snapshot(feed)
    assert frame is not None
    assert isinstance(decode_server_message(frame), Snapshot)
    assert (session.state, session.epoch, session.sent) == (State.LIVE, "1.1", 8)


def test_a_newcomer_is_promised_no_more_than_snapshot_and_changes_lead_to(feed: Feed) -> None:
    feed.checked("1.1", 8, 20)
    _, answer = ask(feed, None)
    (welcome,) = decoded(answer)
    assert isinstance(welcome, Welcome)
    assert (welcome.intent, welcome.seq) == ("full", 8)


def test_resuming_at_the_head_gets_nothing_but_a_welcome(feed: Feed) -> None:
    session, answer = ask(feed, Resume("1.1", 8))
    assert decoded(answer) == [Welcome("", "1.1", 8, "none", 15.0)]
    assert (session.state, session.sent) == (State.LIVE, 8)


def test_resuming_at_a_gateway_out_of_touch_is_told_so_at_once(feed: Feed) -> None:
    feed.stale = True
    _, answer = ask(feed, Resume("1.1", 8))
    assert decoded(answer) == [
        Welcome("", "1.1", 8, "none", 15.0),
        Heartbeat("1.1", 8, 8, stale=True),
    ]


def test_resuming_from_before_gets_changes_from_there(feed: Feed) -> None:
    session, answer = ask(feed, Resume("1.1", 6))
    welcome, changes = decoded(answer)
    assert isinstance(welcome, Welcome)
    assert isinstance(changes, Changes)
    assert (welcome.intent, changes.from_, changes.to) == ("changes", 6, 8)
    assert (session.state, session.sent) == (State.LIVE, 8)


def test_resuming_from_below_the_horizon_gets_everything(feed: Feed) -> None:
    session, answer = ask(feed, Resume("1.1", 1))
    assert decoded(answer) == [Welcome("", "1.1", 8, "full", 15.0)]
    assert session.state is State.WAITING


@pytest.mark.parametrize("resume", [Resume("0.9", 8), Resume("nonsense", 8), Resume("", 0)])
def test_resuming_in_another_epoch_gets_everything_after_a_look(feed: Feed, resume: Resume) -> None:
    session, answer = ask(feed, resume)
    assert answer is LOOK
    assert decoded(session.answer(feed, looked=True)) == [Welcome("", "1.1", 8, "full", 15.0)]
    assert session.state is State.WAITING


@pytest.mark.parametrize("resume", [Resume("1.1", 9), Resume("1.2", 3), Resume("2.0", 0)])
def test_a_client_that_is_ahead_is_held_after_a_look(feed: Feed, resume: Resume) -> None:
    session, answer = ask(feed, resume)
    assert answer is LOOK
    assert decoded(session.answer(feed, looked=True)) == [Welcome("", "1.1", 8, "none", 15.0)]
    assert session.state is State.HELD
    assert session.heartbeat(feed) is None
    assert session.offer(feed, feed.broadcast(5)) is None
    assert session.advance(feed) is None
    assert session.state is State.HELD


def test_a_look_may_mend_the_gateway_instead(feed: Feed) -> None:
    session, _ = ask(feed, Resume("1.1", 9))
    feed.merge(delta(8, 9))
    assert decoded(session.answer(feed, looked=True)) == [Welcome("", "1.1", 9, "none", 15.0)]
    assert session.state is State.LIVE


def test_a_held_client_that_is_passed_in_its_epoch_gets_changes(feed: Feed) -> None:
    session, _ = ask(feed, Resume("1.1", 9))
    session.answer(feed, looked=True)
    feed.merge(delta(8, 12))
    frame = session.advance(feed)
    assert frame is not None
    changes = decode_server_message(frame)
    assert isinstance(changes, Changes)
    assert (changes.from_, changes.to, session.sent) == (9, 12, 12)


def test_a_held_client_that_is_passed_by_another_epoch_gets_a_snapshot(feed: Feed) -> None:
    session, _ = ask(feed, Resume("1.2", 9))
    session.answer(feed, looked=True)
    feed.install(stored(3, epoch="2.0"))
    assert session.advance(feed) is None
    assert session.state is State.WAITING


def test_a_broadcast_is_the_shared_frame(feed: Feed) -> None:
    one, two = live(feed, 8), live(feed, 8)
    feed.merge(delta(8, 9))
    broadcast = feed.broadcast(8)
    assert one.offer(feed, broadcast) is two.offer(feed, broadcast) is broadcast.frame
    assert one.offer(feed, broadcast) is None
    assert one.sent == 9


def test_a_session_past_the_beginning_of_a_broadcast_gets_it_too(feed: Feed) -> None:
    session = live(feed, 8)
    feed.checked("1.1", 8, 10)
    session.heartbeat(feed)
    feed.merge(delta(8, 12))
    broadcast = feed.broadcast(8)
    assert session.offer(feed, broadcast) is broadcast.frame


def test_a_session_from_before_a_broadcast_catches_up_by_its_own(feed: Feed) -> None:
    session = live(feed, 8)
    feed.merge(delta(8, 9))
    feed.merge(delta(9, 10))
    frame = session.offer(feed, feed.broadcast(9))
    assert frame == feed.changes_since(8)
    assert session.sent == 10


def test_a_waiting_session_gets_no_deltas(feed: Feed) -> None:
    session, _ = ask(feed, None)
    feed.merge(delta(8, 9))
    assert session.offer(feed, feed.broadcast(8)) is None
    assert session.heartbeat(feed) is None
    assert session.state is State.WAITING


def test_a_session_that_is_behind_gets_one_frame_when_it_drains(feed: Feed) -> None:
    session = live(feed, 8)
    session.writable = False
    for seq in (9, 10, 11):
        feed.merge(delta(seq - 1, seq))
        assert session.offer(feed, feed.broadcast(seq - 1)) is None
    assert session.heartbeat(feed) is None
    assert session.advance(feed) is None
    session.writable = True
    assert session.advance(feed) == feed.changes_since(8)
    assert session.sent == 11
    assert session.advance(feed) is None


def test_a_hello_is_answered_only_when_it_can_be_written(feed: Feed) -> None:
    session = ServerSession()
    session.writable = False
    session.hello(Resume("1.1", 8))
    assert session.answer(feed) == ()
    session.writable = True
    assert len(decoded(session.answer(feed))) == 1
    assert session.answer(feed) == ()


def test_a_new_epoch_sends_everybody_a_snapshot(feed: Feed) -> None:
    session = live(feed, 8)
    feed.install(stored(3, epoch="2.0"))
    assert session.heartbeat(feed) is None
    assert session.offer(feed, feed.broadcast(0)) is None
    assert session.advance(feed) is None
    assert session.state is State.WAITING
    assert session.snapshot(feed) is not None
    assert (session.epoch, session.sent) == ("2.0", 3)


def test_a_delta_of_a_new_epoch_is_nothing_to_a_session_of_the_old_one(feed: Feed) -> None:
    session = live(feed, 8)
    feed.install(stored(30, epoch="2.0"))
    assert session.offer(feed, feed.broadcast(8)) is None
    assert (session.epoch, session.sent) == ("1.1", 8)


def test_a_new_epoch_that_begins_below_the_old_horizon_sends_its_snapshot_once(feed: Feed) -> None:
    feed.install(stored(20, horizon=15))
    session = live(feed, 20)
    feed.install(stored(3, epoch="2.0"))
    assert session.advance(feed) is None
    assert session.snapshot(feed) is not None
    assert session.advance(feed) is None
    assert session.state is State.LIVE


def test_a_position_that_falls_below_the_horizon_needs_a_snapshot(feed: Feed) -> None:
    session = live(feed, 8)
    feed.install(stored(20, horizon=15))
    assert session.offer(feed, feed.broadcast(8)) is None
    assert session.state is State.WAITING


def test_a_heartbeat_goes_only_where_everything_was_sent(feed: Feed) -> None:
    session = live(feed, 8)
    feed.checked("1.1", 8, 20)
    frame = session.heartbeat(feed)
    assert frame is not None
    assert decode_server_message(frame) == Heartbeat("1.1", 8, 20)
    assert session.sent == 20
    feed.merge(delta(8, 21))
    assert session.heartbeat(feed) is None


def test_a_later_hello_is_believed(feed: Feed) -> None:
    session = live(feed, 8)
    session.hello(Resume("1.1", 6))
    _, changes = decoded(session.answer(feed))
    assert isinstance(changes, Changes)
    assert changes.from_ == 6


def test_an_ended_session_is_offered_nothing(feed: Feed) -> None:
    session = live(feed, 8)
    session.end()
    session.hello(None)
    feed.merge(delta(8, 9))
    assert session.answer(feed) == ()
    assert session.offer(feed, feed.broadcast(8)) is None
    assert session.advance(feed) is None
    assert session.heartbeat(feed) is None
    assert session.snapshot(feed) is None


def test_a_hello_that_was_due_at_the_end_is_not_answered(feed: Feed) -> None:
    session = ServerSession()
    session.hello(None)
    session.end()
    assert session.answer(feed) == ()
    assert session.state is State.ENDED


def test_a_goodbye_is_framed(feed: Feed) -> None:
    assert decode_server_message(goodbye(feed, "deploy", 250)) == Goodbye("deploy", 250)
