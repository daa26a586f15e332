"""The emulator of Azure: Resource Manager, Entra ID, Kubernetes Service and what a cluster needs of
the other services, as the vendor's SDK describes them.
"""
