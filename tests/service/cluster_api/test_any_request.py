"""Whatever the OpenAPI document allows, and what it does not: the service never fails, and answers as it is described."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

CHECKS = "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance"
# Streams have no end; what is asked of them is tested elsewhere.
WITHOUT = ["--exclude-path-regex", "/events$"]
SECONDS = 15


async def schemathesis(document: Path, url: str, token: str, *how: str) -> str:
    """Run schemathesis against the service; return what it prints when it finds something, else nothing."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(document), "--url", url]
    command += ["--header", f"Authorization: token {token}", "--checks", CHECKS, *WITHOUT, *how]
    command += ["--max-time", str(SECONDS), "--no-color", "--request-timeout", "20", "--no-shrink"]
    command += ["--generation-database", "none", "--phases", "examples,coverage,fuzzing", "--seed", "1"]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=document.parent,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 4 * SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    return said.decode() if process.returncode else ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("token", ["of-ada", "of-admin"])
async def test_no_request_makes_the_service_fail(service, ada, tmp_path, token):
    # given: the document, and two clusters that may be asked about
    ids = [(await ada.make(workers=1))["id"] for _ in range(2)]
    _, document = await service.get("openapi.json")
    for item in document["paths"].values():
        for parameter in item.get("parameters", ()):
            if parameter["name"] == "cluster_id":
                parameter["schema"] = {"type": "string", "enum": [*ids, "ray-0123456789"]}
    new = document["components"]["schemas"]["NewCluster"]["properties"]
    new["profile"]["enum"], new["server"]["enum"] = ["padova", "cloud"], ["", None]
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    # when, then
    found = await schemathesis(file, f"{service.url}/services/rayster", token, "--exclude-method", "DELETE")
    assert not found


async def test_the_document_is_one_that_machines_read(service, tmp_path):
    _, document = await service.get("openapi.json")
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    found = await schemathesis(file, service.url, "x", "--include-path", "/healthz", "--max-examples", "1")
    assert not found
