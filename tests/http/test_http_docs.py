"""docs/api.md, Beside the tasks, `/docs`: what the page is made of and what it may do."""

import re
from urllib.parse import urljoin

import pytest
from apis import in_memory

from todo_adapters.http.endpoints.docs import FILES, POLICY


@pytest.fixture(scope="module")
def api():
    with in_memory() as api:
        yield api


async def test_the_page_may_load_and_ask_nothing_but_this_service(api):
    response = await api.request("GET", "/docs")
    assert response.status == 200
    assert response.header("content-type") == "text/html; charset=utf-8"
    assert response.header("content-security-policy") == POLICY
    directives = dict(directive.split(" ", 1) for directive in POLICY.split("; "))
    assert directives["default-src"] == "'none'"
    assert set(" ".join(directives.values()).split()) == {"'none'", "'self'", "data:"}
    assert directives["script-src"] == "'self'"


async def test_the_page_has_no_script_or_style_of_its_own_and_names_no_host(api):
    page = (await api.request("GET", "/docs")).body.decode()
    assert not re.search(r"<style|style=|\son\w+=|//", page)
    assert all(inside == "" for inside in re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL))


async def test_every_file_that_the_page_names_is_there_with_its_type(api):
    page = (await api.request("GET", "/docs")).body.decode()
    named = re.findall(r'(?:src|href)="docs/([^"]+)"', page)
    assert set(named) == set(FILES)
    for name in named:
        response = await api.request("GET", f"/docs/{name}")
        assert response.status == 200
        assert response.header("content-type") == FILES[name]
        assert response.body


@pytest.mark.parametrize(
    "name", ["index.html", "..", "%2e%2e", "..%2F..%2Fpyproject.toml", "START.JS", "start.js/", "swagger-ui.css.map"]
)
async def test_no_other_file_is_there(api, name):
    assert (await api.request("GET", f"/docs/{name}")).status == 404


async def test_the_root_leads_to_the_page_under_any_prefix(api):
    for method in ("GET", "HEAD"):
        response = await api.bare.request(method, "/")
        assert (response.status, response.header("location"), response.body) == (307, "docs", b"")
        assert response.header("x-request-id")
    assert urljoin("https://example.com/todo/", "docs") == "https://example.com/todo/docs"
    wrong = await api.request("POST", "/", body=b"{}")
    assert (wrong.status, wrong.header("allow")) == (405, "GET, HEAD, OPTIONS")
    for path in ("//", "/api", "/api/", "/?"):
        assert (await api.request("GET", path)).status == (307 if path == "/?" else 404)


async def test_without_docs_neither_the_page_nor_the_document_is_there():
    with in_memory(openapi=None) as api:
        for path in ("/", "/docs", "/docs/start.js", "/openapi.json"):
            assert (await api.bare.request("GET", path)).status == 404
        assert (await api.request("GET", "/health/live")).status == 200
