"""The manifests against Kubernetes' own schemas, and against rules of ours: nothing open that no policy names, nothing that has a right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from infra.deploy.bundle import ROOT
from infra.workers.pool import resource_of

FOLDER = ROOT / "infra" / "deploy" / "kubernetes"
VERSION = "1.31"
ZERO = "@sha256:" + "0" * 64
Document = dict[str, Any]


def documents() -> list[Document]:
    return [document for path in sorted(FOLDER.glob("[0-9]*.yaml")) for document in yaml.safe_load_all(path.read_text())]


def pods() -> Iterator[tuple[str, Document]]:
    """Every pod's template, those of a RayCluster too."""
    for document in documents():
        name = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "RayCluster":
            for group in [document["spec"]["headGroupSpec"], *document["spec"]["workerGroupSpecs"]]:
                yield f"{name}/{group.get('groupName', 'head')}", group["template"]
        elif "template" in document.get("spec", {}):
            yield name, document["spec"]["template"]


PODS = dict(pods())


def test_kustomize_takes_in_every_file_and_every_image() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert listed["resources"] == sorted(path.name for path in FOLDER.glob("[0-9]*.yaml"))
    images = {container["image"].partition("@")[0] for pod in PODS.values() for container in pod["spec"]["containers"]}
    assert images == {image["name"] for image in listed["images"]}


@pytest.mark.parametrize("document", documents(), ids=lambda document: f"{document['kind']}-{document['metadata']['name']}")
def test_the_schema_takes_it(document: Document) -> None:
    if document["kind"] != "RayCluster":  # of KubeRay: its pods are looked at below
        kubernetes_validate.validate(document, VERSION, strict=True)
    assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "yunei"


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_right_and_its_image_a_digest(name: str) -> None:
    template = PODS[name]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", **template["metadata"]}, "spec": template["spec"]}
    kubernetes_validate.validate(pod, VERSION, strict=True)
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] >= 64000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"].endswith(ZERO), "a digest, to be given"
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert container["readinessProbe"]
        secrets = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert not [each for each in container.get("env", []) if "secretKeyRef" in each.get("valueFrom", {})], "secrets come as files"
        for volume in spec["volumes"]:
            assert volume.keys() <= {"name", "emptyDir", "secret", "configMap"}, "no path of the machine"
            if "emptyDir" in volume:
                assert volume["emptyDir"]["medium"] == "Memory", "what is written beside the volumes is not on a disk"
            elif volume["name"] in secrets:
                assert secrets[volume["name"]]["readOnly"] is True


def test_the_namespace_is_restricted() -> None:
    (namespace,) = (document for document in documents() if document["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_all_is_closed_and_openings_name_both_ends() -> None:
    policies = {document["metadata"]["name"]: document["spec"] for document in documents() if document["kind"] == "NetworkPolicy"}
    assert policies.pop("closed") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        for direction, end in (("ingress", "from"), ("egress", "to")):
            for opening in policy.get(direction, []):
                assert opening[end], (name, "everybody")
                assert opening["ports"], (name, "every port")
                assert all(peer.get("podSelector") or peer.get("ipBlock") for peer in opening[end]), name


def reachable(component: str, direction: str) -> set[str]:
    """Components (or networks) that pods of `component` may talk to, or hear."""
    labels = {"app.kubernetes.io/component": component}
    if component in ("head", "node"):
        labels["ray.io/cluster"] = "yunei"
    found = set()
    for document in documents():
        if document["kind"] != "NetworkPolicy" or not document["spec"]["podSelector"].get("matchLabels", {}).items() <= labels.items():
            continue
        for opening in document["spec"].get(direction, []):
            for peer in opening["to" if direction == "egress" else "from"]:
                chosen = peer.get("podSelector", {}).get("matchLabels", peer.get("ipBlock"))
                found.add(next(iter(chosen.values())))
    return found


def test_nodes_reach_nothing_but_their_own_kind_the_server_and_the_shards() -> None:
    for component in ("head", "node"):
        assert reachable(component, "egress") == {"kube-dns", "yunei", "server", "shards"}
        assert reachable(component, "ingress") == {"yunei", "server"}
    assert reachable("database", "egress") == {"kube-dns"}
    assert reachable("database", "ingress") == {"server"}
    assert reachable("proxy", "egress") == {"kube-dns", "server"}
    assert reachable("server", "ingress") == {"proxy", "yunei"}


def test_ray_asks_for_a_token_and_speaks_tls() -> None:
    (cluster,) = (document["spec"] for document in documents() if document["kind"] == "RayCluster")
    server, beside = PODS["StatefulSet/server"]["spec"]["containers"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "yunei-ray"}
    env = {each["name"]: each.get("value") for each in server["env"]}
    assert (env["YUNEI_RAY_TOKEN_FILE"], env["YUNEI_RAY_CERTIFICATES_DIR"]) == ("/ray/auth_token", "/ray-tls")
    folder = env["YUNEI_RAY_CERTIFICATES_DIR"]
    tls = {"RAY_USE_TLS": "1", "RAY_TLS_SERVER_CERT": f"{folder}/node.crt", "RAY_TLS_SERVER_KEY": f"{folder}/node.key"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for container in [beside, *(each for group in groups for each in group["template"]["spec"]["containers"])]:
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert tls.items() <= given.items()
        assert given["RAY_TLS_CA_CERT"] == f"{folder}/ca.crt"
        assert container["command"][0] == "/opt/yunei/bin/ray", "the image has no shell"
    assert "--include-dashboard=false" in cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["command"]
    for group in cluster["workerGroupSpecs"]:
        dataset = group["template"]["metadata"]["labels"]["yunei.cn/dataset"]
        assert group["template"]["spec"]["nodeSelector"] == {"yunei.cn/dataset": dataset}
        (resources,) = (word for word in group["template"]["spec"]["containers"][0]["command"] if word.startswith("--resources="))
        assert list(json.loads(resources.removeprefix("--resources="))) == [resource_of(dataset)]


def test_settings_that_it_names_are_settings() -> None:
    from infra.settings import Settings

    for template in PODS.values():
        for container in template["spec"]["containers"]:
            values = {each["name"]: each["value"] for each in container.get("env", []) if each["name"].startswith("YUNEI_")}
            Settings.load(Path("/nonexistent"), values)
            assert container["name"] != "server" or values
