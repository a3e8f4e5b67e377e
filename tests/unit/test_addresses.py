"""Database URLs: every spelling that works, and what is said of the others without repeating a secret."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from todo_adapters.sql.addresses import Database, database_url, postgresql_url
from todo_app.settings import BadSetting, read_settings


def understood(url):
    """What libpq takes from a URL that we take."""
    return conninfo_to_dict(postgresql_url(url))


def refusal(url):
    """The rest of the sentence about a URL that is refused, also by the settings, which name the variable."""
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refused:
        database_url(url)
    for variable in ("TODO_DATABASE_URL", "DATABASE_URL"):
        with pytest.raises(BadSetting, match=f"^{variable} ") as bad:
            read_settings(environment={variable: url})
        assert str(bad.value) == f"{variable} {refused.value}"
    return str(refused.value)


# What works


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "POSTGRESQL", "Postgres"])
def test_each_spelling_of_the_scheme_is_the_same_database(scheme):
    assert database_url(f"{scheme}://u:p@h/db") == Database(url="postgresql://u:p@h/db")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        (
            "postgresql://u:p@h1:5432,h2:5433/todo?target_session_attrs=read-write",
            {"host": "h1,h2", "port": "5432,5433", "target_session_attrs": "read-write"},
        ),
        ("postgresql://u:p@h1,h2:5433/todo", {"host": "h1,h2", "port": ",5433"}),
        ("postgresql://u:p@[::1]:5432/todo", {"host": "::1", "port": "5432"}),
        ("postgresql://u:p@[fe80::1%25eth0]/todo", {"host": "fe80::1%eth0"}),
        ("postgresql://u:p@[::1]:5432,[::2]/todo", {"host": "::1,::2", "port": "5432,"}),
        ("postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/todo", {"host": "/var/run/postgresql"}),
        ("postgresql://u:p@/todo?host=/var/run/postgresql&port=5433", {"host": "/var/run/postgresql", "port": "5433"}),
        ("postgresql:///todo?host=@abstract", {"host": "@abstract"}),
        ("postgresql:///todo?service=todo", {"service": "todo"}),
        ("postgresql:///?service=todo", {"service": "todo"}),
        ("postgresql://todo-1.example.com./todo", {"host": "todo-1.example.com."}),
        ("postgresql://münchen.example/todo", {"host": "münchen.example"}),
        ("postgresql://u:p@h/to%20do", {"dbname": "to do"}),
        ("postgresql://u:p@h/db?ssl=true", {"sslmode": "require"}),
        ("postgresql://u:p@h/db?sslmode=verify-full&channel_binding=require&", {"channel_binding": "require"}),
        ("postgresql://u:p@h/db?options=-csearch_path%3Dtodo", {"options": "-csearch_path=todo"}),
        ("postgresql://h/db?user=ann@corp&password=p@ss", {"user": "ann@corp", "password": "p@ss"}),
        ("postgresql://u:p@h/db?connect_timeout=5", {"connect_timeout": "5"}),
        ("postgresql://u:p:q#r?s@h/db", {"user": "u", "password": "p:q#r?s"}),
    ],
)
def test_what_libpq_takes_is_taken(url, found):
    assert found.items() <= understood(url).items()


@given(password=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")))
def test_every_password_that_is_percent_encoded_arrives_as_it_is(password):
    assert understood(f"postgresql://u:{quote(password, safe='')}@h:1/db").get("password", "") == password


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///todo.db", "todo.db"),
        ("sqlite:////var/lib/todo/todo.db", "/var/lib/todo/todo.db"),
        ("sqlite:///my%20tasks.db", "my tasks.db"),
        ("sqlite:///50%25.db", "50%.db"),
        ("sqlite:///what%3F.db", "what?.db"),
        ("sqlite:///caf%C3%A9.db", "café.db"),
        ("sqlite:///my tasks#1.db", "my tasks#1.db"),
    ],
)
def test_the_path_of_a_sqlite_url_is_percent_decoded_and_the_address_names_the_same_file(url, file):
    database = database_url(url)
    assert database.file == Path(file)
    assert database_url(database.address) == database


# What does not


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///todo.db?timeout=30", "leave out ?timeout"),
        ("sqlite:///todo.db?mode=memory&cache=shared", "leave out ?mode"),
        ("sqlite:///todo.db?", "write ? as %3F"),
        ("sqlite:///100%.db", "write it as %25"),
        ("sqlite:///%ff.db", "not UTF-8"),
        ("sqlite:///a%00b", "NUL"),
        ("sqlite://todo.db", "write sqlite:///todo.db"),
        ("sqlite:todo.db", "write sqlite:///todo.db"),
        ("sqlite:///", "write sqlite:///todo.db"),
        ("sqlite:///:memory:", "memory: for none"),
        ("sqlite+aiosqlite:///todo.db", "write sqlite:///todo.db"),
        ("todo.db", "must begin with postgresql://"),
        ("mysql://u:p@h/db", "must begin with postgresql://"),
        ("postgresql+asyncpg://u:p@h/db", "must begin with postgresql://"),
        ("postgresql:u:p@h/db", "must begin with postgresql://"),
        ("host=h dbname=db password=p", "must begin with postgresql://"),
        ("postgresql://u:p@h:5432:5433/db", "a port that is not a number from 1 to 65535"),
        ("postgresql://u:p@h:0/db", "a port that is not a number from 1 to 65535"),
        ("postgresql://u:p@h1,h2:65536/db", "a port that is not a number from 1 to 65535"),
        ("postgresql://u:p@h/db?port=x", "a port that is not a number from 1 to 65535"),
        ("postgresql://u:p@[::1/db", "cannot be understood"),
        ("postgresql://u:p@h/db?connect_timeout=soon", "a connect_timeout that is not a number of seconds"),
        ("postgresql://u:p@h 1/db", "a space as %20"),
        ("postgresql://u:p@h\n/db", "a space as %20"),
        ("postgresql://u:p@..example/db", "a host that cannot be a host name"),
        (f"postgresql://u:p@{'h' * 64}.example/db", "a host that cannot be a host name"),
        ("postgresql://u:p@h$1/db", "a host that cannot be a host name"),
        ("postgresql://u:p@h/db?sslmode", "the parameter sslmode without a value"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence_that_tells_what_to_write(url, says):
    assert says in refusal(url)


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("schema=public", "options=-csearch_path%3Dname"),
        ("currentSchema=todo", "options=-csearch_path%3Dname"),
        ("pgbouncer=true", "a pooler is detected without it"),
        ("connection_limit=1", "TODO_DATABASE_POOL_SIZE"),
        ("pool_timeout=10", "each request has a deadline of its own"),
        ("statement_cache_size=0", "statements are prepared where the connection allows it"),
        ("sslaccept=strict", "sslmode=require"),
        ("ssl=no-verify", "sslmode=require"),
        ("targetServerType=primary", "target_session_attrs=read-write"),
        ("loginTimeout=5", "connect_timeout"),
        ("charset=utf8", "UTF-8"),
        ("client_encoding=LATIN1", "UTF-8"),
        ("replication=database", "no replication stream"),
        ("frobnicate=1", "leave it out"),
    ],
)
@pytest.mark.parametrize("before", ["?", "?sslmode=require&"])
def test_a_parameter_that_is_not_libpqs_is_named_with_what_it_means_here(parameter, says, before):
    sentence = refusal(f"postgresql://u:p@h/db{before}{parameter}&connect_timeout=5")
    assert f"the parameter {parameter.partition('=')[0]}, which the service does not accept" in sentence
    assert says in sentence


def test_every_parameter_of_libpqs_is_taken_but_the_two_that_change_how_we_speak():
    values = {"port": "5432", "host": "h", "connect_timeout": "5"}
    for option in pq.Conninfo.get_defaults():
        name = option.keyword.decode()
        if name not in {"client_encoding", "replication"}:
            assert name in understood(f"postgresql://h/db?{name}={values.get(name, '1')}")


# Passwords as they are, not percent-encoded: they work as libpq reads them, or are refused without being repeated


@pytest.mark.parametrize(
    ("middle", "says"),
    [
        ("%s", "write it as %25"),
        ("%", "write it as %25"),
        ("%a", "write it as %25"),
        ("%de", "not UTF-8"),
        ("%00", "NUL"),
        ("@", "write @ as %40"),
        ("@@", "write @ as %40"),
        ("/", "write @ as %40 and / as %2F"),
        ("/@", "write @ as %40 and / as %2F"),
        ("@/", "write @ as %40 and / as %2F"),
        ("?a=b/c=", "write ? in a user or password as %3F"),
        (" ", "a space as %20"),
    ],
)
def test_a_password_that_breaks_the_url_is_not_repeated(middle, says):
    sentence = refusal(f"postgresql://app:Tr0ub4dor{middle}Zq9xW@127.0.0.1:5432/todo")
    assert says in sentence
    assert "Tr0ub4dor" not in sentence
    assert "Zq9xW" not in sentence


RAW = st.text(st.sampled_from("ab1@:/#%?&=[]., \\'\"\t$+;ÿ") | st.characters(blacklist_categories=["Cs"]), min_size=1)


@given(password=RAW, rest=st.sampled_from(["h:5432/db", "h1,h2/db?sslmode=require", "[::1]:1/db", "/db?host=/tmp"]))
def test_whatever_the_password_is_it_is_taken_whole_or_refused_without_being_repeated(password, rest):
    marked = f"Tr0ub4dor{password}Zq9xW"
    try:
        found = understood(f"postgresql://app:{marked}@{rest}")
    except ValueError as refused:
        sentence = str(refused)
        assert "Tr0ub4dor" not in sentence
        assert "Zq9xW" not in sentence
    else:
        assert (found["user"], found["dbname"]) == ("app", "db")
        assert found["password"].startswith("Tr0ub4dor")
        assert found["password"].endswith("Zq9xW")
