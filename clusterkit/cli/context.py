"""The cluster's context in the user's kubeconfig, and the token kubectl asks for."""

from __future__ import annotations
