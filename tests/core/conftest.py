"""Profiles and pods as plain data, made to measure."""

from typing import Any

import pytest

from rayster_spawner.profile_files import validate_profiles
from rayster_spawner.profiles import Profile


def profile_data(**changes: Any) -> dict[str, Any]:
    """Return a SLURM profile that is right, with ``changes``; a value of None removes the field."""
    data: dict[str, Any] = {
        "name": "padova",
        "title": "Padova",
        "site": "padova",
        "scheduler": "slurm",
        "cpu": {"min": 1, "max": 16, "default": 2},
        "memory": {"min": "1Gi", "max": "64Gi", "default": "4Gi"},
        "gpu": {"min": 0, "max": 4, "default": 0, "type": "A100"},
        "walltime": {"min": "10m", "max": "48h", "default": "4h"},
        "images": [
            {"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0", "default": True},
            {"name": "sif", "title": "Sif", "image": "/opt/images/lab.sif"},
        ],
        "slurm": {"partition": "padova", "account": "herd", "gres": "gpu:a100:{n}"},
    }
    data.update(changes)
    return {key: value for key, value in data.items() if value is not None}


def cloud_data(**changes: Any) -> dict[str, Any]:
    """Return a cloud profile that is right, with ``changes``."""
    cloud = {"name": "cloud", "title": "Cloud", "site": "cloud", "scheduler": "none"}
    without = {"slurm": None, "walltime": None, "gpu": None}
    images = [{"name": "lab", "title": "Lab", "image": "rayster/notebook:0.1.0"}]
    return profile_data(**{**cloud, **without, "images": images, **changes})


def make_profile(**changes: Any) -> Profile:
    """Return a SLURM profile with ``changes``."""
    return Profile.model_validate(profile_data(**changes))


def mistakes_of(*profiles: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with these profiles: path to reason."""
    _, mistakes = validate_profiles({"profiles": list(profiles)})
    return {".".join(map(str, mistake.path)): mistake.reason for mistake in mistakes}


@pytest.fixture
def chart_pod():
    """Return a factory of pods as the chart makes them: claim, firewall, service account and all."""

    def make(**notebook: Any) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "jupyter-ada",
                "labels": {"component": "singleuser-server", "hub.jupyter.org/username": "ada"},
                "annotations": {"hub.jupyter.org/username": "Ada"},
            },
            "spec": {
                "restartPolicy": "OnFailure",
                "schedulerName": "user-scheduler",
                "serviceAccountName": "default",
                "automountServiceAccountToken": True,
                "securityContext": {"fsGroup": 100, "runAsUser": 1000},
                "nodeSelector": {"hub.jupyter.org/node-purpose": "user"},
                "affinity": {"nodeAffinity": {}},
                "tolerations": [{"key": "hub.jupyter.org_dedicated", "operator": "Equal", "value": "user"}],
                "initContainers": [
                    {
                        "name": "block-cloud-metadata",
                        "image": "chart",
                        "securityContext": {"privileged": True},
                    }
                ],
                "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-ada"}}],
                "containers": [
                    {
                        "name": "notebook",
                        "image": "base",
                        "args": ["jupyterhub-singleuser"],
                        "workingDir": "/home/jovyan",
                        "ports": [{"name": "notebook-port", "containerPort": 23456}],
                        "env": [
                            {"name": "JUPYTERHUB_SERVICE_URL", "value": "http://0.0.0.0:23456/user/ada/"},
                            {"name": "JUPYTERHUB_API_TOKEN", "value": "secret"},
                        ],
                        "volumeMounts": [{"name": "home", "mountPath": "/home/jovyan"}],
                        **notebook,
                    }
                ],
            },
        }

    return make
