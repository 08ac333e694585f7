"""The certificate of the key set's server is verified: its authority and its host."""

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from contract.problems import Unavailable
from security.keys import KeySet
from tests.support.token_issuers import KeySetServer, private_key, public_jwk

HOUR = datetime.timedelta(hours=1)


def sign_certificate(host: str, key_of: str) -> bytes:
    """Return a self-signed certificate in PEM."""
    key, now = private_key(key_of), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    hosts = x509.SubjectAlternativeName([x509.DNSName(host)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = (
        builder.not_valid_before(now - HOUR).not_valid_after(now + HOUR).add_extension(hosts, critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate for localhost and its private key."""
    file = tmp_path / "certificate.pem"
    key = private_key("ES256-tls").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(sign_certificate("localhost", "ES256-tls") + key)
    return file


def find_key(certificate: Path, host: str) -> bool:
    """Return whether the key of a server with this certificate is found. The server is asked for it if so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    publisher = KeySetServer(public_jwk("EdDSA"))
    with publisher.serving(tls=context) as url:
        keys = KeySet(url.replace("127.0.0.1", host))
        try:
            return asyncio.run(keys.find("EdDSA")) is not None
        except Unavailable:
            assert (publisher.request_count, keys._keys) == (0, {})
            return False


def test_key_set_is_not_fetched_from_a_server_with_a_certificate_of_an_unknown_authority(certificate: Path):
    assert not find_key(certificate, "localhost")


def test_key_set_is_not_fetched_from_a_server_with_a_certificate_of_another_host(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert find_key(certificate, "localhost")
    assert not find_key(certificate, "127.0.0.1")
