from __future__ import annotations

from streaming.settings import StreamSettings
from streaming.watch import Watch

SETTINGS = StreamSettings(silence_s=10, probe_s=3, linger_s=60)


def test_silence_is_noticed_once_in_a_while() -> None:
    watch = Watch(SETTINGS, 0)
    assert not watch.silent(9)
    assert watch.silent(10)
    assert not watch.silent(19)
    assert watch.silent(20)


def test_whatever_is_heard_ends_the_silence() -> None:
    watch = Watch(SETTINGS, 0)
    watch.heard(9)
    assert not watch.silent(18)
    assert watch.silent(19)


def test_a_probe_goes_with_each_comparison() -> None:
    watch = Watch(SETTINGS, 0)
    assert watch.probe() is None
    watch.silent(10)
    first = watch.probe()
    assert first
    assert watch.probe() is None
    watch.silent(20)
    assert watch.probe() not in (None, first)


def test_a_probe_that_does_not_come_back_means_deaf_once() -> None:
    watch = Watch(SETTINGS, 0)
    watch.silent(10)
    watch.probe()
    assert not watch.deaf(12)
    assert watch.deaf(13)
    assert not watch.deaf(14)


def test_a_probe_that_comes_back_means_nothing() -> None:
    watch = Watch(SETTINGS, 0)
    watch.silent(10)
    watch.probe()
    watch.heard(10.1)
    assert not watch.deaf(20)


def test_a_probe_that_was_never_sent_means_nothing() -> None:
    watch = Watch(SETTINGS, 0)
    watch.silent(10)
    assert not watch.deaf(60)


def test_an_environment_lingers_after_its_last_use() -> None:
    watch = Watch(SETTINGS, 0)
    assert not watch.unused(100, in_use=True, asked=False)
    assert not watch.unused(159, in_use=False, asked=False)
    assert watch.unused(161, in_use=False, asked=False)


def test_an_environment_lingers_longer_after_a_request_over_http() -> None:
    watch = Watch(SETTINGS, 0)
    assert not watch.unused(100, in_use=True, asked=True)
    assert not watch.unused(110, in_use=True, asked=False)
    assert not watch.unused(700, in_use=False, asked=False)
    assert watch.unused(701, in_use=False, asked=False)
