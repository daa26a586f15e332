#!/bin/sh
# The main story on the sandbox: build a cluster, an image in it, check it, destroy it without a trace.
# Everything of the demo lives in a folder of its own; the user's kubeconfig and sandbox are not touched.
set -eu
here=$(mktemp -d "${TMPDIR:-/tmp}/clusterkit-demo.XXXXXX")
export CLUSTERKIT_SANDBOX_DIR="$here/sandbox" XDG_STATE_HOME="$here/state"
export KUBECONFIG="$here/kubeconfig"
trap 'clusterkit sandbox stop >/dev/null 2>&1 || true; rm -rf "$here"' EXIT INT TERM

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run clusterkit sandbox start
run cat profiles/demo.yaml
run clusterkit up profiles/demo.yaml --sandbox --yes
if command -v kubectl >/dev/null 2>&1; then
    run kubectl get nodes
    run kubectl get storageclass
else
    printf '\n(kubectl is not installed; with it: kubectl get nodes)\n'
    run clusterkit status profiles/demo.yaml --sandbox
fi
run clusterkit up profiles/demo.yaml --sandbox --yes
run clusterkit kaniko build profiles/app profiles/demo.yaml --destination app:1.0 --sandbox
run clusterkit verify profiles/demo.yaml --probe --sandbox
run clusterkit destroy profiles/demo.yaml --sandbox --yes
run clusterkit sandbox stop
