"""The life of one cluster on a real account, from nothing to nothing, and a report of it.

``make real CLOUD=eks PROFILE=profile.yaml`` says what will be bought, asks for the cluster's name,
creates the cluster, uses it, changes its tags and back, and always destroys it. The report holds no
secret and no account number; attach it to an issue (docs/first-real-run.md).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import yaml

from clusterkit import __version__
from clusterkit.cluster import Cluster, Plan
from clusterkit.engine.exchange import redacted
from clusterkit.errors import ClusterkitError
from clusterkit.kube.api import KubeApi
from clusterkit.profile.model import BaseProfile

ROOT = Path(__file__).parent.parent
DESTROYS = 3
"""tries; each continues where the one before stopped"""
LAST_LINES = 60
"""of what a failed step printed, in the report"""
PRICED = {
    "cluster": "control plane: by the hour",
    "nat-gateway": "NAT gateway: by the hour, and by the data through it",
    "elastic-ip": "public IPv4 address: by the hour",
    "public-ip": "public IP address: by the hour",
    "registry": "container registry: by the day, and by the data stored",
    "eip": "public IP address: by the hour and by the data through it",
    "repository": "image repository: by the data stored",
    "router": "NAT gateway (Cloud NAT): by the hour and machine, and by the data through it",
    "log-group": "logs of the control plane: by the data taken in and stored",
}
"""what is billed besides machines and disks, by the kinds of the plan; prices are the vendor's"""
LEFT: Mapping[str, Sequence[str]] = {
    "eks": (
        "aws resourcegroupstaggingapi get-resources --region {region}"
        " --tag-filters Key=clusterkit-cluster,Values={name}",
        "aws iam list-roles --path-prefix /clusterkit/{region}/{name}/",
    ),
    "alibaba": (
        "aliyun tag ListTagResources --RegionId {region}"
        ' --Tags \'{{"clusterkit-cluster":"{name}"}}\'',
        "aliyun ram ListRoles",
    ),
    "gke": (
        "gcloud container clusters list --filter=resourceLabels.clusterkit-cluster={name}",
        "gcloud artifacts repositories list --location={region}"
        " --filter=labels.clusterkit-cluster={name}",
        "gcloud compute networks list --filter=description:clusterkit",
        "gcloud compute disks list --filter=labels.clusterkit-cluster={name}",
        "gcloud iam service-accounts list --filter=description:clusterkit",
    ),
    "aks": (
        "az resource list --tag clusterkit-cluster={name} --output table",
        "az group list --tag clusterkit-cluster={name} --output table",
    ),
}
"""the vendor's own commands that list what carries the tags, to be sure"""


