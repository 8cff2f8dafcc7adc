# The words of the world: what it says, and how it ends. Everything it says goes to standard error; only `up`, `status` and `env` answer on
# standard output, so that a program can read them.
#
# Exit codes: 0 done, 1 failed (a log is named), 2 wrong use, 3 cannot be done on this machine (a test must then not turn green).

say() { printf 'world: %s\n' "$*" >&2; }

usage_error() {
	printf 'world: %s\n' "$*" >&2
	exit 2
}

# What this machine lacks, in one line.
cannot() {
	printf 'world: cannot: %s\n' "$*" >&2
	exit 3
}

# fail LOG WORDS...: names the log and prints its last lines, where there is one.
fail() {
	local log=$1
	shift
	printf 'world: failed: %s\n' "$*" >&2
	if [ -s "$log" ]; then
		printf 'world: the last lines of %s:\n' "$log" >&2
		tail -n 15 "$log" | cut -c1-400 | sed 's/^/    /' >&2
	fi
	exit 1
}

# wait_until SECONDS COMMAND...: asks ten times a second; false when the time is over.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}
