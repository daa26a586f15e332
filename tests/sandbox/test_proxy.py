"""The proxy by the clients people use: real sockets, real TLS, real programs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from clusterkit_sandbox.ca import Authority
from clusterkit_sandbox.fault_injection import FaultInjection
from clusterkit_sandbox.faults import Faults
from clusterkit_sandbox.proxy import Proxy
from clusterkit_sandbox.requestlog import RequestLog
from tests.sandbox.echo import DOMAIN, HOST, Echo

CLUSTER = "abc.gr7.eu-west-1.k8s.example"


class World:
    """A proxy with one emulator behind it, and a place for clusters."""

    def __init__(self, directory: Path) -> None:
        # another test of this process may keep a sandbox running
        self.others = set(threading.enumerate())
        self.authority = Authority(directory)
        self.clusters: dict[str, tuple[str, int]] = {}
        gate = FaultInjection(Echo(), Faults(), RequestLog())
        self.proxy = Proxy(
            self.authority,
            lambda host: gate if host.endswith(DOMAIN) else None,
            lambda: self.clusters,
            lambda: "It emulates: echo.",
        )
        self.proxy.start()

    def threads(self) -> list[threading.Thread]:
        """The proxy's own."""
        return [
            thread
            for thread in threading.enumerate()
            if thread.name.startswith("sandbox-") and thread not in self.others
        ]

    @property
    def proxies(self) -> dict[str, str]:
        return dict.fromkeys(("http", "https"), f"http://127.0.0.1:{self.proxy.port}")

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.proxies = self.proxies
        session.verify = str(self.authority.file)
        return session

    def connect(self, host: str = HOST) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.authority.file)
        # the default from Python 3.13 on
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.proxy.port, context=context, timeout=10
        )
        connection.set_tunnel(host, 443)
        return connection

    def raw(self, text: bytes) -> bytes:
        """What the proxy answers to these bytes, to the end."""
        with socket.create_connection(("127.0.0.1", self.proxy.port), timeout=10) as plain:
            plain.sendall(text)
            return b"".join(iter(lambda: plain.recv(65536), b""))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.proxy.stop()
    assert not made.threads()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not come true within 10 s"
        time.sleep(0.01)


def test_a_request_reaches_the_emulator_under_its_real_host_name(world: World) -> None:
    with world.session() as session:
        heard = session.post(f"https://{HOST}/Describe?a=b%20c", data="hello").json()
    assert heard["host"] == HOST
    assert heard["query"] == "a=b%20c"
    assert heard["body"] == "hello"


def test_the_raw_path_survives(world: World) -> None:
    raw = "//tags/arn%3Aaws%3Aeks%2Fname?x=%2F"
    with contextlib.closing(world.connect()) as connection:
        connection.request("GET", raw)
        heard = json.loads(connection.getresponse().read())
    assert heard["raw"] == raw
    assert heard["path"] == "//tags/arn:aws:eks/name"


def test_one_connection_serves_many_requests(world: World) -> None:
    with contextlib.closing(world.connect()) as connection:
        connection.connect()
        first = connection.sock
        for n in range(20):
            connection.request("PUT", f"/n{n}", b"x" * n)
            assert json.loads(connection.getresponse().read())["length"] == str(n)
            assert connection.sock is first


def test_bodies_in_chunks(world: World) -> None:
    with contextlib.closing(world.connect()) as connection:
        for _ in range(2):
            connection.request("PUT", "/Put", iter([b"one,", b"two"]), encode_chunked=True)
            heard = json.loads(connection.getresponse().read())
            assert (heard["body"], heard["length"]) == ("one,two", "7")
            assert "HTTP_TRANSFER_ENCODING" not in heard["headers"]