@dataclass
class Done:
    """One step and how it ended."""

    what: str
    command: str
    expected: int
    code: int
    seconds: float
    printed: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether it ended as expected."""
        return self.code == self.expected


@dataclass
class Run:
    """A run: where its files are, and what was done."""

    profile: BaseProfile
    file: Path
    folder: Path
    account: str
    cloud_profile: str | None
    bought: list[str]
    done: list[Done] = field(default_factory=list)
    left: str = "not looked at"

    @property
    def environ(self) -> dict[str, str]:
        """A kubeconfig of its own: the user's is not touched."""
        return {**os.environ, "KUBECONFIG": str(self.folder / "kubeconfig"), "NO_COLOR": "1"}

    def clusterkit(
        self, what: str, verb: str, *words: str, profile: Path | None = None, expected: int = 0
    ) -> Done:
        """A command on the cluster, with a trace of its own."""
        command = [sys.executable, "-m", "clusterkit", verb, str(profile or self.file), *words]
        command += ["--cloud-profile", self.cloud_profile] if self.cloud_profile else []
        trace = self.folder / f"{len(self.done) + 1:02}-{verb}.jsonl"
        return self.run(what, [*command, "--trace", str(trace)], expected)

    def run(self, what: str, command: Sequence[str], expected: int = 0) -> Done:
        """Run a program, showing what it prints; Ctrl-C ends it gently and is passed on."""
        say(f"\n== {what}")
        started, printed, interrupted = time.monotonic(), list[str](), False
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a Ctrl-C comes here, and from here to it
        ) as child:
            assert child.stdout is not None
            while True:
                try:
                    for line in child.stdout:
                        say(line.rstrip())
                        printed.append(line.rstrip())
                    child.wait()
                    break
                except KeyboardInterrupt:
                    interrupted = True
                    child.send_signal(signal.SIGINT)
        return self.note(
            what, " ".join(command), expected, child.returncode, started, printed, interrupted
        )

    def call(self, what: str, function: Callable[[], str]) -> Done:
        """The same for a function; an error is exit code 1."""
        say(f"\n== {what}")
        started = time.monotonic()
        try:
            printed, code = [function()], 0
        except ClusterkitError as error:
            printed, code = [f"error: {error}"], 1
        say(printed[0])
        return self.note(what, what, 0, code, started, printed)

    def note(
        self,
        what: str,
        command: str,
        expected: int,
        code: int,
        started: float,
        printed: list[str],
        interrupted: bool = False,
    ) -> Done:
        """Remember a step; ``KeyboardInterrupt`` if it was interrupted."""
        done = Done(what, command, expected, code, time.monotonic() - started, printed)
        self.done.append(done)
        if not done.ok:
            say(f"== {what}: exit code {code}, expected {expected}")
        if interrupted:
            raise KeyboardInterrupt
        return done


