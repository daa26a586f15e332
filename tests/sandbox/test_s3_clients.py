"""The real aws s3 in the sandbox, with nothing but its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_clients import Shell, program, sandbox, shell  # noqa: F401

pytestmark = pytest.mark.client


@pytest.mark.timeout(300)
def test_aws_s3(shell: Shell, sandbox: Sandbox) -> None:  # noqa: F811
    aws = program("aws")
    sent, got = shell.folder / "sent", shell.folder / "got"
    sent.mkdir()
    (sent / "small.log").write_text("done\n")
    (sent / "big.log").write_bytes(b"0123456789abcdef" * (9 << 16))  # over 8 MiB: in parts
    shell.run(aws, "s3", "mb", "s3://logs-demo")
    shell.run(aws, "s3", "cp", "--recursive", str(sent), "s3://logs-demo/jenkins-x/logs")
    listed = shell.run(aws, "s3", "ls", "--recursive", "s3://logs-demo")
    assert [line.split()[2:] for line in listed.splitlines()] == [
        [str(9 << 20), "jenkins-x/logs/big.log"],
        ["5", "jenkins-x/logs/small.log"],
    ]
    shell.run(aws, "s3", "sync", "s3://logs-demo/jenkins-x/logs", str(got))
    assert _bytes(got) == _bytes(sent)
    assert sandbox.requests.count("s3:UploadPart") > 1
    assert shell.run(aws, "s3", "cp", "s3://logs-demo/jenkins-x/logs/small.log", "-") == "done\n"
    shell.run(aws, "s3", "rb", "s3://logs-demo", good=1)
    shell.run(aws, "s3", "rb", "--force", "s3://logs-demo")
    assert shell.run(aws, "s3", "ls") == ""
    shell.run(aws, "--profile", "neighbour", "s3", "mb", "s3://logs-demo")
    shell.run(aws, "s3", "mb", "s3://logs-demo", good=1)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
