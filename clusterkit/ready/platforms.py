"""Checks of what is installed on top: Jenkins X, and progressive delivery."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from clusterkit.kube.api import Object
from clusterkit.kube.secrets import EXPIRES, expired, text
from clusterkit.ready.checks import UP, Check, Result
from clusterkit.ready.jenkinsx import KEY, NAMESPACE, OPERATOR, REGISTRY_AUTH, REQUIREMENTS
from clusterkit.ready.subject import Subject

API_VERSION, KIND = "core.jenkins-x.io/v4beta1", "Requirements"
"""jenkins-x/jx-api, ``pkg/apis/core/v4beta1/requirements.go``"""
AUTH = f"{NAMESPACE}/{REGISTRY_AUTH}"
AUTH_KEYS = ("url", "username", "password")
"""jenkins-x/jx3-versions, ``charts/jxgh/jxboot-helmfile-resources/secret-schema.yaml``"""
BOOT = f"{OPERATOR}/jx-boot"
_BY_IDENTITY = re.compile(
    r"\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$|(^|\.)gcr\.io$|-docker\.pkg\.dev$|"
    r"\.azurecr\.(io|cn|us)$"
)
"""registries that pods push to by the cloud's identity, so that Jenkins X needs no password"""
_AUTOMATIC = re.compile(r"(^|\.)(nip|xip|sslip)\.io$")
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CANARIES, ROUTES = "canaries.flagger.app", "virtualservices.networking.istio.io"
INJECTION = "istio-injection"
METRICS = 9090


def checks(subject: Subject) -> Iterator[Check]:
    """K13, K14 and K15."""
    yield Check(
        "K13",
        "Jenkins X finds its requirements, repository and registry",
        "static",
        partial(_objects, subject),
        "jenkins-x",
        seen="Error: failed to find hmac token from secret",
        cure="clusterkit up, then clusterkit ready jenkins-x --install",
    )
    yield Check(
        "K14",
        "TLS is asked for with a domain and an address only",
        "static",
        partial(_tls, subject),
        "jenkins-x",
        seen="TLS is not supported with automated domains like",
        cure="ready.jenkins_x.domain and tls_email in the profile, then clusterkit up",
    )
    yield Check(
        "K15",
        "Flagger, Istio and Prometheus are there",
        "static",
        partial(_delivery, subject),
        "progressive-delivery",
        seen="the Canary stays at Progressing",
        cure="add the charts istio, flagger and prometheus to the cluster repository",
    )


def _requirements(subject: Subject) -> Object | str:
    """The file that Jenkins X merges into its own, or what is wrong with it."""
    import yaml

    namespace, name = REQUIREMENTS.split("/")
    found = subject.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    if found is None:
        return "it does not exist"
    data = (found.get("data") or {}).get(KEY)
    if not data:
        return f"it has no {KEY}"
    try:
        whole = yaml.safe_load(data)
    except yaml.YAMLError:
        return f"{KEY} is not YAML"
    if not isinstance(whole, dict) or not isinstance(whole.get("spec"), dict):
        return f"{KEY} has no spec"
    if (whole.get("apiVersion"), whole.get("kind")) != (API_VERSION, KIND):
        return f"{KEY} is not a {KIND} of {API_VERSION}"
    return whole


def _objects(subject: Subject) -> Iterator[Result]:
    where = f"configmap/{REQUIREMENTS}"
    whole = _requirements(subject)
    if isinstance(whole, str):
        yield Result("failed", whole, where)
        return
    wrong = [*_cluster(subject, whole, where)] or [*_told(subject, whole, where)]
    yield from wrong
    if not wrong:
        yield Result("passed", "is there", where)
    yield from _registry(subject, whole)
    yield from _boot(subject)


def _cluster(subject: Subject, whole: Object, where: str) -> Iterator[Result]:
    cluster = whole["spec"].get("cluster")
    cluster = cluster if isinstance(cluster, dict) else {}
    for key in ("provider", "clusterName"):
        if not cluster.get(key):
            yield Result("failed", f"spec.cluster.{key} is missing", where)
    named, profile = cluster.get("clusterName"), subject.profile
    if profile is not None and named and named != profile.name:
        what = f"spec.cluster.clusterName is {named}, and the cluster is called {profile.name}"
        seen = "AccessDenied: the names of Jenkins X's identities come from it"
        yield Result("failed", what, where, seen)