def say(text: str) -> None:
    """To the terminal at once; one that is closed keeps nobody from destroying the cluster."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def items(profile: BaseProfile, plan: Plan) -> Iterator[str]:
    """What the plan will buy."""
    chosen: Mapping[str, Any] = getattr(plan.facts, "pools", {})
    for pool in profile.pools:
        types = chosen.get(pool.name, ())
        first = getattr(types, "name", "") or next((each.name for each in types), "")
        count = (
            f"{pool.minimum}"
            if pool.minimum == pool.maximum
            else (f"{pool.minimum} to {pool.maximum}")
        )
        yield f"{count} machines {first} (pool {pool.name}): by the second or hour"
        yield f"{count} system disks of {pool.disk.size} GiB (pool {pool.name}): by size and time"
    kinds = Counter(step.kind.kind for step in plan.todo if step.op == "create")
    for kind, words in PRICED.items():
        if kinds[kind]:
            yield f"{kinds[kind]} x {words}"
    if profile.endpoint.public and profile.cloud == "alibaba":
        yield "1 x load balancer and public IP address of the endpoint: by the hour and by traffic"


def tagged(profile: Path, folder: Path, value: str) -> Path:
    """A copy of the profile with one more tag, which can be changed without harm."""
    data = yaml.safe_load(profile.read_text())
    if "ssh_key" in data:
        data["ssh_key"] = str((profile.parent / Path(data["ssh_key"]).expanduser()).resolve())
    data["tags"] = {**data.get("tags", {}), "first-real-run": value}
    copy = folder / f"{value}.yaml"
    copy.write_text(yaml.safe_dump(data, sort_keys=False))
    return copy


def live(run: Run, cluster: Cluster) -> None:
    """From nothing to a cluster in use; stops at the first step that ends otherwise."""
    kubectl = shutil.which("kubectl")

    def nodes() -> str:
        found = KubeApi(cluster.access).list("/api/v1/nodes")
        return f"{len(found)} nodes: " + ", ".join(node["metadata"]["name"] for node in found)

    other = tagged(run.file, run.folder, "after")
    steps: list[Callable[[], Done]] = [
        lambda: run.clusterkit("create the cluster", "up", "--yes"),
        lambda: run.clusterkit("nothing is left to do", "plan"),
        lambda: run.clusterkit("what exists", "status"),
        lambda: run.clusterkit("the kubeconfig again", "kubeconfig"),
        lambda: run.call("nodes, by the API", nodes),
        lambda: run.clusterkit("a tag changed", "up", "--yes", profile=other),
        lambda: run.clusterkit("nothing is left to do", "plan", profile=other),
        lambda: run.clusterkit("the tag changed back", "up", "--yes"),
        lambda: run.clusterkit("nothing is left to do", "plan"),
    ]
    if kubectl:
        steps.insert(
            4, lambda: run.run("nodes, by kubectl", [kubectl, "get", "nodes", "-o", "wide"])
        )
    for step in steps:
        if not step().ok:
            return


def end(run: Run) -> None:
    """Destroy the cluster, whatever happened; only a second Ctrl-C within a try gives up."""
    for attempt in range(1, DESTROYS + 1):
        try:
            if run.clusterkit(f"destroy, try {attempt}", "destroy", "--yes").ok:
                break
        except KeyboardInterrupt:
            say("== interrupted while destroying: it goes on in 5 s; Ctrl-C again gives up")
            try:
                time.sleep(5)
            except KeyboardInterrupt:
                say(f"== given up; what exists costs money until you run: {again(run)}")
                break
    try:
        plan = Cluster.from_profile(run.file, cloud_profile=run.cloud_profile).plan_destroy()
    except ClusterkitError as error:
        run.left = f"unknown: {error}"
        return
    left = [step.key for step in plan.todo]
    left += [f"{kept.key} (kept: {kept.reason})" for kept in (*plan.kept, *plan.blocked)]
    left += [f"unknown: {finding}" for finding in plan.warnings]
    run.left = ", ".join(left) or "nothing"


def again(run: Run) -> str:
    """The command that destroys what is left."""
    named = run.profile
    more = f" --cloud-profile {run.cloud_profile}" if run.cloud_profile else ""
    where = f"--cloud {named.cloud} --region {named.region} --name {named.name}"
    return f"clusterkit destroy {where}{more}"


def calls(folder: Path) -> tuple[Counter[str], list[dict[str, Any]]]:
    """How often each operation was called, and the refused calls, of all traces."""
    count, refused, asked = Counter[str](), list[dict[str, Any]](), dict[tuple[str, int], Any]()
    for trace in sorted(folder.glob("*.jsonl")):
        for text in trace.read_text().splitlines():
            line = json.loads(text)
            key = (trace.name, line["number"])
            if line["what"] == "request":
                asked[key] = line
                continue
            count[f"{line['service']}.{line['operation']}"] += 1
            if line.get("error"):
                refused.append({**line, "request": asked.get(key, {}).get("body")})
    return count, refused


def report(run: Run) -> str:
    """The report: Markdown, without secrets, the account's number and names of people."""
    profile = run.profile
    lines = [
        f"# A first run of clusterkit {__version__} on {profile.cloud}",
        "",
        f"- region {profile.region}, cluster {profile.name}",
        f"- ended {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Python {platform.python_version()}, {platform.platform()}",
        f"- left by tag: {run.left}",
        "",
        "## What was bought",
        "",
        *(f"- {item}" for item in run.bought),
        "",
        "## Steps",
        "",
        "| step | exit code | expected | seconds |",
        "|---|---|---|---|",
        *(f"| {d.what} | {d.code} | {d.expected} | {d.seconds:.0f} |" for d in run.done),
    ]
    for done in run.done:
        if not done.ok or done.what.startswith(("create", "destroy")):
            lines += ["", f"## Printed by: {done.what}", "", "```"]
            lines += [*done.printed[-LAST_LINES:], "```"]
    count, refused = calls(run.folder)
    lines += ["", "## Calls", "", "| operation | calls |", "|---|---|"]
    lines += [f"| {name} | {number} |" for name, number in sorted(count.items())]
    lines += ["", "## Refused calls", "", "```"]
    lines += [json.dumps(each) for each in refused] or ["none"]
    lines += ["```", "", "## The profile", "", "```yaml", run.file.read_text().rstrip(), "```", ""]
    return anonymous("\n".join(lines), run.account)


