"""The names of uvicorn and httptools that no version promises, found in our source: each is where we expect it.

When one fails after an upgrade, its message says what moved; then compare the class with the one of the version before.
"""

import ast
import inspect
import textwrap
from functools import cache
from importlib.metadata import version
from pathlib import Path

import httptools
import pytest
import uvicorn
from httptools.parser.protocol import HTTPProtocol
from packaging.requirements import Requirement
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn.supervisors import multiprocess

from todo_app import serving
from todo_app.server import connections, request_reader, response_cycle, server, transports, workers

EXTENDED = {
    connections.Connection: HttpToolsProtocol,
    request_reader.RequestReader: HttpToolsProtocol,
    response_cycle.ResponseCycle: RequestResponseCycle,
    transports.Flow: FlowControl,
    connections.ServerConfig: uvicorn.Config,
    server.Server: uvicorn.Server,
    workers._Worker: multiprocess.Process,
    workers._Workers: multiprocess.Multiprocess,
}
"""Each class of ours that extends one of uvicorn's."""

USED = {
    "self.cycle": RequestResponseCycle,
    "cycle": RequestResponseCycle,
    "self.parser": httptools.HttpRequestParser,
    "self.server_state": ServerState,
}
"""What we take objects to be that uvicorn makes."""

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@cache
def tree_of(thing):
    return ast.parse(textwrap.dedent(inspect.getsource(thing)))


@cache
def attributes_of(thing):
    """The methods of a class, and what it or a base of its package gives itself anywhere."""
    names = {name for name in dir(thing) if name not in dir(object)}
    for base in thing.__mro__:
        if base.__module__.startswith("uvicorn."):
            names |= {
                node.attr
                for node in ast.walk(tree_of(base))
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
            }
    return names


def own_names(ours):
    """What a class of ours, and what it extends of ours, defines or gives itself."""
    for base in ours.__mro__:
        if base.__module__.startswith("todo_app."):
            for node in ast.walk(tree_of(base)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name
                elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
                    yield ast.unparse(node).removeprefix("self.")


def leaned_on(ours):
    """What a class of ours asks of itself and has not made, and what it asks of the class it extends."""
    own = set(own_names(ours))
    for node in ast.walk(tree_of(ours)):
        if isinstance(node, ast.Attribute):
            of = ast.unparse(node.value)
            if of == "super()" or (of == "self" and node.attr not in own):
                yield node.attr


@pytest.mark.parametrize("ours", EXTENDED, ids=lambda ours: ours.__name__)
def test_what_we_ask_of_a_class_that_we_extend_is_there(ours):
    theirs = EXTENDED[ours]
    asked = set(leaned_on(ours)) - {"__init__"}
    moved = sorted(asked - attributes_of(theirs))
    assert not moved, f"uvicorn {version('uvicorn')} has moved, of {theirs.__name__}: {moved}"


@pytest.mark.parametrize("ours", EXTENDED, ids=lambda ours: ours.__name__)
def test_a_public_method_of_ours_has_one_of_theirs_to_replace(ours):
    theirs = EXTENDED[ours]
    public = {name for name, value in vars(ours).items() if callable(value) and not name.startswith("_")}
    moved = sorted(public - attributes_of(theirs))
    assert not moved, f"uvicorn {version('uvicorn')} calls no more, of {theirs.__name__}: {moved}"


@pytest.mark.parametrize("variable", USED)
def test_what_we_ask_of_an_object_of_theirs_is_there(variable):
    asked = {
        node.attr
        for module in (connections, request_reader, server)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == variable
    }
    assert asked
    moved = sorted(asked - attributes_of(USED[variable]))
    assert not moved, f"moved, of {USED[variable].__name__}: {moved}"


def test_httptools_calls_what_we_override():
    ours = {
        name for name in vars(request_reader.RequestReader) if name.startswith("on_") and name != "on_response_complete"
    }
    moved = sorted(ours - set(dir(HTTPProtocol)))
    assert not moved, f"httptools {version('httptools')} calls no more: {moved}"


def test_uvicorn_takes_the_arguments_that_we_give():
    (call,) = [
        node
        for node in ast.walk(tree_of(serving))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ServerConfig"
    ]
    own = inspect.signature(connections.ServerConfig.__init__).parameters
    given = {keyword.arg for keyword in call.keywords} - set(own)
    moved = sorted(given - set(inspect.signature(uvicorn.Config.__init__).parameters))
    assert not moved, f"uvicorn {version('uvicorn')} takes no more: {moved}"
    made = inspect.signature(HttpToolsProtocol.__init__).parameters
    assert list(made) == ["self", "config", "server_state", "app_state", "_loop"]


def test_a_cycle_takes_the_arguments_that_we_give():
    (call,) = [
        node
        for node in ast.walk(tree_of(request_reader.RequestReader))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ResponseCycle"
    ]
    given = {keyword.arg for keyword in call.keywords}
    assert given == set(inspect.signature(RequestResponseCycle.__init__).parameters) - {"self"}


@pytest.mark.parametrize("name", ["uvicorn", "httptools"])
def test_their_versions_are_bounded_above(name):
    line = next(line for line in PYPROJECT.read_text().splitlines() if line.strip().startswith(f'"{name}>='))
    requirement = Requirement(line.split('"')[1])
    assert version(name) in requirement.specifier
    major, minor = version(name).split(".")[:2]
    assert f"{major}.{int(minor) + 1}.0" not in requirement.specifier
