"""AWS, as far as an EKS cluster needs it: moto beneath, an EKS of our own on top."""

from __future__ import annotations

from clusterkit.sandbox.emulator import Emulator, Surroundings


def emulator(surroundings: Surroundings) -> Emulator:
    """The emulator of AWS."""
    from clusterkit.sandbox.eks.aws import AwsEmulator

    return AwsEmulator(surroundings)
