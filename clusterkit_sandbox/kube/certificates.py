"""A cluster's own certificate authority: the endpoint's certificate, client certificates, and the
key that service account tokens are signed with.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterkit_sandbox.ca import Signer, load, private, server_context

_LIFE = timedelta(days=3650)
_COMMON_NAME_LIMIT = 64  # RFC 5280, ub-common-name
_OWN_HOSTS = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


class ClusterAuthority(Signer):
    """The authority of one cluster."""

    def __init__(self) -> None:
        super().__init__(_name("kubernetes"), _LIFE)

    def server(self, hosts: Sequence[str]) -> tuple[str, str]:
        """Certificate and key (PEM) for these host names, localhost and 127.0.0.1."""
        names: list[x509.GeneralName] = []
        for host in dict.fromkeys((*hosts, *_OWN_HOSTS, "127.0.0.1")):
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        subject, purpose = _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH
        return self._leaf(subject, _LIFE, purpose, names)

    def client(self, username: str, groups: Sequence[str], seconds: float) -> tuple[str, str]:
        """Certificate and key (PEM): CN is the user, each O a group (Kubernetes documentation,
        "Authenticating", X.509 client certificates). ``ValueError`` for a name that is too long.
        """
        if not 0 < len(username) <= _COMMON_NAME_LIMIT:
            raise ValueError(
                f"user {username!r}: a certificate's common name has 1 to {_COMMON_NAME_LIMIT}"
                " characters"
            )
        subject, purpose = _name(username, groups), ExtendedKeyUsageOID.CLIENT_AUTH
        return self._leaf(subject, timedelta(seconds=seconds), purpose)

    def server_context(self, hosts: Sequence[str], directory: Path) -> ssl.SSLContext:
        """The server side of TLS, which asks for a client certificate and takes none as well.

        ``directory`` is private; the key is in it for the moment of loading.
        """
        context = server_context()
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.pem)
        self.renew(context, hosts, directory)
        return context

    def renew(self, context: ssl.SSLContext, hosts: Sequence[str], directory: Path) -> None:
        """Give the context a new certificate for these hosts, which new connections see."""
        certificate, key = self.server(hosts)
        load(context, key + certificate, directory)

    def _leaf(
        self,
        subject: x509.Name,
        life: timedelta,
        purpose: x509.ObjectIdentifier,
        names: Sequence[x509.GeneralName] = (),
    ) -> tuple[str, str]:
        key, until = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC) + life
        return self.certify(subject, key.public_key(), until, purpose, names), private(key)


def _name(common: str, organizations: Sequence[str] = ()) -> x509.Name:
    found = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*found, x509.NameAttribute(NameOID.COMMON_NAME, common)])
