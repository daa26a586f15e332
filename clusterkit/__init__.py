"""One declarative YAML profile in, one working Kubernetes cluster out."""

__version__ = "0.1.0"
