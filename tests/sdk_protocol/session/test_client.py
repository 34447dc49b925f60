from __future__ import annotations

import json
from typing import Any

import pytest
from halyard_protocol.close_codes import CloseCode
from halyard_protocol.messages import (
    PROTOCOL_VERSION,
    SILENCE_FACTOR,
    Resume,
    SdkInfo,
    Snapshot,
    decode_server_message,
)
from halyard_protocol.session.client import MAX_GAPS, UNREADABLE, ClientSession
from halyard_protocol.session.client_actions import (
    Action,
    Actions,
    Close,
    Connect,
    Redial,
    Report,
    Send,
    Stop,
    Updated,
)
from halyard_protocol.session.replica import Changed, Replica, from_snapshot

SDK = SdkInfo("test", "1")


class Peer:
    """A session, and what a server would say to it; each word takes a second."""

    def __init__(self, replica: Replica | None = None, **more: Any) -> None:
        self.now_s = 0.0
        self.session = ClientSession(SDK, 0.0, replica, **more)

    def opens(self, link: int = 1) -> Actions:
        self.now_s += 1
        return self.session.opened(link, self.now_s)

    def says(self, kind: str, link: int = 1, **fields: Any) -> Actions:
        self.now_s += 1
        message = decode_server_message(json.dumps({"type": kind, **fields}))
        return self.session.received(link, message, self.now_s)

    def welcomes(self, intent: str, seq: int, link: int = 1, **more: Any) -> Actions:
        fields = {"environment": "dev", "epoch": "1.0", "heartbeatSeconds": 10, **more}
        return self.says("welcome", link, intent=intent, seq=seq, **fields)

    def snapshots(self, seq: int, *keys: str, link: int = 1, epoch: str = "1.0") -> Actions:
        return self.says(
            "snapshot",
            link,
            epoch=epoch,
            seq=seq,
            environment={"key": "dev"},
            flags=[{"key": key} for key in keys],
            segments=[],
        )

    def changes(self, since: int, to: int, *keys: str, link: int = 1, **more: Any) -> Actions:
        flags = [{"key": key, "version": to} for key in keys]
        fields = {"epoch": "1.0", "from": since, "to": to, "put": {"flags": flags}, **more}
        return self.says("changes", link, **fields)

    def beats(self, changed: int, seq: int, link: int = 1, **more: Any) -> Actions:
        return self.says(
            "heartbeat", link, **{"epoch": "1.0", "changed": changed, "seq": seq, **more}
        )

    def closes(self, code: int | None, link: int = 1) -> Actions:
        self.now_s += 1
        return self.session.closed(link, code, "because", self.now_s)

    @property
    def position(self) -> tuple[str, int] | None:
        replica = self.session.replica
        return None if replica is None else (replica.epoch, replica.seq)


def synchronised(seq: int = 5, *keys: str) -> Peer:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", seq)
    peer.snapshots(seq, *(keys or ("a",)))
    return peer


def known(seq: int = 5, epoch: str = "1.0") -> Replica:
    message = decode_server_message(
        json.dumps(
            {
                "type": "snapshot",
                "epoch": epoch,
                "seq": seq,
                "environment": {"key": "dev"},
                "flags": [{"key": "a"}],
                "segments": [],
            }
        )
    )
    assert isinstance(message, Snapshot)
    return from_snapshot(message)


def hello(action: Action) -> dict[str, Any]:
    assert isinstance(action, Send)
    sent: dict[str, Any] = json.loads(action.payload)
    assert sent["type"] == "hello"
    return sent


def resumes(actions: Actions) -> Resume | None:
    """What the only action, a hello, resumes from."""
    (action,) = actions
    resume = hello(action).get("resume")
    return None if resume is None else Resume(**resume)


def kinds(actions: Actions) -> list[type]:
    return [type(action) for action in actions]


# --- hello and welcome


def test_more_may_be_said_where_the_newest_hello_was_answered() -> None:
    peer = Peer()
    accepted: list[int | None] = []

    def after(_: Actions) -> None:
        accepted.append(peer.session.accepted)

    after(())
    after(peer.opens(1))
    after(peer.welcomes("full", 3))
    after(peer.says("goodbye", reason="leaving", reconnectAfterMs=0))
    after(peer.opens(2))
    after(peer.welcomes("full", 3, link=2))
    after(peer.closes(1001, link=2))
    after(peer.closes(None, link=1))
    assert accepted == [None, None, 1, 1, 1, 2, 1, None]


