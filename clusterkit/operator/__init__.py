"""The operator: CloudCluster objects of a management cluster, kept as their specs say by the
library (``clusterkit.Cluster``).

Nothing is remembered but in the clouds and in the objects' own status, so that any replica goes on
where another one ended.
"""
