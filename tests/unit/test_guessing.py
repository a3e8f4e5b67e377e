"""Shared secrets that can be guessed are refused where others can reach the service, and random ones never are."""

import random
import uuid
from base64 import b64encode, urlsafe_b64encode

import pytest

from support.length import examples
from todo_app.settings import BadSetting, read_settings
from todo_app.settings.guessing import ENOUGH, bits
from todo_app.settings.identity import refuse_guessable

GUESSABLE = """
    CHANGE-ME-TO-AT-LEAST-32-RANDOM-BYTES
    CHANGEMECHANGEMECHANGEMECHANGEME
    change_me_change_me_change_me_change_me
    REPLACE_ME_REPLACE_ME_REPLACE_ME
    <openssl-rand-hex-32-goes-here-please>
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    00000000000000000000000000000001
    ffffffffffffffffffffffffffffffff
    abababababababababababababababab
    xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
    01234567890123456789012345678901
    12345678901234567890123456789012
    98765432109876543210987654321098
    0123456789abcdef0123456789abcdef
    112233445566778899aabbccddeeff00
    1111222233334444555566667777888899990000
    a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6
    13579135791357913579135791357913
    2024-01-01-2024-01-01-2024-01-01-todo
    abcdefghijklmnopqrstuvwxyz012345
    ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF
    qwertyuiopasdfghjklzxcvbnm123456
    deadbeefdeadbeefdeadbeefdeadbeef
    passwordpasswordpasswordpassword
    Passw0rd!Passw0rd!Passw0rd!Passw0rd!
    s3cr3t-k3y-ch4ng3-m3-1n-pr0duct10n-pl34s3
    secretsecretsecretsecretsecretsecret
    todo-secret-todo-secret-todo-secret
    thisisasecretthisisasecretthisisasecret
    a-secret-of-at-least-thirty-two-bytes
    my-super-secret-key-that-is-long-enough
    super-secret-jwt-token-with-at-least-32-characters-long
    your-256-bit-secret-your-256-bit-secret
    PleaseChangeThisSecretInProduction!!
    development-only-not-for-production-use
    acme-corp-todo-service-production-secret-2024
    correct-horse-battery-staple-correct-horse
    MyDogRexIsTheBestDogInTheWorld!!
    the-quick-brown-fox-jumps-over-the-lazy-dog
""".split()  # noqa: SIM905  one a line


@pytest.mark.parametrize("secret", GUESSABLE)
def test_placeholders_phrases_and_patterns_can_be_guessed(secret):
    assert bits(secret) < ENOUGH - 10


CHOSEN = random.Random(7)
MADE = {
    "openssl rand -hex 16": lambda: CHOSEN.randbytes(16).hex(),
    "openssl rand -hex 32": lambda: CHOSEN.randbytes(32).hex(),
    "openssl rand -hex 32, in capitals": lambda: CHOSEN.randbytes(32).hex().upper(),
    "openssl rand -base64 32": lambda: b64encode(CHOSEN.randbytes(32)).decode(),
    "24 bytes in base64url": lambda: urlsafe_b64encode(CHOSEN.randbytes(24)).decode(),
    "a version 4 UUID": lambda: str(uuid.UUID(bytes=CHOSEN.randbytes(16), version=4)),
    "32 letters": lambda: "".join(CHOSEN.choices("abcdefghijklmnopqrstuvwxyz", k=32)),
    "32 printable characters": lambda: "".join(CHOSEN.choices([chr(code) for code in range(33, 127)], k=32)),
    "24 letters beyond ASCII": lambda: "".join(CHOSEN.choices([chr(code) for code in range(0x430, 0x450)], k=24)),
}


@pytest.mark.parametrize("how", MADE)
def test_random_secrets_cannot_be_guessed_however_they_are_written(how):
    assert min(bits(MADE[how]()) for _ in range(examples(100))) > ENOUGH


@pytest.mark.parametrize(
    "passphrase", ["trombone-unlit-gravy-motion-clapped-husband", "zebra-quartz-lamp-fjord-mixing-vowel-tundra"]
)
def test_a_passphrase_of_six_random_words_cannot_be_guessed(passphrase):
    assert bits(passphrase) > ENOUGH


def test_a_long_secret_takes_no_longer_than_its_length():
    assert bits("ab" * 500_000) < ENOUGH


def guessed(host, secrets):
    refuse_guessable(read_settings(environment={"TODO_HOST": host, "TODO_JWT_SECRET": secrets}))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "todo.example"])
def test_a_secret_that_can_be_guessed_is_refused_where_others_can_reach_the_service(host):
    good = CHOSEN.randbytes(32).hex()
    with pytest.raises(BadSetting) as refused:
        guessed(host, GUESSABLE[0])
    sentence = str(refused.value)
    assert sentence.startswith("TODO_JWT_SECRET can be guessed")
    assert GUESSABLE[0] not in sentence
    with pytest.raises(BadSetting, match="TODO_JWT_SECRET number 2 can be guessed"):
        guessed(host, f"{good} {GUESSABLE[0]}")
    guessed(host, good)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_on_this_machine_alone_any_secret_of_32_bytes_will_do(host):
    guessed(host, GUESSABLE[0])
