"""The sandbox's own certificate authority.

Its key exists only in the memory of the process, so it cannot outlive the sandbox. ``ca.pem``
contains only this authority, so a client that uses it trusts nothing but the sandbox.

Certificates follow RFC 5280 closely enough for the strictest verifiers: Python 3.13 sets
``VERIFY_X509_STRICT`` by default, which wants key identifiers on both sides and a critical
``keyUsage`` on the authority; Go wants the host as a subject alternative name and the server
purpose.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BACK = timedelta(days=1)
_LIFE = timedelta(days=365)
_COMMON_NAME_LIMIT = 64  # RFC 5280, ub-common-name
_CONTEXTS = 1000


class Authority:
    """A new authority, and server-side TLS contexts for the host names it signs."""

    def __init__(self, directory: Path) -> None:
        """Make the key and write ``directory/ca.pem``; ``directory`` exists and is private."""
        self._directory = directory
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._own_certificate()
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        """the authority's certificate"""
        self.file = directory / "ca.pem"
        """the same, as a bundle file for clients"""
        self.file.write_text(self.pem, encoding="ascii")

    def context(self, host: str) -> ssl.SSLContext:
        """The server side of TLS for this host name: TLS 1.2 and up, HTTP/1.1 only."""
        with self._lock:
            context = self._contexts.get(host)
            if context is None:
                if len(self._contexts) >= _CONTEXTS:
                    self._contexts.clear()
                context = self._contexts[host] = self._new_context(host)
            return context

    def _own_certificate(self) -> x509.Certificate:
        public = self._key.public_key()
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "clusterkit"),
                x509.NameAttribute(NameOID.COMMON_NAME, "clusterkit sandbox CA"),
            ]
        )
        return (
            _builder(name, name, public)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _leaf(self, host: str) -> x509.Certificate:
        public = self._leaf_key.public_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:_COMMON_NAME_LIMIT])])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            _builder(name, self._certificate.subject, public)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _new_context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        chain = self._leaf_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + self._leaf(host).public_bytes(serialization.Encoding.PEM)
        # Python's ssl reads keys from files only; mkstemp makes them 0600
        handle, name = tempfile.mkstemp(dir=self._directory, prefix="leaf-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(chain)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
        return context


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + _LIFE)
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """What the key of an authority, or of a leaf, is for (RFC 5280, 4.2.1.3)."""
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
