"""The dumped schema, made readable."""

from __future__ import annotations

from eventstore.schema_dump import readable


def test_session_settings_and_banners_are_left_out_but_not_inside_a_function() -> None:
    dump = """\
--
-- PostgreSQL database dump
--

\\restrict abc
SET statement_timeout = 0;
SET check_function_bodies = false;


CREATE FUNCTION f() AS $$
-- why
SET x = 1;
$$;
"""
    _, _, shown = readable(dump).partition("\n\n")
    assert (
        shown
        == """\
SET check_function_bodies = false;

CREATE FUNCTION f() AS $$
-- why
SET x = 1;
$$;
"""
    )
