"""AWS, as far as an EKS cluster needs it: moto beneath, an EKS of our own on top."""

from __future__ import annotations

from clusterkit_sandbox.emulator import Emulator, Surroundings


def emulator(surroundings: Surroundings) -> Emulator:
    """The emulator of AWS."""
    from clusterkit_sandbox.aws.emulator import AwsEmulator

    return AwsEmulator(surroundings)
