# The control groups of a world's containers: kubelet and engine keep to one group below each root, or the kubelets of two worlds would remove
# each other's pods as orphans.

# cgroup_mounts: where this machine has its control groups; version 1 has one tree a controller, version 2 one for all.
cgroup_mounts() { awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts; }

# one_tree: whether this machine has version 2 alone. There a group has only the controllers that its parent hands down.
one_tree() { [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; }
handed_down=/sys/fs/cgroup/cgroup.subtree_control

cgroups_ready() {
	local mount group what
	if one_tree; then
		for what in $(</sys/fs/cgroup/cgroup.controllers); do
			echo "+$what" >"$handed_down" || say "this machine does not hand down the $what controller"
		done
	fi
	while read -r mount; do
		group=$mount/$world
		[ -d "$group" ] || mkdir "$group" || fail '' "making the control group $group"
		for what in cpuset.cpus cpuset.mems; do
			[ ! -e "$group/$what" ] || [ ! -e "$mount/cgroup.clone_children" ] || cat "$mount/$what" >"$group/$what"
		done
	done < <(cgroup_mounts)
}

# cgroups_gone: whatever container is left dies with its group.
cgroups_gone() {
	local mount deadline=$((SECONDS + 20))
	while [ "$SECONDS" -lt "$deadline" ]; do
		while read -r mount; do
			[ -d "$mount/$world" ] || continue
			find "$mount/$world" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u | xargs -r kill -KILL 2>/dev/null || true
			find "$mount/$world" -depth -type d -exec rmdir {} + 2>/dev/null || true
		done < <(cgroup_mounts)
		[ -n "$(cgroups_left)" ] || return 0
		sleep 0.1
	done
}

cgroups_left() {
	local mount
	while read -r mount; do
		[ ! -d "$mount/$world" ] || echo "$mount/$world"
	done < <(cgroup_mounts)
}
