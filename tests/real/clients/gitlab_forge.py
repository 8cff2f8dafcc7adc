"""Drives the API of a GitLab through python-gitlab, and prints what the client understood as one JSON object.

Arguments: the address of the forge. The token is in FORGE_TOKEN."""

import json
import os
import sys

import gitlab

SHA = "ab" * 20
forge = gitlab.Gitlab(sys.argv[1], private_token=os.environ["FORGE_TOKEN"])
forge.auth()
project = forge.projects.get("ops/shop", lazy=True)
told = {"user": forge.user.username}

statuses = project.commits.get(SHA, lazy=True).statuses
status = statuses.create({"state": "running", "name": "quarterdeck/shop/build", "ref": "push-1", "description": "run 1"})
told["status"] = [status.status, status.name, status.ref, status.description]
try:
    statuses.create({"state": "running", "name": "quarterdeck/shop/build", "ref": "push-1"})
except gitlab.exceptions.GitlabError as error:
    told["repeated"] = [error.response_code, str(error.error_message)]
try:
    statuses.create({"state": "no such state", "name": "quarterdeck/shop/build"})
except gitlab.exceptions.GitlabError as error:
    told["unknown"] = error.response_code

merge_request = project.mergerequests.get(7, lazy=True)
notes = [merge_request.notes.create({"body": f"comment {number}"}) for number in range(45)]
notes[0].body = "another text"
notes[0].save()
listed = list(merge_request.notes.list(iterator=True, per_page=20))
told["notes"] = [len(listed), listed[-1].body, listed[0].author["username"]]

opened = project.mergerequests.list(state="opened", order_by="updated_at", sort="desc", get_all=True)
told["open"] = [[one.iid, one.sha, one.target_branch, one.source_project_id == one.target_project_id] for one in opened]
told["protected"] = {name: project.tags.get(name).protected for name in ("push-1", "build-1")}

stranger = gitlab.Gitlab(sys.argv[1], private_token="another")
try:
    stranger.auth()
except gitlab.exceptions.GitlabAuthenticationError as error:
    told["stranger"] = error.response_code
print(json.dumps(told))
