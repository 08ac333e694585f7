"""The certificate of the key set's server is verified: its authority and its host."""

import asyncio
import ssl
from pathlib import Path

import pytest

from contract.problems import Unavailable
from security.keys import KeySet
from tests.support.certificates import write_certificate
from tests.support.token_issuers import KeySetServer, public_jwk


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate for localhost and its private key."""
    return write_certificate(tmp_path / "certificate.pem")


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
