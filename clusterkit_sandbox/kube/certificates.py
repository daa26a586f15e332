"""A cluster's own certificate authority: the endpoint's certificate, client certificates, and the
key that service account tokens are signed with.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterkit_sandbox.ca import key_usage

_BACK = timedelta(minutes=5)
_LIFE = timedelta(days=3650)
_COMMON_NAME_LIMIT = 64  # RFC 5280, ub-common-name
_OWN_HOSTS = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


class ClusterAuthority:
    """A certificate authority whose key stays in memory."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        public = self._key.public_key()
        self._certificate = (
            _builder(name, name, public, datetime.now(UTC) + _LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = _pem(self._certificate)
        """the authority's certificate"""

    def server(self, hosts: Sequence[str]) -> tuple[str, str]:
        """Certificate and key (PEM) for these host names, localhost and 127.0.0.1."""
        names: list[x509.GeneralName] = []
        for host in dict.fromkeys((*hosts, *_OWN_HOSTS, "127.0.0.1")):
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        until = datetime.now(UTC) + _LIFE
        return self._leaf(subject, until, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, username: str, groups: Sequence[str], seconds: float) -> tuple[str, str]:
        """Certificate and key (PEM): CN is the user, each O a group (Kubernetes documentation,
        "Authenticating", X.509 client certificates). ``ValueError`` for a name that is too long.
        """
        if not 0 < len(username) <= _COMMON_NAME_LIMIT:
            raise ValueError(
                f"user {username!r}: a certificate's common name has 1 to {_COMMON_NAME_LIMIT}"
                " characters"
            )
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, username))
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        return self._leaf(x509.Name(attributes), until, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def server_context(self, hosts: Sequence[str], directory: Path) -> ssl.SSLContext:
        """The server side of TLS, which asks for a client certificate and takes none as well.

        ``directory`` is private; the key is in it for the moment of loading.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.pem)
        self.certify(context, hosts, directory)
        return context

    def certify(self, context: ssl.SSLContext, hosts: Sequence[str], directory: Path) -> None:
        """Give the context a new certificate for these hosts, which new connections see."""
        certificate, key = self.server(hosts)
        # Python's ssl reads keys from files only; mkstemp makes them 0600
        handle, name = tempfile.mkstemp(dir=directory, prefix="kube-")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(key + certificate)
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()

    def _leaf(
        self,
        subject: x509.Name,
        until: datetime,
        purpose: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
    ) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(subject, self._certificate.subject, public, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(authority, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return _pem(builder.sign(self._key, hashes.SHA256())), private.decode("ascii")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _BACK)
        .not_valid_after(until)
    )
