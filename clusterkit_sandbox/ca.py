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
import socket
import ssl
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BACK = timedelta(days=1)
_LIFE = timedelta(days=365)
_COMMON_NAME_LIMIT = 64  # RFC 5280, ub-common-name
_CONTEXTS = 1000


class Signer:
    """An authority whose key stays in memory."""

    def __init__(self, name: x509.Name, life: timedelta) -> None:
        """Make the key and sign its own certificate."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name
        public = self._key.public_key()
        builder = self._builder(name, public, datetime.now(UTC) + life)
        self.pem = self._signed(
            builder.add_extension(
                x509.BasicConstraints(ca=True, path_length=0), critical=True
            ).add_extension(_key_usage(authority=True), critical=True)
        )
        """the authority's certificate"""

    def certify(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        until: datetime,
        purpose: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName] = (),
    ) -> str:
        """A certificate (PEM) for somebody's key."""
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(subject, public, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(authority, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return self._signed(builder)

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, until: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - _BACK)
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> str:
        found = builder.sign(self._key, hashes.SHA256())
        return found.public_bytes(serialization.Encoding.PEM).decode("ascii")


class Authority(Signer):
    """A new authority, and server-side TLS contexts for the host names it signs."""

    def __init__(self, directory: Path) -> None:
        """Make the key and write ``directory/ca.pem``; ``directory`` exists and is private."""
        super().__init__(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "clusterkit"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "clusterkit sandbox CA"),
                ]
            ),
            _LIFE,
        )
        self._directory = directory
        self._lock = threading.Lock()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self.file = directory / "ca.pem"
        """its certificate, as a bundle file for clients"""
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

    def _new_context(self, host: str) -> ssl.SSLContext:
        context = server_context()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:_COMMON_NAME_LIMIT])])
        certificate = self.certify(
            name,
            self._leaf_key.public_key(),
            datetime.now(UTC) + _LIFE,
            ExtendedKeyUsageOID.SERVER_AUTH,
            [x509.DNSName(host)],
        )
        load(context, private(self._leaf_key) + certificate, self._directory)
        return context


class _Accepted(ssl.SSLSocket):
    """The server's end of a connection.

    Python's ``wrap_socket`` takes the descriptor over, then asks who the peer is. If the peer has
    reset the connection by then, it fails and leaves the descriptor open.
    """

    def getpeername(self) -> Any:
        """Who is at the other end; closes a connection that has none."""
        try:
            return super().getpeername()
        except OSError:
            if not self.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self.close()
            raise


def server_context() -> ssl.SSLContext:
    """The server side of TLS: 1.2 and up, HTTP/1.1 only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = _Accepted
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def private(key: ec.EllipticCurvePrivateKey) -> str:
    """A key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


def load(context: ssl.SSLContext, chain: str, directory: Path) -> None:
    """Give a context its key and certificate; ``directory`` is private."""
    # Python's ssl reads keys from files only; mkstemp makes them 0600
    handle, name = tempfile.mkstemp(dir=directory, prefix="leaf-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(chain)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


def _key_usage(*, authority: bool) -> x509.KeyUsage:
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
