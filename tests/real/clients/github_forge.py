"""Drives the API of a GitHub through PyGithub, and prints what the client understood as one JSON object.

Arguments: the address of the API. The token is in FORGE_TOKEN."""

import json
import os
import sys

import github
from github.Commit import Commit
from github.Issue import Issue

SHA = "ab" * 20
forge = github.Github(auth=github.Auth.Token(os.environ["FORGE_TOKEN"]), base_url=sys.argv[1], retry=None, lazy=True)
project = forge.get_repo("ops/shop")
told = {"user": forge.get_user().login}


def known(kind, path):
    """What a page of the forge would name, without the page."""
    return kind(project.requester, {}, {"url": f"{project.url}/{path}"}, completed=True)


commit = Commit(project.requester, {}, {"url": f"{project.url}/commits/{SHA}", "sha": SHA}, completed=True)
status = commit.create_status("pending", description="run 1", context="quarterdeck/shop/build")
told["status"] = [status.state, status.context, status.description]
try:
    commit.create_status("running", context="quarterdeck/shop/build")
except github.GithubException as error:
    told["unknown"] = error.status

issue = known(Issue, "issues/7")
comments = [issue.create_comment(f"comment {number}") for number in range(45)]
comments[0].edit("another text")
listed = list(issue.get_comments())
told["comments"] = [len(listed), listed[0].body, listed[-1].body, listed[0].user.login]

opened = project.get_pulls(state="open", sort="updated", direction="desc")
told["open"] = [[one.number, one.head.sha, one.base.ref, one.head.repo.id == one.base.repo.id] for one in opened]

stranger = github.Github(auth=github.Auth.Token("another"), base_url=sys.argv[1], retry=None)
try:
    stranger.get_user().login
except github.GithubException as error:
    told["stranger"] = error.status
print(json.dumps(told))
