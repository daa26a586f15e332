"""Where a build's files come from (kaniko, pkg/buildcontext)."""

from __future__ import annotations

import gzip
import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

from clusterkit_sandbox.kaniko import ecr, google
from clusterkit_sandbox.kaniko.container import Container, NetworkFailure
from clusterkit_sandbox.kaniko.failure import UsageFailure
from clusterkit_sandbox.kaniko.flags import Flags

_FOLDER = "/kaniko/buildcontext"
_PREFIXES = ("gs://", "dir://", "tar://", "s3://", "git://", "https://")
_BLOB = re.compile(
    r"https://[a-z0-9]+\.blob\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)/"
)


def resolve(container: Container, flags: Flags) -> str:
    """Have the files below a folder of the container, and return it; ``UsageFailure``."""
    wanted = flags.text("context", "/workspace/")
    bucket = flags.text("bucket")
    if bucket:
        wanted = bucket if "://" in bucket else f"gs://{bucket}"
    if not wanted:
        raise _unresolved(
            "please specify a path to the build context with the --context flag or a bucket with"
            " the --bucket flag"
        )
    if "://" not in wanted:
        return _folder(container, wanted, flags)
    if not wanted.startswith(_PREFIXES):
        raise _unresolved(
            "unknown build context prefix provided, please use one of the following: gs://,"
            " dir://, tar://, s3://, git://, https://"
        )
    kind, _, rest = wanted.partition("://")
    try:
        match kind:
            case "dir":
                return _folder(container, rest, flags)
            case "tar" if rest == "stdin":
                _unpack(container, _inflated(_stdin(container)))
            case "tar":
                _unpack(container, _archive(_file(container, rest)))
            case "gs":
                _unpack(container, _archive(_from_google(container, rest)))
            case "s3":
                _unpack(container, _archive(_from_amazon(container, rest)))
            case "git":
                _from_git(container, rest)
            case _:
                _unpack(container, _archive(_from_web(container, wanted)))
    except NetworkFailure as error:
        raise _unresolved(str(error)) from None
    except (OSError, EOFError, tarfile.TarError, zlib.error, LookupError) as error:
        raise _unresolved(str(error.args[-1] if error.args else error)) from None
    return posixpath.join(_FOLDER, flags.text("context-sub-path"))


def _unresolved(why: str) -> UsageFailure:
    return UsageFailure(f"error resolving source context: {why}")


def _folder(container: Container, path: str, flags: Flags) -> str:
    full = posixpath.normpath(posixpath.join("/", path, flags.text("context-sub-path")))
    if not container.has_folder(full):
        raise _unresolved(f"stat {full}: no such file or directory")
    return full


def _file(container: Container, path: str) -> bytes:
    full = posixpath.normpath(posixpath.join("/", path))
    if full not in container.files:
        raise FileNotFoundError(f"open {full}: no such file or directory")
    return container.files[full]


def _stdin(container: Container) -> bytes:
    """What was sent, to its end; Go's gzip reader says EOF for nothing at all."""
    data = container.stdin.read() if container.stdin is not None else b""
    if not data:
        raise EOFError("EOF")
    return data


def _inflated(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        raise EOFError("gzip: invalid header")
    try:
        return gzip.decompress(data)
    except EOFError:
        raise EOFError("unexpected EOF") from None


def _archive(data: bytes) -> bytes:
    """A tar archive, compressed or not (pkg/util/tar_util.go)."""
    return _inflated(data) if data[:2] == b"\x1f\x8b" else data


def _unpack(container: Container, archive: bytes) -> None:
    """Put regular files where they belong; links count as what they name."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for path, data in _members(tar):
            full = posixpath.normpath(posixpath.join(_FOLDER, path))
            if not full.startswith(f"{_FOLDER}/"):
                raise tarfile.TarError(f"tar file contains an invalid path: {path}")
            container.files[full] = data
    container.folders = (*container.folders, _FOLDER)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        try:
            file = tar.extractfile(member)
        except KeyError:
            continue  # a link to something outside
        if file is not None:
            yield member.name.lstrip("/"), file.read()


# -- other places ----------------------------------------------------------------------------------


def _get(container: Container, url: str, headers: dict[str, str] | None = None) -> bytes:
    try:
        answer = container.request("GET", url, headers)
    except NetworkFailure as error:
        raise NetworkFailure(f'Get "{url}": {error}') from None
    if answer.status != 200:
        raise OSError(f"HTTPSTar bad status from server: {answer.status}")
    return answer.body


def _from_web(container: Container, url: str) -> bytes:
    if _BLOB.match(url) and not container.environment.get("AZURE_STORAGE_ACCESS_KEY"):
        raise OSError("AZURE_STORAGE_ACCESS_KEY environment variable not set")
    return _get(container, url)


def _from_git(container: Container, rest: str) -> None:
    """A clone begins with the list of references (Git documentation, http-protocol)."""
    host = rest.partition("#")[0]
    query = urlencode({"service": "git-upload-pack"})
    _get(container, f"https://{host}/info/refs?{query}")
    raise OSError("authentication required")


def _from_google(container: Container, rest: str) -> bytes:
    bucket, _, name = rest.partition("/")
    _, token = google.login(container, "")
    where = f"https://storage.googleapis.com/{bucket}/{name or 'context.tar.gz'}"
    return _get(container, where, {"Authorization": f"Bearer {token}"})


def _from_amazon(container: Container, rest: str) -> bytes:
    import botocore.exceptions

    bucket, _, name = rest.partition("/")
    region = container.environment.get("AWS_REGION", "us-east-1")
    host = urlsplit(f"https://s3.{region}.amazonaws.com").netloc
    try:
        client = ecr.aws(container, "s3", region, ecr.keys_of(container, region))
        body: bytes = client.get_object(Bucket=bucket, Key=name or "context.tar.gz")["Body"].read()
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise OSError(f"{host}: {error}") from None
    return body