def test_head_gives_the_length_and_no_body(world: World) -> None:
    with contextlib.closing(world.connect()) as connection:
        for _ in range(2):
            connection.request("HEAD", "/Describe")
            answer = connection.getresponse()
            assert int(answer.headers["Content-Length"]) > 0
            assert answer.read() == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: many", 400),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 99999999999", 413),
        (b"Transfer-Encoding: gzip", 501),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(world: World, head: bytes, status: int) -> None:
    with contextlib.closing(world.connect()) as connection:
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.sock.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_only_http_1_1_is_negotiated(world: World) -> None:
    context = ssl.create_default_context(cafile=world.authority.file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", world.proxy.port), timeout=10) as plain:
        plain.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
        with context.wrap_socket(plain, server_hostname=HOST) as secure:
            assert secure.selected_alpn_protocol() == "http/1.1"
            found = secure.getpeercert()
    assert found is not None
    assert found["subjectAltName"] == (("DNS", HOST),)


@pytest.mark.parametrize("target", ["example.com:443", "169.254.169.254:443", f"{HOST}:8443"])
def test_every_other_host_is_refused(world: World, target: str) -> None:
    answer = world.raw(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    named = target.removesuffix(":443")
    assert head.splitlines()[0] == f"HTTP/1.1 403 the sandbox does not emulate {named}".encode()
    assert b"does not connect to the internet" in body
    assert b"It emulates: echo." in body


def test_the_reason_of_a_refusal_reaches_the_user(world: World) -> None:
    with world.session() as session, pytest.raises(requests.exceptions.ProxyError) as raised:
        session.get("https://example.com/")
    assert "the sandbox does not emulate example.com" in str(raised.value)


def test_clear_text_and_strangers_get_a_clear_answer(world: World) -> None:
    with world.session() as session:
        answer = session.get("http://example.com/x")
        assert answer.status_code == 403
        assert "only HTTPS" in answer.text
        direct = session.get(f"http://127.0.0.1:{world.proxy.port}/", proxies={"http": ""})
        assert direct.status_code == 400
        assert "clusterkit sandbox env" in direct.text
    assert world.raw(b"CONNECT nonsense HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert world.raw(b"\x16\x03\x01\x02\x00\x01").startswith(b"HTTP/1.1 400 ")


def test_a_cluster_speaks_its_own_tls(world: World, tmp_path: Path) -> None:
    own = tmp_path / "cluster"
    own.mkdir()
    authority = Authority(own)
    listener = socket.create_server(("127.0.0.1", 0))
    world.clusters[CLUSTER] = listener.getsockname()

    def serve() -> None:
        plain, _ = listener.accept()
        with authority.context(CLUSTER).wrap_socket(plain, server_side=True) as secure:
            secure.sendall(secure.recv(100).upper())

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cafile=authority.file)
    with socket.create_connection(("127.0.0.1", world.proxy.port), timeout=10) as plain:
        plain.sendall(f"CONNECT {CLUSTER.upper()}:443 HTTP/1.1\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
        with context.wrap_socket(plain, server_hostname=CLUSTER) as secure:
            secure.sendall(b"pods")
            assert secure.recv(100) == b"PODS"
    thread.join()
    listener.close()


def test_a_half_closed_tunnel_still_hears_the_answer(world: World) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    world.clusters[CLUSTER] = listener.getsockname()

    def serve() -> None:
        plain, _ = listener.accept()
        with plain:
            heard = b"".join(iter(lambda: plain.recv(65536), b""))
            plain.sendall(b"%d bytes" % len(heard))

    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(("127.0.0.1", world.proxy.port), timeout=10) as plain:
        plain.sendall(f"CONNECT {CLUSTER}:443 HTTP/1.1\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
        plain.sendall(b"x" * 1_000_000)
        plain.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: plain.recv(100), b"")) == b"1000000 bytes"
    thread.join()
    listener.close()
    _until(lambda: len(world.threads()) == 1)


@pytest.mark.parametrize("nodelay", [0, 1])
def test_small_writes_do_not_wait_for_acknowledgements(world: World, nodelay: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    world.clusters[CLUSTER] = listener.getsockname()
    rounds = 60

    def serve() -> None:
        plain, _ = listener.accept()
        with plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(rounds):
                heard = b""
                while len(heard) < 2:
                    heard += plain.recv(100)
                plain.sendall(b"ok")

    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(("127.0.0.1", world.proxy.port), timeout=10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        plain.sendall(f"CONNECT {CLUSTER}:443 HTTP/1.1\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
        start = time.monotonic()
        for _ in range(rounds):
            # two writes, as a client makes that sends head and body apart
            plain.sendall(b"a")
            plain.sendall(b"b")
            assert plain.recv(100) == b"ok"
        spent = time.monotonic() - start
    thread.join()
    listener.close()
    # an acknowledgement may be held back for 40 ms: 2.4 s
    assert spent < 1.2


def test_a_dead_cluster_is_a_bad_gateway(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        world.clusters[CLUSTER] = listener.getsockname()
    answer = world.raw(f"CONNECT {CLUSTER}:443 HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 the cluster does not answer")


def test_two_hundred_clients_at_once(world: World) -> None:
    together = threading.Barrier(200, timeout=60)

    def client(n: int) -> int:
        with contextlib.closing(world.connect(f"n{n % 7}.{DOMAIN}")) as connection:
            connection.timeout = 60
            connection.connect()
            together.wait()
            for _ in range(3):
                connection.request("POST", f"/n{n}", str(n))
                if json.loads(connection.getresponse().read())["body"] != str(n):
                    return 0
        return 1

    with ThreadPoolExecutor(200) as pool:
        assert sum(pool.map(client, range(200))) == 200
    _until(lambda: len(world.threads()) == 1)


def test_clients_that_go_away_leave_nothing(world: World) -> None:
    address = ("127.0.0.1", world.proxy.port)
    socket.create_connection(address).close()
    with socket.create_connection(address) as plain:
        plain.sendall(b"CONNECT api.")
    with socket.create_connection(address) as plain:
        plain.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
        plain.recv(4096)
        plain.sendall(b"\x16\x03\x01")
    distrustful = world.session()
    distrustful.verify = True
    with distrustful, pytest.raises(requests.exceptions.SSLError):
        distrustful.get(f"https://{HOST}/")
    connection = world.connect()
    connection.connect()
    assert connection.sock is not None
    connection.sock.sendall(b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    connection.close()
    _until(lambda: len(world.threads()) == 1)
    with world.session() as session:
        assert session.get(f"https://{HOST}/Describe").ok


def test_a_connection_reset_before_the_handshake_is_closed(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    descriptor = accepted.fileno()
    with pytest.raises(OSError, match=r"Errno"):
        world.authority.context(HOST).wrap_socket(
            accepted, server_side=True, do_handshake_on_connect=False
        )
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_stop_closes_idle_connections(world: World) -> None:
    with contextlib.closing(world.connect()) as connection:
        connection.request("GET", "/")
        connection.getresponse().read()
        started = time.monotonic()
        world.proxy.stop()
        assert time.monotonic() - started < 2
        assert connection.sock is not None
        with contextlib.suppress(OSError):
            assert connection.sock.recv(100) == b""


def test_a_warm_request_costs_under_two_milliseconds(world: World) -> None:
    with contextlib.closing(world.connect()) as connection:
        took = []
        for _ in range(200):
            started = time.perf_counter()
            connection.request("GET", "/Describe")
            connection.getresponse().read()
            took.append(time.perf_counter() - started)
    # the quickest tenth: a busy machine says nothing about the proxy
    assert sorted(took)[20] < 0.002


@pytest.mark.client
def test_curl(world: World) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    command = [curl, "--silent", "--show-error", "--fail", "--proxy", world.proxies["https"]]
    command += ["--cacert", str(world.authority.file)]
    # a body this large makes curl ask for "100 Continue" first
    done = subprocess.run(
        [*command, "--data-binary", "@-", f"https://{HOST}/Put"],
        input=b"x" * 2_000_000,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert json.loads(done.stdout)["length"] == "2000000"
    refused = subprocess.run(
        [*command, "https://example.com/"], capture_output=True, check=False, timeout=30
    )
    assert refused.returncode != 0
    assert b"403" in refused.stderr


@pytest.mark.client
def test_a_go_client_accepts_the_certificate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    monkeypatch.setenv("HTTPS_PROXY", world.proxies["https"])
    command = [kubectl, f"--server=https://{HOST}", "--token=x", "get", "--raw", "/version"]
    command.append(f"--certificate-authority={world.authority.file}")
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout)["host"] == HOST


@pytest.mark.client
def test_openssl_finds_nothing_to_complain_of(world: World, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    with contextlib.closing(world.connect()) as connection:
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        leaf = connection.sock.getpeercert(binary_form=True)
    assert leaf is not None
    file = tmp_path / "leaf.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(leaf))
    command = [openssl, "verify", "-x509_strict", "-purpose", "sslserver"]
    command += ["-verify_hostname", HOST, "-CAfile", str(world.authority.file), str(file)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_key_of_the_authority_is_nowhere_on_disk(world: World, tmp_path: Path) -> None:
    with world.session() as session:
        session.get(f"https://{HOST}/")
    assert [file.name for file in tmp_path.iterdir()] == ["ca.pem"]
    assert "PRIVATE" not in world.authority.file.read_text()
    assert world.authority.file.read_text().count("BEGIN CERTIFICATE") == 1
