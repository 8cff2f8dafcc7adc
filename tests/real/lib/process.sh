# The processes of a world: begun in the background, found again, ended.
#
# Each carries QD_WORLD_PART=STATE/NAME in its environment, and so does whatever it starts. A pid file is believed only when the process
# says that it is this part, so that a number that was given to another program after a reboot is never taken for ours, or killed.

# begin NAME COMMAND...: nothing when it already runs.
begin() {
	local name=$1
	shift
	! running "$name" || return 0
	QD_WORLD_PART=$state/$name setsid "$@" >"$state/log/$name" 2>&1 </dev/null 8>&- 9>&- &
	echo $! >"$state/run/$name.pid"
}

running() {
	local pid
	pid=$(cat "$state/run/$1.pid" 2>/dev/null) && grep -qsxz "QD_WORLD_PART=$state/$1" "/proc/$pid/environ"
}

# await NAME SECONDS COMMAND...: until the command answers; at once an error when the process has died.
await() {
	local name=$1 limit=$2
	shift 2
	# What does not answer is ended, so that the next attempt begins it anew.
	wait_until "$limit" answers_or_died "$name" "$@" || { end "$name" 2 && fail "$state/log/$name" "$name did not answer within $limit s"; }
	! died "$name" || fail "$state/log/$name" "$name ended as it started"
}

answers_or_died() { died "$1" || "${@:2}"; }

# Of a process that was just begun. Its environment cannot be asked here: for a moment, while one program becomes the next, it has none.
died() { ! kill -0 "$(<"$state/run/$1.pid")" 2>/dev/null; }

# end NAME [SECONDS]: asks it to end, waits so that its ports are free again, and insists when the time is over.
end() {
	local name=$1 limit=${2:-10}
	if running "$name"; then
		kill "$(<"$state/run/$name.pid")" 2>/dev/null || true
		if ! wait_until "$limit" not_running "$name"; then
			kill -KILL "$(<"$state/run/$name.pid")" 2>/dev/null || true
			wait_until 10 not_running "$name" || fail "$state/log/$name" "$name cannot be killed"
		fi
	fi
	rm -f "$state/run/$name.pid"
}

not_running() { ! running "$1"; }

# Every process of this world, also those whose parent has died.
our_processes() {
	grep -lsz "^QD_WORLD_PART=$state/" /proc/[0-9]*/environ | cut -d/ -f3 || true
}

kill_our_processes() {
	local pids
	pids=$(our_processes)
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
	wait_until 10 none_of_ours || fail '' "these processes cannot be killed: $(our_processes | tr '\n' ' ')"
}

none_of_ours() { [ -z "$(our_processes)" ]; }
