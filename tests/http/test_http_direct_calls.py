"""Handlers are called directly, so what Litestar would apply around them keeps the application from starting."""

from typing import Any

import pytest
from apis import in_memory
from litestar import Controller, get
from litestar.di import Provide
from litestar.params import FromPath

from todo_adapters.http import application
from todo_adapters.http.endpoints.tasks import TaskController
from todo_adapters.http.protocol.request import TaskRequest


def deny(*_: object) -> None:
    raise PermissionError


@pytest.mark.parametrize(
    "layer",
    [
        {"guards": [deny]},
        {"dependencies": {"x": Provide(lambda: 1, sync_to_thread=False)}},
        {"before_request": deny},
        {"after_request": deny},
        {"after_response": deny},
        {"middleware": [lambda app: app]},
        {"request_max_body_size": 1},
    ],
    ids=lambda layer: next(iter(layer)),
)
@pytest.mark.parametrize("on", ["controller", "handler"])
def test_what_a_direct_call_would_ignore_keeps_the_application_from_starting(
    monkeypatch: pytest.MonkeyPatch, layer: dict[str, Any], on: str
):
    ((name, value),) = layer.items()
    if on == "controller":
        monkeypatch.setattr(TaskController, name, value, raising=False)
    else:

        class Extra(Controller):
            path = "/api/{user_id:str}/extra"
            request_class = TaskRequest

            @get(status_code=200, **layer)
            async def extra(self, request: TaskRequest) -> None: ...

        monkeypatch.setattr(application, "ChangesController", Extra)
    with pytest.raises(TypeError, match=f"{name}, which its direct call would ignore"), in_memory():
        pass


def test_a_middleware_behind_the_one_that_calls_handlers_keeps_the_application_from_starting(
    monkeypatch: pytest.MonkeyPatch,
):
    def with_one_more(*args: Any, middleware: list[Any], **kwargs: Any) -> Any:
        return litestar(*args, middleware=[*middleware, lambda app: app], **kwargs)

    litestar = application.Litestar
    monkeypatch.setattr(application, "Litestar", with_one_more)
    with pytest.raises(TypeError, match="must be the last middleware"), in_memory():
        pass


def test_a_handler_has_to_take_the_request_alone(monkeypatch: pytest.MonkeyPatch):
    class Extra(Controller):
        path = "/api/{user_id:str}/extra"

        @get(status_code=200)
        async def extra(self, user_id: FromPath[str]) -> None: ...

    monkeypatch.setattr(application, "ChangesController", Extra)
    with pytest.raises(TypeError, match="must take the request alone"), in_memory():
        pass
