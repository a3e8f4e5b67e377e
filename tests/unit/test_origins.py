"""TODO_CORS_ORIGINS: each origin in the one spelling that browsers send (RFC 6454, section 6.2)."""

import pytest

from todo_app.settings import BadSetting, read_settings


def read(text):
    return read_settings(environment={"TODO_CORS_ORIGINS": text}).cors_origins


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://App.Example.COM", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("http://app.example.com:443", "http://app.example.com:443"),
        ("https://app.example.com:08443", "https://app.example.com:8443"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://my_host", "http://my_host"),
        ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]"),
        ("http://192.168.1.5:3000", "http://192.168.1.5:3000"),
        ("tauri://localhost", "tauri://localhost"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("Ionic://localhost", "ionic://localhost"),
        ("app.v2+x://local-host:80", "app.v2+x://local-host:80"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_a_browser_sends_it(given, sent):
    assert read(given) == (sent,)


def test_several_stand_between_white_space_and_each_counts_once():
    assert read(" tauri://localhost\thttps://a.example:443\n https://A.example ") == (
        "tauri://localhost",
        "https://a.example",
    )


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/page",
        "https://app.example.com?x",
        "https://app.example.com#x",
        "https://user@app.example.com",
        "https://*.example.com",
        "https://a.example,https://b.example",
        "https://app.example.com:",
        "https://app.example.com:0",
        "https://app.example.com:65536",
        "https://app.example.com:port",
        "https://bücher.example",
        "https://a..example",
        "https://.example",
        "https://[::1",
        "https://[nonsense]",
        "https://::1",
        "http://127.1",
        "http://2130706433",
        "http://010.0.0.1",
        "https://",
        "https:app.example.com",
        "file://",
        "://app.example.com",
        "1app://localhost",
        "https://a%41.example",
    ],
)
def test_what_no_browser_sends_is_refused_in_one_sentence_that_repeats_it(given):
    with pytest.raises(BadSetting) as refused:
        read(f"https://good.example {given}")
    sentence = str(refused.value)
    assert sentence.startswith("TODO_CORS_ORIGINS must ")
    assert repr(given) in sentence
    assert "\n" not in sentence


def test_a_trailing_slash_is_refused_with_the_right_spelling():
    with pytest.raises(BadSetting, match=r"without a path: 'https://app\.example\.com'"):
        read("https://app.example.com/")