def test_the_first_hello_says_who_speaks_and_which_protocol() -> None:
    (action,) = Peer().opens()
    assert hello(action) == {
        "type": "hello",
        "sdk": {"name": "test", "version": "1"},
        "protocol": PROTOCOL_VERSION,
    }


def test_a_known_replica_is_resumed() -> None:
    assert resumes(Peer(known(5)).opens()) == Resume("1.0", 5)


def test_a_replica_of_another_protocol_number_is_evaluated_from_but_not_resumed() -> None:
    peer = Peer(known(5), resumable=False)
    assert resumes(peer.opens()) is None
    assert peer.position == ("1.0", 5)
    peer.welcomes("full", 7)
    peer.snapshots(7, "b")
    assert peer.position == ("1.0", 7)


def test_the_seq_of_a_welcome_is_never_adopted() -> None:
    peer = Peer(known(5))
    peer.opens()
    peer.welcomes("changes", 9)
    assert peer.position == ("1.0", 5)


def test_a_welcome_that_promises_nothing_more_makes_an_idle_reconnect_ready() -> None:
    peer = Peer(known(5))
    peer.opens()
    assert peer.welcomes("none", 5) == ()
    assert peer.session.stale_since_s is None


def test_a_welcome_from_a_server_that_is_behind_leaves_the_client_stale() -> None:
    peer = Peer(known(5))
    peer.opens()
    peer.welcomes("none", 3)
    assert peer.session.stale_since_s == 0.0
    peer.beats(3, 6)
    assert peer.session.stale_since_s is None


# --- snapshot and changes


def test_a_snapshot_replaces_everything_and_is_announced_once() -> None:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", 5)
    assert peer.snapshots(5, "a", "b") == (
        Updated(Changed(frozenset("ab"), frozenset(), environment=True)),
    )
    assert peer.session.stale_since_s is None


def test_after_an_older_snapshot_the_state_is_stale_until_what_was_promised_has_come() -> None:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", 9)
    peer.snapshots(5, "a")
    assert peer.position == ("1.0", 5)
    assert peer.session.stale_since_s == 0.0
    peer.changes(5, 7, "a")
    assert peer.session.stale_since_s == 0.0
    peer.changes(7, 10, "b")
    assert peer.session.stale_since_s is None


def test_an_older_snapshot_does_not_replace_the_link_that_is_up_to_date() -> None:
    peer = Peer()
    peer.opens(1)
    peer.says("goodbye", reason="leaving", reconnectAfterMs=0)
    peer.opens(2)
    peer.welcomes("full", 9, link=2)
    assert kinds(peer.snapshots(5, "a", link=2)) == [Updated]
    assert kinds(peer.changes(5, 9, "a", link=2)) == [Updated, Close]


def test_a_promise_is_kept_by_any_snapshot_of_another_epoch() -> None:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", 9)
    peer.snapshots(2, "a", epoch="2.0")
    assert peer.session.stale_since_s is None


def test_a_snapshot_that_was_read_elsewhere_is_taken_as_it_is() -> None:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", 5)
    read = known(5)
    message = Snapshot("1.0", 5, environment=b"{}", flags=(), segments=())  # type: ignore[arg-type]
    peer.session.received(1, message, 3.0, read)
    assert peer.session.replica is read


def test_changes_that_follow_on_are_applied() -> None:
    peer = synchronised(5)
    (updated,) = peer.changes(5, 7, "a")
    assert updated == Updated(Changed(flags=frozenset("a")))
    assert peer.position == ("1.0", 7)


def test_changes_from_before_the_position_are_applied() -> None:
    peer = synchronised(5)
    peer.changes(3, 7, "a")
    assert peer.position == ("1.0", 7)


def test_a_repeat_is_ignored() -> None:
    peer = synchronised(5)
    peer.changes(5, 7, "a")
    assert peer.changes(5, 7, "a") == ()
    assert peer.changes(3, 6, "b") == ()
    assert peer.position == ("1.0", 7)