def _told(subject: Subject, whole: Object, where: str) -> Iterator[Result]:
    """What is not as `up` writes it."""
    if subject.requirements is None:
        return
    wanted = dict(_leaves(subject.requirements()["spec"], "spec"))
    have = dict(_leaves(whole["spec"], "spec"))
    for path in sorted(wanted.keys() | have.keys()):
        has, must = have.get(path, "missing"), wanted.get(path, "left out")
        if path not in wanted or has != must:
            yield Result("failed", f"{path} is {has}, and has to be {must}", where, cure=UP)


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _registry(subject: Subject, whole: Object) -> Iterator[Result]:
    """The Secret with the registry's password, where no identity of the cloud's serves."""
    host = str((whole["spec"].get("cluster") or {}).get("registry") or "").partition("/")[0]
    if not host or _BY_IDENTITY.search(host):
        return
    where = f"secret/{AUTH}"
    namespace, name = AUTH.split("/")
    found = subject.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if found is None:
        what = f"{host} needs a password, and this Secret does not exist"
        yield Result("failed", what, where, "unexpected status code 401 Unauthorized")
        return
    annotations = found["metadata"].get("annotations") or {}
    if EXPIRES in annotations and expired(annotations):
        what = f"the password expired at {annotations[EXPIRES]}"
        yield Result("failed", what, where, "UNAUTHORIZED: authentication required", UP)
        return
    lacking = [key for key in AUTH_KEYS if not text(found, key)]
    if lacking:
        what = f"lacks {', '.join(lacking)}"
        yield Result("failed", what, where, "unexpected status code 401 Unauthorized")
    else:
        yield Result("passed", f"has the login for {text(found, 'url')}", where)


def _boot(subject: Subject) -> Iterator[Result]:
    """The operator's Secret: which repository the cluster is run from."""
    where = f"secret/{BOOT}"
    namespace, name = BOOT.split("/")
    found = subject.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if found is None:
        yield Result("skipped", "the git operator is not installed yet", where)
        return
    url, user = text(found, "url"), text(found, "username")
    wanted = subject.profile.ready.jenkins_x if subject.profile else None
    if "@" in user:
        what = f"the user name {user} has an @, which breaks the URL it is put into"
        yield Result("failed", what, where, "could not read Password for")
    elif not urlsplit(url).netloc:
        yield Result("failed", f"its url is not a URL: {url or 'empty'}", where)
    elif wanted and _repository(url) != _repository(wanted.git_url):
        what = f"the operator follows {_shown(url)}, and the profile says {wanted.git_url}"
        yield Result("warned", what, where, "no boot Job runs for a commit")
    elif re.search(r"terraform|infra", _repository(url).rpartition("/")[2]):
        what = f"{_shown(url)} looks like the infrastructure's repository, not the cluster's"
        yield Result("warned", what, where, "make: *** No rule to make target 'apply'")
    else:
        yield Result("passed", f"follows {_shown(url)}", where)


def _repository(url: str) -> str:
    """Host and path, so that two spellings of one repository are equal."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path.removesuffix('.git').rstrip('/')}".lower()


def _shown(url: str) -> str:
    """Without the credentials that it may hold."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _tls(subject: Subject) -> Iterator[Result]:
    whole = _requirements(subject)
    where = f"configmap/{REQUIREMENTS}"
    if isinstance(whole, str):
        yield Result("skipped", f"{whole} (K13)", where)
        return
    ingress = whole["spec"].get("ingress") or {}
    tls: Mapping[str, Any] = ingress.get("tls") or {}
    domain = str(ingress.get("domain") or "")
    if not tls.get("enabled"):
        yield Result("passed", "TLS is not asked for", where)
    elif not domain or _AUTOMATIC.search(domain):
        seen = f"TLS is not supported with automated domains like {domain or 'nip.io'}"
        yield Result("failed", f"TLS is on for {domain or 'no domain'}", where, seen)
    elif not tls.get("email"):
        seen = "acme: error: 400 urn:ietf:params:acme:error:invalidContact"
        yield Result("failed", "Let's Encrypt wants an address, and there is none", where, seen)
    else:
        yield Result("passed", f"TLS for {domain}", where)


def _delivery(subject: Subject) -> Iterator[Result]:
    there = {item["metadata"]["name"] for item in subject.list(_DEFINITIONS)}
    for name, owner in ((CANARIES, "Flagger"), (ROUTES, "Istio")):
        where = f"customresourcedefinition/{name}"
        if name in there:
            yield Result("passed", f"{owner} is there", where)
        else:
            seen = f'no matches for kind in "{name.partition(".")[2]}"'
            yield Result("failed", f"{owner} is not installed", where, seen)
    if any(_injected(item) for item in subject.list("/api/v1/namespaces")):
        yield Result("passed", "a namespace has sidecars", "namespaces")
    else:
        cure = f"kubectl label namespace jx-staging jx-production {INJECTION}=enabled"
        what = f"no namespace has the label {INJECTION}=enabled"
        yield Result("failed", what, "namespaces", "no values found for metric", cure)
    metrics = [
        item
        for item in subject.list("/api/v1/services")
        if "prometheus" in item["metadata"]["name"]
        and any(port.get("port") == METRICS for port in item["spec"].get("ports") or ())
    ]
    if metrics:
        found = metrics[0]["metadata"]
        yield Result("passed", "answers Flagger", f"service/{found['namespace']}/{found['name']}")
    else:
        what = f"no Service of Prometheus has port {METRICS}"
        yield Result("failed", what, "services", "prometheus: no such host")


def _injected(namespace: Object) -> bool:
    labels = namespace["metadata"].get("labels") or {}
    return labels.get(INJECTION) == "enabled" or "istio.io/rev" in labels
