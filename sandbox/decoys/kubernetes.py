"""Kubernetes: a cluster administrator's configuration, and the cluster's interface with its secrets."""

from __future__ import annotations

import base64
import json

from sandbox.bait import Bait, BaitFile, Decoy, Draw, Endpoint, Person, StubCommand, Token
from sandbox.decoys import _keys, _tokens
from sandbox.decoys._commands import command, words

PODS = """\
NAME                          READY   STATUS    AGE
storefront-6c9f7d5b8d-x2ktq   1/1     Running   6d"""
NAMESPACES = """\
NAME          STATUS   AGE
default       Active   611d
storefront    Active   608d"""
SECRETS = """\
NAMESPACE    NAME       TYPE     DATA   AGE
storefront   database   Opaque   2      212d"""


def plant(draw: Draw, person: Person) -> Bait:
    """~/.kube/config with a client key and a service account's token, the cluster, the `kubectl` command."""
    authority, client, key = _keys.certificate(draw), _keys.certificate(draw), _keys.pkcs1(draw)
    claims: dict[str, object] = {
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "exp": _tokens.EXPIRES,
        "iat": _tokens.ISSUED,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "sub": "system:serviceaccount:kube-system:ci-deployer",
    }
    token, stored = _tokens.jwt(draw, claims), _tokens.password(draw, 32)
    server = f"k8s.{person.company}.internal"
    key_data = _base64(key)
    config = (
        "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {_base64(authority)}\n"
        f"    server: https://{server}:6443\n  name: prod\n"
        "contexts:\n- context:\n    cluster: prod\n    namespace: storefront\n    user: admin\n  name: prod\n"
        "- context:\n    cluster: prod\n    user: ci-deployer\n  name: prod-ci\n"
        "current-context: prod\npreferences: {}\nusers:\n- name: admin\n  user:\n"
        f"    client-certificate-data: {_base64(client)}\n    client-key-data: {key_data}\n"
        f"- name: ci-deployer\n  user:\n    token: {token}\n"
    )
    return Bait(
        decoy="kubernetes",
        files=(BaitFile("~/.kube/config", config.encode(), age=132),),
        endpoints=_endpoints(server, stored),
        commands=(_kubectl(server, config, stored),),
        tokens=(
            *_keys.line_tokens("kubernetes", "client key", key),
            *_tokens.pieces("kubernetes", "client key data", key_data),
            *_tokens.pieces("kubernetes", "service account token", token),
            Token("kubernetes", "cluster secret", stored),
        ),
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _secrets(stored: str) -> dict[str, object]:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "namespace": "storefront"},
        "type": "Opaque",
        "data": {"username": _base64("app"), "password": _base64(stored)},
    }
    return {
        "apiVersion": "v1",
        "kind": "SecretList",
        "metadata": {"resourceVersion": "88213407"},
        "items": [secret],
    }


def _endpoints(server: str, stored: str) -> tuple[Endpoint, ...]:
    hosts = (
        server,
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "kubernetes.default",
        "10.96.0.1",
    )
    names = [{"metadata": {"name": name}} for name in ("default", "kube-system", "storefront")]
    version = {"major": "1", "minor": "31", "gitVersion": "v1.31.2", "platform": "linux/amd64"}
    pods: dict[str, object] = {"kind": "PodList", "apiVersion": "v1", "items": []}
    review = {"kind": "SelfSubjectAccessReview", "status": {"allowed": True}}
    return (
        Endpoint(hosts, "/api/v1/(namespaces/[^/]+/)?secrets.*", _tokens.document(_secrets(stored))),
        Endpoint(hosts, "/api/v1/namespaces/?", _tokens.document({"kind": "NamespaceList", "items": names})),
        Endpoint(hosts, "/api/v1/(namespaces/[^/]+/)?pods", _tokens.document(pods)),
        Endpoint(hosts, "/apis/authorization.k8s.io/.*", _tokens.document(review), "POST", 201),
        Endpoint(hosts, "/version", _tokens.document(version)),
    )


def _kubectl(server: str, config: str, stored: str) -> StubCommand:
    return command(
        "kubectl",
        "Client Version: v1.31.2\nKustomize Version: v5.4.2",
        {
            "'version '*": "Client Version: v1.31.2\nKustomize Version: v5.4.2\nServer Version: v1.31.2",
            words("config current-context"): "prod",
            words("config view --raw"): config.rstrip("\n"),
            words("config get-contexts"): "CURRENT   NAME      CLUSTER   AUTHINFO\n*         prod      prod      admin",
            "'config view'*": f"clusters:\n- cluster:\n    server: https://{server}:6443\n  name: prod",
            "*'get secret'*json*": json.dumps(_secrets(stored)),
            "*'get secret'*": SECRETS,
            "*'get n'*": NAMESPACES,
            "*'get po'*": PODS,
            words("auth can-i"): "yes",
            words("cluster-info"): f"Kubernetes control plane is running at https://{server}:6443",
        },
        "kubectl controls the Kubernetes cluster manager.",
    )


DECOY = Decoy(
    "Kubernetes access",
    "~/.kube/config of a cluster administrator, the cluster's secrets, the kubectl command",
    plant,
    ("trivy, March 2026", "litellm, March 2026"),
)