def test_changes_that_alter_nothing_advance_without_a_word() -> None:
    peer = synchronised(5)
    assert peer.changes(5, 8) == ()
    assert peer.position == ("1.0", 8)


@pytest.mark.parametrize("more", [{"since": 6}, {"since": 5, "epoch": "2.0"}])
def test_a_gap_asks_again_from_the_position_and_is_stale_until_answered(
    more: dict[str, Any],
) -> None:
    peer = synchronised(5)
    assert resumes(peer.changes(to=7, **more)) == Resume("1.0", 5)
    assert peer.position == ("1.0", 5)
    assert peer.session.stale_since_s == peer.now_s
    peer.welcomes("changes", 7)
    peer.changes(5, 7, "a")
    assert peer.session.stale_since_s is None


def test_a_gap_asks_only_once_until_the_welcome() -> None:
    peer = synchronised(5)
    peer.changes(6, 7)
    assert peer.changes(7, 8) == ()
    assert peer.beats(8, 8) == ()
    peer.welcomes("changes", 8)
    assert resumes(peer.changes(6, 8)) == Resume("1.0", 5)


def test_changes_before_any_state_are_a_gap() -> None:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", 5)
    assert resumes(peer.changes(0, 5, "a")) is None


def test_gaps_without_end_give_the_connection_up() -> None:
    peer = synchronised(5)
    for _ in range(MAX_GAPS):
        assert kinds(peer.changes(8, 9)) == [Send]
        peer.welcomes("changes", 9)
    assert kinds(peer.changes(8, 9)) == [Close, Redial]
    assert resumes(peer.opens(2)) is None


def test_a_snapshot_of_another_epoch_is_adopted_from_a_server_that_knows_ours() -> None:
    peer = synchronised(5, "a")
    (updated,) = peer.snapshots(3, "b", epoch="2.0")
    assert peer.position == ("2.0", 3)
    assert isinstance(updated, Updated)
    assert updated.changed.flags == {"a", "b"}


def test_an_older_snapshot_of_the_same_epoch_never_takes_the_state_back() -> None:
    peer = synchronised(5, "a")
    assert peer.snapshots(4, "b") == ()
    assert peer.position == ("1.0", 5)


# --- heartbeat


def test_a_heartbeat_moves_the_position_forward_but_never_back() -> None:
    peer = synchronised(5)
    assert peer.beats(5, 9) == ()
    assert peer.position == ("1.0", 9)
    peer.beats(4, 6)
    assert peer.position == ("1.0", 9)


def test_a_heartbeat_that_names_a_change_we_lack_is_a_gap() -> None:
    peer = synchronised(5)
    assert resumes(peer.beats(6, 9)) == Resume("1.0", 5)
    assert peer.position == ("1.0", 5)


def test_a_heartbeat_of_another_epoch_is_a_gap() -> None:
    assert resumes(synchronised(5).beats(5, 9, epoch="2.0")) == Resume("1.0", 5)


def test_a_heartbeat_without_any_state_is_a_gap() -> None:
    peer = Peer()
    peer.opens()
    peer.welcomes("full", 5)
    assert resumes(peer.beats(0, 0)) is None


def test_a_gateway_that_has_lost_touch_makes_the_client_stale_until_it_recovers() -> None:
    peer = synchronised(5)
    peer.beats(5, 6, stale=True)
    assert peer.session.stale_since_s == peer.now_s
    assert peer.position == ("1.0", 6)
    peer.beats(5, 6)
    assert peer.session.stale_since_s is None


# --- silence and loss


def test_silence_is_noticed_at_the_deadline_and_dates_back_to_the_last_byte() -> None:
    peer = synchronised(5)
    heard_s = peer.now_s
    deadline_s = peer.session.deadline_s()
    assert deadline_s == heard_s + SILENCE_FACTOR * 10
    assert peer.session.tick(deadline_s - 0.001) == ()
    assert kinds(peer.session.tick(deadline_s)) == [Close, Redial]
    assert peer.session.stale_since_s == heard_s
    assert peer.session.deadline_s() is None


