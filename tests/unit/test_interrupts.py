"""Ctrl-C before the server handles signals."""

import signal

import pytest

from todo_app.server.interrupts import deliver_interrupts, held


def test_an_interrupt_that_is_held_arrives_when_interrupts_are_delivered():
    with held(signal.SIGINT):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            deliver_interrupts()


def test_an_interrupt_that_is_held_arrives_at_the_end_at_the_latest():
    was_held = False
    with pytest.raises(KeyboardInterrupt), held(signal.SIGINT):  # noqa: PT012  the end of the block is what raises
        signal.raise_signal(signal.SIGINT)
        was_held = True
    assert was_held
