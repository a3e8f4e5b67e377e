"""Fixtures of the contract tests: the service in each chosen way, and its users."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("conformance")

from apis import APIS, CHOSEN, Api, Caller, Serve  # noqa: E402  the rewrite comes first


@pytest.fixture(scope="session", params=CHOSEN)
def serve(request: pytest.FixtureRequest) -> Serve:
    """Starts a service with settings of the test's own: `with serve(quota=2) as api`."""
    return APIS[request.param]


@pytest.fixture(scope="session")
def api(serve: Serve) -> Iterator[Api]:
    """The service with the settings that it comes with. Shared: a test brings its own users."""
    with serve() as api:
        yield api


@pytest.fixture(autouse=True)
def _quiet_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A real server logs no error in a test."""
    api: Api | None = request.getfixturevalue("api") if "api" in request.fixturenames else None
    before = len(api.errors()) if api else 0
    yield
    assert api is None or api.errors()[before:] == []


@pytest.fixture
def ann(api: Api) -> Caller:
    """A user nobody has seen before."""
    return api.user()


@pytest.fixture
def bob(api: Api) -> Caller:
    """Another one."""
    return api.user()
