"""The table of settings, and the rules that hold between settings."""

from dataclasses import fields

import pytest

from todo_app.settings import BadSetting, Settings, read_settings
from todo_app.settings.identity import cautions
from todo_app.settings.table import rows

SECRET = "0123456789abcdef0123456789abcdef"
KEY_SET = {"TODO_JWKS_URL": "https://issuer.example/jwks"}
NAMED = {"TODO_JWT_ISSUER": "https://issuer.example", "TODO_JWT_AUDIENCE": "https://todo.example"}


def read(**given):
    return read_settings(environment=given)


def test_every_field_is_a_row_with_a_help_sentence():
    assert list(rows()) == [field.name for field in fields(Settings)]
    assert all(row.help and row.variables for row in rows().values())


def test_no_variable_belongs_to_two_settings():
    variables = [variable for row in rows().values() for variable in row.variables]
    assert len(variables) == len(set(variables))


def test_without_any_variable_the_defaults_of_the_table_are_in_force():
    assert read() == Settings()


def test_an_empty_variable_counts_as_not_set():
    assert read(TODO_PORT="", TODO_HOST="  ", TODO_DATABASE_URL="\t") == Settings()


def test_of_several_variables_the_first_that_is_set_counts():
    assert read(TODO_DATABASE_URL="memory:", DATABASE_URL="sqlite:///other.db").database.kind == "memory"
    assert str(read(TODO_DATABASE_URL="", DATABASE_URL="sqlite:///other.db").database.file) == "other.db"
    assert (read(PORT="9000").port, read(TODO_PORT="9001", PORT="tcp://10.0.0.1:80").port) == (9000, 9001)


def test_the_start_event_has_the_public_settings_and_no_other():
    settings = read(**KEY_SET, **NAMED, TODO_DATABASE_URL="postgresql://ann:password@db.example/todo")
    shown = settings.public()
    assert set(shown) == {name for name, row in rows().items() if row.public} | {"identity", "https_proxy"}
    assert shown["identity"] == "jwks"
    assert (shown["docs"], shown["tracing"], shown["cors_origins"]) == ("on", "off", "")
    assert not any(part in f"{settings!r} {shown}" for part in ("password", "db.example", KEY_SET["TODO_JWKS_URL"]))
    assert read(TODO_JWT_SECRET=f"{SECRET} {SECRET}").public()["identity"] == "2 shared secret(s)"
    assert SECRET not in repr(read(TODO_JWT_SECRET=SECRET))


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({**KEY_SET, **NAMED, "TODO_JWKS_FILE": "keys.json"}, "TODO_JWKS_URL and TODO_JWKS_FILE exclude each other"),
        ({"TODO_JWKS_FILE": "keys.json"}, "TODO_JWKS_FILE needs TODO_JWT_ISSUER and TODO_JWT_AUDIENCE"),
        ({**KEY_SET, "TODO_JWT_SECRET": SECRET}, "TODO_JWKS_URL needs TODO_JWT_ISSUER and TODO_JWT_AUDIENCE"),
        ({"TODO_JWT_ISSUER": "https://issuer.example"}, "TODO_JWT_ISSUER needs TODO_JWT_AUDIENCE"),
        ({"TODO_JWKS_HTTP_HOSTS": "http://keycloak:8080"}, "TODO_JWKS_HTTP_HOSTS must be host names"),
        ({"TODO_JWKS_HTTP_HOSTS": "keycloak:8080"}, "TODO_JWKS_HTTP_HOSTS must be host names"),
        (KEY_SET, "TODO_JWT_ISSUER and TODO_JWT_AUDIENCE"),
        ({**KEY_SET, "TODO_JWT_ISSUER": "https://issuer.example"}, "TODO_JWT_ISSUER and TODO_JWT_AUDIENCE"),
        ({**NAMED, "TODO_JWT_AUDIENCE": "none web"}, "TODO_JWT_AUDIENCE must be none alone"),
        ({**NAMED, "TODO_JWT_AUDIENCE": "none"}, "TODO_JWT_AUDIENCE=none needs TODO_JWT_CLIENTS"),
        ({**KEY_SET, **NAMED, "TODO_JWT_AUDIENCE": "none"}, "TODO_JWT_AUDIENCE=none needs TODO_JWT_CLIENTS"),
        ({**NAMED, "TODO_JWT_CLIENTS": "web any"}, "TODO_JWT_CLIENTS must be any alone"),
        ({"TODO_JWT_AUDIENCE": "web,ios"}, "TODO_JWT_AUDIENCE must have a space between two"),
        ({"TODO_JWT_ISSUER": '"https://issuer.example"'}, "TODO_JWT_ISSUER must have .* no quotation marks"),
        ({"TODO_TRUSTED_PROXIES": "10.0.0.1/8"}, "TODO_TRUSTED_PROXIES must name a network by its first address: 10.0"),
        ({"TODO_TRUSTED_PROXIES": "proxy"}, "TODO_TRUSTED_PROXIES must be IP addresses or networks"),
        ({"TODO_JWT_MAX_LIFETIME": "1h"}, "TODO_JWT_MAX_LIFETIME must be a number from 60 to 31622400 without a unit"),
        ({"TODO_JWT_USER_CLAIM": "email"}, "TODO_JWT_USER_CLAIM must be a claim that the issuer never gives to two"),
        ({"TODO_JWT_USER_CLAIM": "iss"}, "TODO_JWT_USER_CLAIM must be a claim that the issuer never gives to two"),
        ({"TODO_JWT_USER_CLAIM": "sub uid"}, "TODO_JWT_USER_CLAIM must be the name of one claim"),
        ({"TODO_DATABASE_URL": "memory:", "TODO_WORKERS": "2"}, "TODO_WORKERS must be 1"),
        ({"TODO_DATABASE_DIRECT_URL": "postgresql://db.example/todo"}, "TODO_DATABASE_DIRECT_URL needs a PostgreSQL"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_by_name(given, names):
    with pytest.raises(BadSetting, match=names):
        read(**given)


def test_issuers_audiences_and_clients_are_one_or_several():
    given = {"TODO_JWT_ISSUER": "https://a.example  https://b.example/", "TODO_JWT_AUDIENCE": "web\tios"}
    settings = read(**given, TODO_JWT_CLIENTS="c1 c2")
    assert settings.jwt_issuer == ("https://a.example", "https://b.example/")
    assert (settings.jwt_audience, settings.jwt_clients) == (("web", "ios"), ("c1", "c2"))
    assert settings.public()["jwt_audience"] == "web ios"


def test_a_key_set_of_one_application_is_a_caution():
    given = {**KEY_SET, **NAMED, "TODO_JWT_AUDIENCE": "none", "TODO_JWT_CLIENTS": "any"}
    (caution,) = cautions(read(**given))
    assert caution.startswith("TODO_JWT_CLIENTS=any accepts tokens of every client")
    assert cautions(read(**{**given, "TODO_JWT_CLIENTS": "web"})) == []


@pytest.mark.parametrize(
    ("given", "traced"),
    [
        ({}, True),
        ({"OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_opentelemetrys_own_variables_turn_traces_off(given, traced):
    for endpoint in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        assert read(**{endpoint: "http://127.0.0.1:4318"}, **given).tracing is traced
    assert not read(**given).tracing
