"""Self-signed certificates for servers of the tests."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from tests.support.token_issuers import private_key

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


def write_certificate(file: Path) -> Path:
    """Write a certificate for localhost and its private key to `file`, and return the file."""
    key = private_key("ES256-tls").private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(sign_certificate("localhost", "ES256-tls") + key)
    return file
