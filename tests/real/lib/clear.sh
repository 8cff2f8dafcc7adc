# The end of a world: everything that it started is ended, and everything that it left in this machine is removed; then it is looked for.

down() {
	local part
	if [ ! -f "$state/offset" ]; then
		say "no world at $state"
	else
		# The last to start ends first, so that nothing cries for what it needs. Pods die with their groups, which is quicker than asking.
		for part in buildkitd podman proxy kubelet scheduler controllers apiserver etcd; do
			"end_$part"
		done
		cgroups_gone
		for part in containerd engine registry registry-login forge forward; do
			"end_${part//-/_}"
		done
		remains_gone
		say "down: nothing is left of $state"
	fi
}

# clear_if_dead: a world of which no process lives (a reboot, a kill) is removed before a new one begins. Its data goes too: containers whose
# processes, mounts and network are gone help nobody.
clear_if_dead() {
	[ -f "$state/offset" ] && none_of_ours || return 0
	say "clearing what a dead world left at $state"
	remains_gone
	# What it was told went with it.
	settle
}

remains_gone() {
	lent_gone
	cgroups_gone
	kill_our_processes
	mounts_gone
	network_gone
	records_gone
	rm -rf --one-file-system "$state"
	machine_as_before
	nothing_left
}

# Deepest first; a mount that is still held is let go lazily, since its holder is already dead.
mounts_gone() {
	local mount
	while read -r mount; do
		umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || true
	done < <(mounts_left | sort -r)
}

mounts_left() { awk -v below="$state/" 'index($2, below) == 1 {print $2}' /proc/mounts; }

# Links, records and sockets that kubelet, containerd and the network plugins keep by container in places that others use too. Asked while
# our own folders still name the containers.
records_gone() {
	local id link socket
	for id in "$state"/containerd/root/io.containerd.runtime.v2.task/*/* "$state"/engine/containerd/io.containerd.runtime.v2.task/*/*; do
		rm -rf /run/containerd/runc/*/"${id##*/}"
	done
	for id in /var/lib/cni/results/"$world"-*-eth0; do
		id=${id##*/"$world"-}
		rm -f /var/lib/cni/results/{"$world-$id","cni-loopback-${id%-eth0}-lo"}
	done
	for link in /var/log/containers/*; do
		[[ $(readlink "$link") != "$state"/* ]] || rm -f "$link"
	done
	# A shim's socket does not say whose it was; without anybody who listens it is of no use to anybody.
	for socket in /run/containerd/s/*; do
		grep -q " $socket\$" /proc/net/unix || rm -f "$socket"
	done
}

nothing_left() {
	local left
	left=$(
		our_processes | sed 's/^/process /'
		mounts_left | sed 's/^/mount /'
		cgroups_left | sed 's/^/control group /'
		ip -o link show "$world" 2>/dev/null | cut -c1-60
		nft list tables 2>/dev/null | grep -x "table ip $world" || true
		[ ! -e "$state" ] || echo "folder $state"
	)
	[ -z "$left" ] || fail '' "this could not be removed:"$'\n'"$left"
}