def test_bytes_of_any_kind_put_the_deadline_off() -> None:
    peer = synchronised(5)
    peer.session.seen(1, 20.0)
    assert peer.session.tick(30.0) == ()
    assert peer.session.deadline_s() == 45.0


def test_after_silence_the_old_connection_is_not_listened_to() -> None:
    peer = synchronised(5)
    peer.session.tick(1000.0)
    assert peer.changes(5, 6, "a") == ()
    assert peer.closes(1000) == ()
    assert peer.position == ("1.0", 5)


def test_a_loss_is_stale_at_once_and_resumed() -> None:
    peer = synchronised(5)
    assert kinds(peer.closes(None)) == [Redial]
    assert peer.session.stale_since_s == peer.now_s
    assert resumes(peer.opens(2)) == Resume("1.0", 5)


@pytest.mark.parametrize(
    "code", [CloseCode.BAD_MESSAGE, CloseCode.KEY_REFUSED, CloseCode.FORBIDDEN]
)
def test_a_final_close_stops_for_good_and_keeps_the_state(code: CloseCode) -> None:
    peer = synchronised(5)
    assert kinds(peer.closes(code)) == [Stop]
    assert peer.session.stopped is not None
    assert peer.position == ("1.0", 5)


def test_a_connection_that_comes_too_late_is_closed() -> None:
    peer = synchronised(5)
    peer.closes(CloseCode.KEY_REFUSED)
    assert peer.opens(2) == (Close(2, 1000, "stopped"),)
    assert peer.session.deadline_s() is None


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4408, 4429, 4499])
def test_any_other_close_reconnects_and_resumes(code: int) -> None:
    peer = synchronised(5)
    assert kinds(peer.closes(code)) == [Redial]
    assert resumes(peer.opens(2)) == Resume("1.0", 5)


def test_over_a_limit_it_comes_back_later() -> None:
    peer = synchronised(5)
    assert [action.later for action in peer.closes(4429) if isinstance(action, Redial)] == [True]
    assert resumes(peer.opens(2)) == Resume("1.0", 5)


def test_after_suspected_corruption_everything_is_asked_for_anew() -> None:
    peer = synchronised(5, "a")
    peer.closes(CloseCode.SUSPECTED_CORRUPTION)
    assert peer.position == ("1.0", 5), "evaluated from until the snapshot"
    assert resumes(peer.opens(2)) is None
    peer.welcomes("full", 4, link=2)
    assert kinds(peer.changes(4, 6, "x", link=2)) == [Send], "nothing is built on it"
    peer.welcomes("full", 4, link=2)
    peer.snapshots(4, "b", link=2)
    assert peer.position == ("1.0", 4), "the position does not count either"
    assert resumes(peer.changes(9, 10, link=2)) == Resume("1.0", 4)


def test_what_cannot_be_read_ends_the_connection_and_the_state_is_resumed() -> None:
    peer = synchronised(5)
    close, redial = peer.session.unreadable(1, "not JSON", 9.0)
    assert close == Close(1, UNREADABLE, "unreadable")
    assert isinstance(redial, Redial)
    assert resumes(peer.opens(2)) == Resume("1.0", 5)


def test_what_cannot_be_read_twice_is_asked_for_anew() -> None:
    peer = synchronised(5)
    peer.session.unreadable(1, "not JSON", 9.0)
    peer.opens(2)
    peer.session.unreadable(2, "not JSON", 9.0)
    assert resumes(peer.opens(3)) is None


def test_an_error_is_reported_and_an_unknown_message_is_ignored() -> None:
    peer = synchronised(5)
    (report,) = peer.says("error", code="limit", message="too many", fatal=True)
    assert report == Report("the server says limit: too many")
    assert peer.says("fireworks", colour="green") == ()


def test_a_replica_from_a_file_is_stale_since_the_file_says() -> None:
    assert Peer(known(5), stale_since_s=-100.0).session.stale_since_s == -100.0


# --- goodbye: two connections for a while


def leaving(seq: int = 5) -> Peer:
    """Link 1 has said goodbye; link 2 is open and has said hello."""
    peer = synchronised(seq)
    assert peer.says("goodbye", reason="deploy", reconnectAfterMs=2500) == (Connect(2.5),)
    assert resumes(peer.opens(2)) == Resume("1.0", seq)
    return peer


