"""SIGTERM with two workers, which hear of it one after the other: what `integration/test_leaving.py` says of one."""

import pytest

from support import leaving


def test_readiness_goes_first_and_all_else_goes_on_until_the_window_ends(tmp_path):
    leaving.require_that_readiness_goes_first(tmp_path, "2")


def test_requests_in_flight_are_answered_after_the_port_was_closed(tmp_path):
    leaving.require_that_requests_in_flight_are_answered(tmp_path, "2")


def test_no_accepted_connection_is_reset(tmp_path):
    leaving.require_that_nobody_is_reset(tmp_path, "2")


def test_a_closed_terminal_ends_it_in_order(tmp_path):
    leaving.require_that_a_closed_terminal_ends_it_in_order(tmp_path, "2")


def test_a_closed_terminal_does_not_end_it_under_nohup(tmp_path):
    leaving.require_that_it_goes_on_under_nohup(tmp_path, "2")


@pytest.mark.long  # its bound is of seconds
def test_a_service_without_requests_is_gone_within_a_moment(tmp_path):
    leaving.require_that_nothing_delays_the_end(tmp_path, "2")
