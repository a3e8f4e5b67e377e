"""Every error has its place in the table of HTTP, and in the OpenAPI document."""

import inspect

import pytest

import todo_domain.errors
from todo_adapters.http.openapi import responses
from todo_adapters.http.protocol import errors
from todo_domain import TodoError

CLASSES = {
    each
    for module in (todo_domain.errors, errors)
    for _, each in inspect.getmembers(module, inspect.isclass)
    if issubclass(each, TodoError) and hasattr(each, "code")
}


@pytest.mark.parametrize("error", sorted(CLASSES - {errors.TooLarge}, key=lambda each: each.__name__))
def test_every_error_has_a_status(error):
    assert 400 <= errors.rule_of(error).status <= 503


def test_every_error_but_those_of_no_operation_is_a_response_of_the_document():
    shared = set(responses._SHARED.values())
    assert errors.ERRORS.keys() - shared == {todo_domain.Invalid, errors.MethodNotAllowed}
    assert shared <= errors.ERRORS.keys()


def test_every_shared_response_has_its_error():
    assert (
        responses.common_responses(body_limit=1, batch_limit=1, import_limit=1, quota=1).keys()
        == responses._SHARED.keys()
    )