def test_nobody_is_stale_during_a_hand_over() -> None:
    peer = leaving()
    assert peer.session.stale_since_s is None
    peer.changes(5, 6, "a", link=1)
    assert peer.position == ("1.0", 6), "the old connection stays useful"
    peer.welcomes("changes", 7, link=2)
    peer.changes(5, 7, "b", link=2)
    assert peer.position == ("1.0", 7)
    assert peer.session.stale_since_s is None


def test_the_old_connection_is_closed_when_the_new_one_has_caught_up() -> None:
    peer = leaving()
    assert peer.welcomes("none", 5, link=2) == (Close(1, 1000, "moved"),)
    assert peer.changes(5, 6, "a", link=1) == (), "whatever it says"
    assert peer.snapshots(9, "z", link=1, epoch="3.0") == ()
    assert peer.closes(1001, link=1) == ()
    assert peer.position == ("1.0", 5)
    assert peer.session.stale_since_s is None


def test_a_welcome_from_behind_is_not_catching_up() -> None:
    peer = leaving()
    peer.changes(5, 8, "a", link=1)
    assert peer.welcomes("none", 5, link=2) == ()
    assert peer.changes(5, 7, "a", link=2) == ()
    assert peer.beats(7, 7, link=2) == ()
    assert peer.beats(8, 8, link=2) == (Close(1, 1000, "moved"),)


def test_a_snapshot_on_the_new_connection_is_catching_up() -> None:
    peer = leaving()
    peer.welcomes("full", 6, link=2)
    assert kinds(peer.snapshots(6, "b", link=2)) == [Updated, Close]


def test_a_snapshot_that_the_other_connection_has_overtaken_is_asked_for_anew() -> None:
    peer = leaving()
    peer.welcomes("full", 6, link=2)
    peer.snapshots(7, "c", link=1, epoch="2.0")
    assert resumes(peer.snapshots(6, "b", link=2, epoch="1.1")) == Resume("2.0", 7)
    assert peer.position == ("2.0", 7)
    peer.welcomes("full", 9, link=2)
    assert kinds(peer.snapshots(1, "d", link=2, epoch="3.0")) == [Updated, Close]
    assert peer.position == ("3.0", 1)


def test_the_loss_of_the_old_connection_needs_no_other_while_the_new_one_is_there() -> None:
    peer = leaving()
    assert peer.closes(1001, link=1) == ()
    assert peer.session.stale_since_s == peer.now_s, "the new one has not caught up yet"
    peer.welcomes("none", 5, link=2)
    assert peer.session.stale_since_s is None


def test_the_loss_of_the_new_connection_calls_for_another_and_nobody_is_stale() -> None:
    peer = leaving()
    assert kinds(peer.closes(1011, link=2)) == [Redial]
    assert peer.session.stale_since_s is None
    assert resumes(peer.opens(3)) == Resume("1.0", 5)


def test_a_final_close_of_the_new_connection_closes_the_old_one_too() -> None:
    peer = leaving()
    assert kinds(peer.closes(4401, link=2)) == [Close, Stop]
    assert peer.changes(5, 6, "a", link=1) == ()


def test_a_second_goodbye_asks_for_nothing_more() -> None:
    peer = leaving()
    assert peer.says("goodbye", reason="again", reconnectAfterMs=1) == ()
    assert peer.says("goodbye", 2, reason="me too", reconnectAfterMs=0) == (Connect(0.0),)
    assert peer.says("goodbye", 2, reason="me too", reconnectAfterMs=0) == ()


def test_suspicion_on_one_connection_asks_the_other_for_everything() -> None:
    peer = leaving()
    redial_and_hello = peer.closes(CloseCode.SUSPECTED_CORRUPTION, link=2)
    assert kinds(redial_and_hello) == [Send, Redial]
    assert "resume" not in hello(redial_and_hello[0])
    assert peer.session.stale_since_s == peer.now_s
    assert kinds(peer.changes(5, 6, "a", link=1)) == []
    peer.welcomes("full", 6, link=1)
    peer.snapshots(6, "b", link=1)
    assert peer.session.stale_since_s is None
