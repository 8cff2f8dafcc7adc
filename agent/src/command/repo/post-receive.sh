#!/bin/sh
# Written by `qd-agent repo create`. It asks the agent to poll this repository now. Whatever becomes of that, the push is
# accepted: the agent sees it at its next poll.
program=@PROGRAM@
[ -x "$program" ] || program=qd-agent
if command -v "$program" >/dev/null 2>&1; then
    "$program" repo received --config @CONFIG@ </dev/null || :
else
    echo "quarterdeck: qd-agent is not installed where this hook looks; the agent will see this push at its next poll"
fi
exit 0
