"""Where keys may come from: https and certificates that somebody vouches for, or this very machine."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from servers.jwks import JwksServer
from support.issuers import Issuer
from todo_adapters.auth.jwks import JwksKeys
from todo_domain.errors import Unavailable


@pytest.fixture
def certificate(tmp_path):
    """A certificate for the loopback address that only its holder vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(minutes=10))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    path = tmp_path / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
async def server(certificate):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with JwksServer(Issuer().jwks(), tls=tls) as server:
        yield server


async def test_a_certificate_that_nobody_vouches_for_is_a_failed_fetch(server):
    keys = JwksKeys(server.url)
    with pytest.raises(Unavailable):
        await keys.check()
    assert keys.failure == "TLS: CERTIFICATE_VERIFY_FAILED"
    assert server.hits == 0


async def test_a_private_authority_can_be_trusted(server, certificate):
    keys = JwksKeys(server.url, tls=ssl.create_default_context(cafile=certificate))
    await keys.check()
    assert server.hits == 1


async def test_a_certificate_for_another_name_is_a_failed_fetch(server, certificate):
    tls = ssl.create_default_context(cafile=certificate)
    keys = JwksKeys(server.url.replace("127.0.0.1", "localhost"), tls=tls)
    with pytest.raises(Unavailable):
        await keys.check()
    assert keys.failure in {"TLS: CERTIFICATE_VERIFY_FAILED", "ConnectError"}
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
    JwksKeys(url)


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
    with pytest.raises(ValueError, match="the URL of the key set") as refused:
        JwksKeys(url)
    assert "password@" not in str(refused.value)
