"""The kaniko executor as far as it can be emulated: everything but the Dockerfile.

It reads its flags, its context and its credentials, asks whether it may push, and pushes an image
with one layer, which holds the context. No Dockerfile is executed, and it says so. Sources:
osscontainertools/kaniko v1.28.3 (cmd/executor/cmd/root.go, pkg/executor, pkg/creds,
pkg/buildcontext, pkg/logging) and google/go-containerregistry (pkg/authn, pkg/v1/remote).
"""
