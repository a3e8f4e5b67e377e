"""Where keys may come from: https and certificates that somebody vouches for, or this very machine."""

import ssl

import pytest

from servers.jwks import JwksServer
from support.certificates import self_signed
from support.issuers import Issuer
from support.verifying import FETCHER
from todo_adapters.auth.fetching import Fetcher, trusting
from todo_adapters.auth.jwks import JwksKeys
from todo_adapters.auth.loading import KeyUrl
from todo_domain.errors import Unavailable


@pytest.fixture
def certificate(tmp_path):
    return self_signed(tmp_path / "certificate.pem")


@pytest.fixture
async def server(certificate):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with JwksServer(Issuer().jwks(), tls=tls) as server:
        yield server


async def test_a_certificate_of_an_unknown_authority_is_a_failed_fetch(server):
    keys = JwksKeys(KeyUrl(server.url, Fetcher()))
    with pytest.raises(Unavailable):
        await keys.check()
    assert keys.failure == "TLS: CERTIFICATE_VERIFY_FAILED"
    assert server.hits == 0


async def test_a_private_authority_can_be_trusted(server, certificate):
    keys = JwksKeys(KeyUrl(server.url, Fetcher(tls=trusting(certificate))))
    await keys.check()
    assert server.hits == 1


async def test_a_certificate_for_another_name_is_a_failed_fetch(server, certificate):
    url = server.url.replace("127.0.0.1", "localhost")
    keys = JwksKeys(KeyUrl(url, Fetcher(tls=trusting(certificate))))
    with pytest.raises(Unavailable):
        await keys.check()
    assert keys.failure in {"TLS: CERTIFICATE_VERIFY_FAILED", "the connection was refused"}
    assert server.hits == 0


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/api/auth/jwks",
        "https://issuer.example:8443/jwks?tenant=a",
        "https://[2001:db8::1]/jwks",
        "HTTPS://issuer.example/jwks",
        "http://127.0.0.1:3000/jwks",
        "http://127.9.9.9/jwks",
        "http://[::1]:3000/jwks",
        "http://localhost:3000/jwks",
        "http://LOCALHOST/jwks",
    ],
)
def test_keys_come_over_https_or_from_this_machine(url):
    FETCHER.checked(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example/jwks",
        "/jwks",
        "https:///jwks",
        "https://",
        "http://issuer.example/jwks",
        "http://10.0.0.1/jwks",
        "http://0.0.0.0/jwks",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost.issuer.example/jwks",
        "http://127.0.0.1.issuer.example/jwks",
        "http://127.0.0.1@issuer.example/jwks",
        "http://2130706433/jwks",
        "http://[::ffff:10.0.0.1]/jwks",
        "ftp://issuer.example/jwks",
        "file:///etc/passwd",
        "data:application/json,{}",
        "https://user:password@issuer.example/jwks",
        "https://user@issuer.example/jwks",
        "https://issuer.example:99999999/jwks",
        "https://issuer.example:0/jwks",
        "https://issuer.example\n/jwks",
        "https://[::1/jwks",
    ],
)
def test_keys_come_from_nowhere_else(url):
    with pytest.raises(ValueError, match=r"^(must|is not)") as refused:
        FETCHER.checked(url)
    assert "password@" not in str(refused.value)


def test_plain_http_comes_from_the_hosts_that_are_named_and_no_others():
    fetcher = Fetcher(http_hosts=frozenset({"keycloak", "10.0.0.7"}), tls=ssl.create_default_context())
    for url in ("http://keycloak:8080/certs", "http://KEYCLOAK/certs", "http://10.0.0.7/certs", "http://localhost/"):
        fetcher.checked(url)
    for url in ("http://keycloak.example/certs", "http://10.0.0.8/certs", "http://a:b@keycloak/", "ftp://keycloak/"):
        with pytest.raises(ValueError, match="must"):
            fetcher.checked(url)


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_authorities_that_cannot_be_read_are_refused(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file of PEM certificates"):
        trusting(path)
