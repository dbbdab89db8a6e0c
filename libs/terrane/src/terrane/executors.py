"""What executes the steps of a location's runs, which differs between a laptop and a cluster's profiles."""

from __future__ import annotations

import os

import dagster as dg

IN_PROCESS = "in_process"
NAMES = (IN_PROCESS, "k8s_job", "celery_k8s")


def executor_from_env() -> dg.ExecutorDefinition:
    """The executor that `TERRANE_EXECUTOR` names; without a name, the run's own process.

    `k8s_job` is a pod a step, which needs the K8sRunLauncher; `celery_k8s` is a pod a step through queues, which needs
    the CeleryK8sRunLauncher. With Celery, the tag `dagster-celery/queue` of an op or asset names its queue.

    Raises ValueError for any other name.
    """
    name = os.environ.get("TERRANE_EXECUTOR") or IN_PROCESS
    if name == IN_PROCESS:
        return dg.in_process_executor
    if name == "k8s_job":
        from dagster_k8s import k8s_job_executor

        return k8s_job_executor
    if name == "celery_k8s":
        # As it is: its launcher reads the run's own configuration, and nothing that `configured` hides.
        from dagster_celery_k8s import celery_k8s_job_executor

        return celery_k8s_job_executor
    raise ValueError(f"TERRANE_EXECUTOR is {name!r}, which is none of {', '.join(NAMES)}")
