"""From login to JupyterLab inside a batch job, and back, in a browser."""

import re

import pytest

from .conftest import Person, jobs, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PRINT_JOB = "import os; print(os.environ.get('SLURM_JOB_ID'), os.environ.get('SLURM_JOB_PARTITION'))"


def job_of(person: Person, partition: str = "padova") -> str:
    """Return the id of the one job of the partition that is a server."""
    found = person.testbed.slurm("squeue", "-h", "-p", partition, "-o", "%A %j").splitlines()
    servers = [line.split()[0] for line in found if re.search(r" [0-9a-f]{8}-[0-9a-f-]{27}$", line)]
    assert len(servers) == 1, found
    return servers[0]


def has_job(person: Person, partition: str = "padova") -> bool:
    found = person.testbed.slurm("squeue", "-h", "-p", partition, "-o", "%j").split()
    return any(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", name) for name in found)


def test_a_notebook_runs_inside_a_slurm_job(ada):
    ada.choose("Padova SLURM")
    ada.start()
    wait_until(lambda: has_job(ada), "the job is submitted")
    job = job_of(ada)
    ada.wait_for_lab()
    assert ada.run_cell(PRINT_JOB).split() == [job, "padova"]
    ada.stop()
    wait_until(lambda: not jobs(ada.testbed), "squeue is empty")


def test_a_notebook_runs_in_the_cloud_without_a_job(ada):
    ada.choose("Cloud")
    ada.start()
    ada.wait_for_lab()
    assert ada.run_cell(PRINT_JOB).split() == ["None", "None"]
    assert jobs(ada.testbed) == []
    ada.stop()
    wait_until(lambda: not ada.testbed.cluster.pods("rayster"), "the pod is gone")


def test_a_refused_job_shows_slurms_own_words(ada):
    ada.choose("Wrong partition")
    ada.start()
    ada.page.get_by_text("Invalid partition name specified", exact=False).first.wait_for(timeout=60_000)
    assert jobs(ada.testbed) == []


def test_a_queued_server_can_be_cancelled_on_its_page(ada, full_padova):
    ada.choose("Padova SLURM")
    ada.start()
    wait_until(lambda: has_job(ada), "the job is submitted")
    ada.page.get_by_role("button", name="Cancel").click()
    wait_until(lambda: not has_job(ada), "the job is cancelled")
    assert sorted(jobs(ada.testbed)) == sorted(full_padova)
