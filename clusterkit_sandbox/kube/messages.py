"""The protobuf messages that kubectl's typed commands send: field numbers, names and types.

Numbers are those of the ``generated.proto`` files of k8s.io/api and k8s.io/apimachinery; they never
change. One line per message: ``number name:type``, type ``string`` if left out. ``*`` marks a
repeated field, ``%`` a map from strings, ``=`` one whose fields stand in the outer JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass

_TABLE = """
OwnerReference: 1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller:bool, 7 blockOwnerDeletion:bool
ObjectMeta: 1 name, 2 generateName, 3 namespace, 5 uid, 6 resourceVersion, 7 generation:int
ObjectMeta: 8 creationTimestamp:time, 9 deletionTimestamp:time, 11 labels%, 12 annotations%
ObjectMeta: 13 ownerReferences*:OwnerReference, 14 finalizers*
LocalObjectReference: 1 name
ObjectReference: 1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath
LabelSelector: 1 matchLabels%, 2 matchExpressions*:LabelSelectorRequirement
LabelSelectorRequirement: 1 key, 2 operator, 3 values*
Namespace: 1 metadata:ObjectMeta, 2 spec:NamespaceSpec
NamespaceSpec: 1 finalizers*
ServiceAccount: 1 metadata:ObjectMeta, 2 secrets*:ObjectReference
ServiceAccount: 3 imagePullSecrets*:LocalObjectReference, 4 automountServiceAccountToken:bool
Secret: 1 metadata:ObjectMeta, 2 data%:bytes, 3 type, 4 stringData%, 5 immutable:bool
ConfigMap: 1 metadata:ObjectMeta, 2 data%, 3 binaryData%:bytes, 4 immutable:bool
PolicyRule: 1 verbs*, 2 apiGroups*, 3 resources*, 4 resourceNames*, 5 nonResourceURLs*
Subject: 1 kind, 2 apiGroup, 3 name, 4 namespace
RoleRef: 1 apiGroup, 2 kind, 3 name
Role: 1 metadata:ObjectMeta, 2 rules*:PolicyRule
AggregationRule: 1 clusterRoleSelectors*:LabelSelector
ClusterRole: 1 metadata:ObjectMeta, 2 rules*:PolicyRule, 3 aggregationRule:AggregationRule
RoleBinding: 1 metadata:ObjectMeta, 2 subjects*:Subject, 3 roleRef:RoleRef
ClusterRoleBinding: 1 metadata:ObjectMeta, 2 subjects*:Subject, 3 roleRef:RoleRef
BoundObjectReference: 1 kind, 2 apiVersion, 3 name, 4 uid
TokenRequest: 1 metadata:ObjectMeta, 2 spec:TokenRequestSpec
TokenRequestSpec: 1 audiences*, 3 boundObjectRef:BoundObjectReference, 4 expirationSeconds:int
TokenReview: 1 metadata:ObjectMeta, 2 spec:TokenReviewSpec
TokenReviewSpec: 1 token, 2 audiences*
ResourceAttributes: 1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name
NonResourceAttributes: 1 path, 2 verb
SelfSubjectAccessReview: 1 metadata:ObjectMeta, 2 spec:SelfSubjectAccessReviewSpec
SelfSubjectAccessReviewSpec: 1 resourceAttributes:ResourceAttributes
SelfSubjectAccessReviewSpec: 2 nonResourceAttributes:NonResourceAttributes
SubjectAccessReview: 1 metadata:ObjectMeta, 2 spec:SubjectAccessReviewSpec
LocalSubjectAccessReview: 1 metadata:ObjectMeta, 2 spec:SubjectAccessReviewSpec
SubjectAccessReviewSpec: 1 resourceAttributes:ResourceAttributes
SubjectAccessReviewSpec: 2 nonResourceAttributes:NonResourceAttributes, 3 user, 4 groups*, 6 uid
SelfSubjectRulesReview: 1 metadata:ObjectMeta, 2 spec:SelfSubjectRulesReviewSpec
SelfSubjectRulesReviewSpec: 1 namespace
SelfSubjectReview: 1 metadata:ObjectMeta
ObjectFieldSelector: 1 apiVersion, 2 fieldPath
ConfigMapKeySelector: 1 localObjectReference=:LocalObjectReference, 2 key, 3 optional:bool
SecretKeySelector: 1 localObjectReference=:LocalObjectReference, 2 key, 3 optional:bool
EnvVarSource: 1 fieldRef:ObjectFieldSelector, 3 configMapKeyRef:ConfigMapKeySelector
EnvVarSource: 4 secretKeyRef:SecretKeySelector
EnvVar: 1 name, 2 value, 3 valueFrom:EnvVarSource
ContainerPort: 1 name, 2 hostPort:int, 3 containerPort:int, 4 protocol, 5 hostIP
VolumeMount: 1 name, 2 readOnly:bool, 3 mountPath, 4 subPath
ResourceRequirements: 1 limits%:quantity, 2 requests%:quantity
Container: 1 name, 2 image, 3 command*, 4 args*, 5 workingDir, 6 ports*:ContainerPort
Container: 7 env*:EnvVar, 8 resources:ResourceRequirements, 9 volumeMounts*:VolumeMount
Container: 13 terminationMessagePath, 14 imagePullPolicy, 16 stdin:bool, 17 stdinOnce:bool
Container: 18 tty:bool, 20 terminationMessagePolicy
PodSpec: 2 containers*:Container, 3 restartPolicy, 4 terminationGracePeriodSeconds:int
PodSpec: 6 dnsPolicy, 7 nodeSelector%, 8 serviceAccountName, 10 nodeName
PodSpec: 15 imagePullSecrets*:LocalObjectReference, 19 schedulerName, 24 priorityClassName
PodTemplateSpec: 1 metadata:ObjectMeta, 2 spec:PodSpec
DeploymentStrategy: 1 type
Deployment: 1 metadata:ObjectMeta, 2 spec:DeploymentSpec
DeploymentSpec: 1 replicas:int, 2 selector:LabelSelector, 3 template:PodTemplateSpec
DeploymentSpec: 4 strategy:DeploymentStrategy, 5 minReadySeconds:int, 6 revisionHistoryLimit:int
Job: 1 metadata:ObjectMeta, 2 spec:JobSpec
JobSpec: 1 parallelism:int, 2 completions:int, 3 activeDeadlineSeconds:int, 4 selector:LabelSelector
JobSpec: 5 manualSelector:bool, 6 template:PodTemplateSpec, 7 backoffLimit:int
JobSpec: 8 ttlSecondsAfterFinished:int, 9 completionMode, 10 suspend:bool
JobTemplateSpec: 1 metadata:ObjectMeta, 2 spec:JobSpec
CronJob: 1 metadata:ObjectMeta, 2 spec:CronJobSpec
CronJobSpec: 1 schedule, 2 startingDeadlineSeconds:int, 3 concurrencyPolicy, 4 suspend:bool
CronJobSpec: 5 jobTemplate:JobTemplateSpec, 6 successfulJobsHistoryLimit:int
CronJobSpec: 7 failedJobsHistoryLimit:int, 8 timeZone
ServicePort: 1 name, 2 protocol, 3 port:int, 4 targetPort:intorstring, 5 nodePort:int
Service: 1 metadata:ObjectMeta, 2 spec:ServiceSpec
ServiceSpec: 1 ports*:ServicePort, 2 selector%, 3 clusterIP, 4 type, 5 externalIPs*
ServiceSpec: 7 sessionAffinity, 8 loadBalancerIP, 9 loadBalancerSourceRanges*, 10 externalName
ScopedResourceSelectorRequirement: 1 scopeName, 2 operator, 3 values*
ScopeSelector: 1 matchExpressions*:ScopedResourceSelectorRequirement
ResourceQuota: 1 metadata:ObjectMeta, 2 spec:ResourceQuotaSpec
ResourceQuotaSpec: 1 hard%:quantity, 2 scopes*, 3 scopeSelector:ScopeSelector
PriorityClass: 1 metadata:ObjectMeta, 2 value:int, 3 globalDefault:bool, 4 description
PriorityClass: 5 preemptionPolicy
PodDisruptionBudget: 1 metadata:ObjectMeta, 2 spec:PodDisruptionBudgetSpec
PodDisruptionBudgetSpec: 1 minAvailable:intorstring, 2 selector:LabelSelector
PodDisruptionBudgetSpec: 3 maxUnavailable:intorstring, 4 unhealthyPodEvictionPolicy
Preconditions: 1 uid, 2 resourceVersion
DeleteOptions: 1 gracePeriodSeconds:int, 2 preconditions:Preconditions, 3 orphanDependents:bool
DeleteOptions: 4 propagationPolicy, 5 dryRun*
Eviction: 1 metadata:ObjectMeta, 2 deleteOptions:DeleteOptions
Binding: 1 metadata:ObjectMeta, 2 target:ObjectReference
ServiceBackendPort: 1 name, 2 number:int
IngressServiceBackend: 1 name, 2 port:ServiceBackendPort
TypedLocalObjectReference: 1 apiGroup, 2 kind, 3 name
IngressBackend: 3 resource:TypedLocalObjectReference, 4 service:IngressServiceBackend
IngressTLS: 1 hosts*, 2 secretName
HTTPIngressPath: 1 path, 2 backend:IngressBackend, 3 pathType
HTTPIngressRuleValue: 1 paths*:HTTPIngressPath
IngressRuleValue: 1 http:HTTPIngressRuleValue
IngressRule: 1 host, 2 ingressRuleValue=:IngressRuleValue
Ingress: 1 metadata:ObjectMeta, 2 spec:IngressSpec
IngressSpec: 1 defaultBackend:IngressBackend, 2 tls*:IngressTLS, 3 rules*:IngressRule
IngressSpec: 4 ingressClassName
CrossVersionObjectReference: 1 kind, 2 name, 3 apiVersion
MetricTarget: 1 type, 2 value:quantity, 3 averageValue:quantity, 4 averageUtilization:int
ResourceMetricSource: 1 name, 2 target:MetricTarget
MetricSpec: 1 type, 4 resource:ResourceMetricSource
HorizontalPodAutoscaler: 1 metadata:ObjectMeta, 2 spec:HorizontalPodAutoscalerSpec
HorizontalPodAutoscalerSpec: 1 scaleTargetRef:CrossVersionObjectReference, 2 minReplicas:int
HorizontalPodAutoscalerSpec: 3 maxReplicas:int, 4 metrics*:MetricSpec
"""


@dataclass(frozen=True)
class Field:
    """One field of a message."""

    name: str
    type: str
    repeated: bool
    map: bool
    inline: bool


def _parse() -> dict[str, dict[int, Field]]:
    found: dict[str, dict[int, Field]] = {}
    for line in _TABLE.strip().splitlines():
        message, _, fields = line.partition(": ")
        for text in fields.split(", "):
            number, _, rest = text.partition(" ")
            name, _, kind = rest.partition(":")
            found.setdefault(message, {})[int(number)] = Field(
                name.rstrip("*%="),
                kind or "string",
                name.endswith("*"),
                name.endswith("%"),
                name.endswith("="),
            )
    return found


MESSAGES = _parse()
"""Message to field number to field."""
