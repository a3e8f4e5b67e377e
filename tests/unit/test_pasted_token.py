"""A token as somebody pastes it, and what is no token of ours at first sight."""

import json

import pytest

from support.hostile_claims import honest_claims
from support.issuers import Issuer
from todo_app.commands.pasted_token import by_content, by_sight, pasted_token, unverified


@pytest.fixture(scope="module")
def token():
    return Issuer().token("EdDSA", honest_claims(1_790_000_000))


def test_the_wrapping_of_a_token_is_taken_off(token):
    head, rest = token[:40], token[40:]
    for text in (
        token,
        f"  {token}\n",
        f"Bearer {token}",
        f"bearer   {token}",
        f'"{token}"',
        f"'{token}',",
        f"`{token}`",
        f'"Bearer {token}"',
        f"Authorization: Bearer {token}",
        f"authorization:Bearer {token}\r\n",
        f"-H 'Authorization: Bearer {token}'",
        f"{head}\n{rest}",
        json.dumps(token),
        json.dumps({"access_token": token, "id_token": "a.b.c", "refresh_token": "r"}),
        json.dumps({"id_token": "a.b.c", "token": token}),
        json.dumps({"token": token}),
        json.dumps({"data": {"session": {"access_token": token, "user": {"id": "x"}}}, "error": None}),
        json.dumps([{"jwt": token}]),
    ):
        assert pasted_token(text) == token, text[:40]


@pytest.mark.parametrize("text", ["", "   ", "{", "[]", "{}", '{"a": 1}', "[" * 100_000, '{"token": 1}', "null", '""'])
def test_what_has_no_token_gives_none_and_raises_nothing(text):
    assert unverified(pasted_token(text)) is None


SIGHTS = {
    "": "no token",
    "3b1d3f0e9a": "opaque token",
    "Zb5tLqk2Y0_long-opaque": "opaque token",
    "v4.public.eyJ": "PASETO",
    "v2.local.abc": "PASETO",
    "Fe26.2**0cdd60": "sealed session cookie",
    "s:abc.def": "signed session cookie",
    "sess_2abc": "id of a session",
    "ya29.a0AfB_by": "provider's own API",
    "gho_16C7e42F292c": "provider's own API",
    "ory_at_abc.def": "opaque token of the provider's",
    "sk_test_abc": "opaque token of the provider's",
    "abcdef123.%2Fsignature%3D": "signed session token (two segments)",
    "eyJhbGciOiJkaXIi..iv.ciphertext.tag": "encrypted token (five segments)",
    "eyJ.key.iv.ciphertext.tag": "encrypted token (five segments)",
}


@pytest.mark.parametrize("token", SIGHTS)
def test_what_is_no_signed_jwt_is_known_by_sight(token):
    said = by_sight(token)
    assert said is not None
    assert SIGHTS[token] in said
    assert "ASK" not in said
    assert not token or token not in said


def test_a_signed_jwt_is_not_taken_for_something_else(token):
    assert by_sight(token) is None
    assert by_content(unverified(token)[1]) is None


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"at_hash": "x"}, "ID token (it has at_hash)"),
        ({"nonce": "x"}, "ID token (it has nonce)"),
        ({"token_use": "id"}, "ID token (token_use is id)"),
        ({"typ": "ID"}, "ID token (its typ is ID)"),
        ({"typ": "Refresh"}, "refresh token"),
        ({"session": {}, "user": {}}, "session cookie of Better Auth"),
        ({"role": "anon", "iss": "supabase"}, "API key of Supabase"),
        ({"role": "anon", "sub": "u"}, None),
        ({"token_use": "access", "typ": "Bearer"}, None),
    ],
)
def test_a_jwt_that_is_for_something_else_is_known_by_its_claims(claims, says):
    said = by_content(claims)
    assert (said is None) == (says is None)
    assert says is None or says in said
