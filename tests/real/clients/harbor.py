"""Drives the API of a Harbor through harborapi, and prints what the client understood as one JSON object.

Arguments: the address of the registry. The password of admin is in FORGE_TOKEN."""

import asyncio
import json
import os
import sys

from harborapi import HarborAsyncClient
from harborapi.exceptions import StatusError
from harborapi.models import ImmutableRule, ImmutableSelector, Label, Tag

URL = f"http://{sys.argv[1]}/api/v2.0/"
OF = ("ops", "team/web")


def harbor(secret):
    return HarborAsyncClient(url=URL, username="admin", secret=secret, retry=None)


async def refused(what):
    """The status of a refusal."""
    try:
        await what
    except StatusError as error:
        return error.status_code
    return None


async def labels(client, told, project, digest):
    made = Label(name="deployed-prod", scope="p", project_id=project.project_id)
    told["made"] = await client.create_label(made)
    told["made_again"] = await refused(client.create_label(made))
    await client.create_label(Label(name="deployed-prod-eu", scope="p", project_id=project.project_id))
    found = await client.get_labels(scope="p", project_id=project.project_id, name="deployed-prod")
    told["labels"] = [[one.name, one.scope] for one in found]
    label = next(one for one in found if one.name == "deployed-prod")
    await client.add_artifact_label(*OF, digest, label)
    told["set_again"] = await refused(client.add_artifact_label(*OF, digest, label))
    artifact = await client.get_artifact(*OF, digest, with_label=True)
    told["labelled"] = [one.name for one in artifact.labels]
    told["found"] = [one.digest == digest for one in await client.get_artifacts(*OF, query=f"labels=({label.id})")]
    await client.delete_artifact_label(*OF, digest, label.id)
    told["taken_off_again"] = await refused(client.delete_artifact_label(*OF, digest, label.id))
    told["found_then"] = await client.get_artifacts(*OF, query=f"labels=({label.id})")


async def tags(client, told, digest):
    made = Tag(name="deployed-prod-0123456789ab")
    told["tagged"] = await client.create_artifact_tag(*OF, digest, made)
    told["tagged_again"] = await refused(client.create_artifact_tag(*OF, digest, made))
    found = await client.get_artifacts(*OF, query="tags=~deployed-prod", with_tag=True)
    told["with_tag"] = [[one.digest == digest, sorted(tag.name for tag in one.tags)] for one in found]
    await client.delete_artifact_tag(*OF, digest, made.name)
    told["untagged_again"] = await refused(client.delete_artifact_tag(*OF, digest, made.name))
    told["without_tag"] = await client.get_artifacts(*OF, query="tags=~deployed-prod")


async def scans(client, told, digest):
    told["never_scanned"] = (await client.get_artifact(*OF, digest, with_scan_overview=True)).scan_overview is None
    await client.scan_artifact(*OF, digest)
    told["scanned_twice"] = await refused(client.scan_artifact(*OF, digest))
    statuses = []
    while not statuses or statuses[-1] not in ("Success", "Error"):
        artifact = await client.get_artifact(*OF, digest, with_scan_overview=True)
        statuses.append(next(iter(artifact.scan_overview.root.values())).scan_status)
    told["scan"] = statuses
    reports = await client.get_artifact_vulnerability_reports(*OF, digest)
    report = reports.first()
    told["scanner"] = report.scanner.name
    told["vulnerabilities"] = [[one.id, one.severity.value, one.package, one.fix_version] for one in report.vulnerabilities]


async def rules(client, told):
    select = lambda decoration, pattern: ImmutableSelector(kind="doublestar", decoration=decoration, pattern=pattern)
    rule = ImmutableRule(
        action="immutable",
        template="immutable_template",
        tag_selectors=[select("matches", "1.*")],
        scope_selectors={"repository": [select("repoMatches", "**")]},
    )
    told["rule"] = await client.create_project_immutable_tag_rule("ops", rule)
    listed = await client.get_project_immutable_tag_rules("ops")
    told["rules"] = [[one.disabled, one.tag_selectors[0].pattern] for one in listed]
    artifact = await client.get_artifact(*OF, "1.0", with_immutable_status=True)
    told["immutable"] = [[tag.name, tag.immutable] for tag in artifact.tags]


async def main():
    client, told = harbor(os.environ["FORGE_TOKEN"]), {}
    told["health"] = (await client.health_check()).status
    project = await client.get_project("ops")
    told["project"] = [project.name, project.owner_name, project.repo_count]
    told["no_project"] = await refused(client.get_project("nosuch"))
    summary = (await client.get_project_summary("ops")).quota
    quotas = await client.get_quotas(reference="project", reference_id=str(project.project_id))
    told["quota"] = [[quota.used.root, quota.hard.root] for quota in [*quotas, summary]]
    artifacts = await client.get_artifacts(*OF, page_size=5)
    told["artifacts"] = [len(artifacts), sorted(tag.name for one in artifacts for tag in one.tags)[:2]]
    told["no_artifact"] = await refused(client.get_artifact(*OF, "9.9"))
    digest = (await client.get_artifact(*OF, "1.0")).digest
    await labels(client, told, project, digest)
    await tags(client, told, digest)
    await scans(client, told, digest)
    await rules(client, told)
    told["stranger"] = await refused(harbor("another").get_project("ops"))
    print(json.dumps(told))


asyncio.run(main())
