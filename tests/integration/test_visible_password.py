"""A password on the command line is in the list of processes: the commands say so."""

import pytest

from support.command import todo

WARNING = "sees the password of --database-url"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hidden@127.0.0.1:1/todo",
        "postgres://app:hid%40den@127.0.0.1:1/todo",
        "postgresql+psycopg://app@127.0.0.1:1/todo?password=hidden",
        "postgresql://app@127.0.0.1:1/todo?sslpassword=hidden",
        "postgresql://app:hidden@/todo?host=127.0.0.1&port=1",
    ],
)
@pytest.mark.parametrize("command", [["doctor"], ["migrate", "--check"], ["migrate", "--sql"], ["serve"]], ids=" ".join)
def test_a_command_warns_of_a_password_that_ps_shows(tmp_path, command, url):
    ran = todo(*command, "--database-url", url, cwd=tmp_path)
    assert ran.stderr.count(WARNING) == 1
    assert "set TODO_DATABASE_URL instead" in ran.stderr
    assert "hid" not in ran.stderr + ran.stdout


@pytest.mark.parametrize(
    "url",
    ["postgresql://app@127.0.0.1:1/todo", "postgresql://127.0.0.1:1/todo?user=app", "sqlite:///a:b@c.db", "memory:"],
)
def test_nothing_is_said_of_a_url_without_one(tmp_path, url):
    assert WARNING not in todo("migrate", "--sql", "--database-url", url, cwd=tmp_path).stderr


def test_nothing_is_said_of_a_password_in_the_environment(tmp_path):
    ran = todo("migrate", "--sql", cwd=tmp_path, TODO_DATABASE_URL="postgresql://app:hidden@127.0.0.1:1/todo")
    assert (ran.returncode, ran.stderr) == (0, "")


VISIBLE, WITHOUT = "postgresql://app:hidden@127.0.0.1:1/todo", "postgresql://app@127.0.0.1:1/todo"


@pytest.mark.parametrize(
    ("origin", "target", "named"),
    [
        (VISIBLE, WITHOUT, ["--from"]),
        (WITHOUT, VISIBLE, ["--to"]),
        (VISIBLE, VISIBLE, ["--to", "--from"]),
        (WITHOUT, WITHOUT, []),
        ("sqlite:///a:b@c.db", VISIBLE, ["--to"]),
        ("postgresql://app:hidden@127.0.0.1:none/todo", WITHOUT, []),
    ],
)
def test_a_copy_names_the_option_whose_password_ps_shows(tmp_path, origin, target, named):
    ran = todo("copy", "--from", origin, "--to", target, cwd=tmp_path)
    *warnings, problem = ran.stderr.splitlines()
    instead = {"--from": "put the password into ~/.pgpass instead", "--to": "set TODO_DATABASE_URL instead"}
    seen = "todo: every user of this machine sees the password of {} in the list of processes (ps): {}"
    assert warnings == [seen.format(option, instead[option]) for option in named]
    assert (ran.returncode, "hidden" in problem) == (1, False)


def test_a_copy_into_the_database_of_the_environment_names_the_origin_alone(tmp_path):
    ran = todo("copy", "--from", VISIBLE, cwd=tmp_path, TODO_DATABASE_URL=VISIBLE)
    assert (ran.stderr.count("sees the password of --from"), ran.stderr.count("list of processes")) == (1, 1)