def anonymous(text: str, account: str) -> str:
    """The text without secrets, the account's number, the user's home and names in ARNs."""
    text = str(redacted(text)).replace(account, "[account]").replace(str(Path.home()), "~")
    return re.sub(r"((?:arn|acs):[^\s\"']*:(?:user|assumed-role)/)[^\s\"',}]+", r"\1[name]", text)


@contextmanager
def signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the run as Ctrl-C does: by destroying."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    yield


def agreed(name: str, confirm: str | None) -> bool:
    """Whether the user means it."""
    if confirm is None:
        say(f"\nType the cluster's name ({name}) to create it, use it and destroy it:")
        confirm = sys.stdin.readline().strip()
    return confirm == name


def begin(options: argparse.Namespace) -> Run | None:
    """What will be bought and where; None if the user does not agree."""
    if os.environ.get("CLUSTERKIT_SANDBOX"):
        raise ClusterkitError(
            "CLUSTERKIT_SANDBOX is set", hint="this is for a real account: unset it"
        )
    file = options.profile.resolve()
    cluster = Cluster.from_profile(file, cloud_profile=options.cloud_profile)
    profile = cluster.profile
    assert profile is not None
    if profile.cloud != options.cloud:
        raise ClusterkitError(
            f"is a profile of {profile.cloud}, not {options.cloud}", where=str(file)
        )
    there = cluster.observe()
    if there.things:
        raise ClusterkitError(
            f"{profile.name} exists in {profile.region}, and this run ends by destroying it",
            where=there.things[0].key,
            hint="choose another name for it in the profile",
        )
    plan = cluster.plan()
    bought = list(items(profile, plan))
    say(f"account  {plan.account}\nregion   {profile.region}\ncluster  {profile.name}")
    say("to be bought, at the vendor's prices:")
    for item in bought:
        say(f"  {item}")
    say(f"creating it usually takes {plan.typical / 60:.0f} min, using and destroying it as long")
    if not agreed(profile.name, options.confirm):
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = options.folder.resolve() / f"{profile.cloud}-{profile.name}-{stamp}"
    folder.mkdir(parents=True, mode=0o700)
    copy = tagged(file, folder, "before")
    return Run(profile, copy, folder, plan.account, options.cloud_profile, bought)


def main() -> int:
    """The whole run; 0 if every step ended as expected and nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud", required=True)
    parser.add_argument("--profile", required=True, type=Path)
    parser.add_argument("--cloud-profile", help="named credentials of the vendor's own files")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "real")
    parser.add_argument("--confirm", metavar="NAME", help="the cluster's name, not to be asked")
    options = parser.parse_args()
    try:
        run = begin(options)
    except ClusterkitError as error:
        sys.stderr.write(f"error: {error}\n" + (f"       {error.hint}\n" if error.hint else ""))
        return error.exit_code
    if run is None:
        say("nothing was created")
        return 1
    interrupted = False
    with signals():
        try:
            live(run, Cluster.from_profile(run.file, cloud_profile=run.cloud_profile))
        except KeyboardInterrupt:
            interrupted = True
            say("== interrupted: destroying what there is")
        finally:
            end(run)
            path = run.folder / "report.md"
            path.write_text(report(run))
    cloud, name = run.profile.cloud, run.profile.name
    say(f"\nleft, by tag: {run.left}\nlist it with the vendor's own tool:")
    for command in LEFT.get(cloud, ()):
        say(f"  {command.format(name=name, region=run.profile.region)}")
    if run.left != "nothing":
        say(f"destroy it: {again(run)}")
    say(f"report: {path}")
    return 0 if run.left == "nothing" and all(d.ok for d in run.done) and not interrupted else 1


if __name__ == "__main__":
    sys.exit(main())
