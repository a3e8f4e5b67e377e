"""Ctrl-C before the server handles signals."""

import signal

import pytest

from todo_app.server.interrupts import deliver_interrupts, interrupts_held


def test_an_interrupt_that_is_held_arrives_when_interrupts_are_delivered():
    with interrupts_held():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            deliver_interrupts()


def test_an_interrupt_that_is_held_arrives_at_the_end_at_the_latest():
    held = False
    with pytest.raises(KeyboardInterrupt), interrupts_held():  # noqa: PT012  the end of the block is what raises
        signal.raise_signal(signal.SIGINT)
        held = True
    assert held
