# The folder of a world, its claim on an offset, and what this machine was like before it had a world.

# What engines, containerd, kubelet and the network plugins make at fixed places, wherever their own data is told to be. Files that were not
# there before the first world go with the last one; folders too, once they are empty, since somebody else may use them by then.
fixed_files=(/etc/docker/key.json /var/lib/kubelet/device-plugins/kubelet.sock /var/lib/kubelet/device-plugins/DEPRECATION
	/etc/cni/net.d/cni.lock)
fixed_folders=(/etc/docker /run/containerd /run/docker /run/runc /run/crun /run/libpod /run/netns /run/containers /var/lib/cni /var/lib/kubelet
	/var/lib/containers /var/cache/containers /var/log/containers)

# What a kubelet sets for the whole machine, without being asked: how much memory is promised, and when the kernel gives up.
kubelet_sets=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

state_ready() {
	if [ -d "$state" ] && [ ! -f "$state/offset" ] && [ -n "$(ls -A "$state")" ]; then
		usage_error "$state holds something that is no world; name another folder with --state"
	fi
	remember_machine
	claim_offset
	# The forge runs as nobody and has to reach its own folder; what is secret is closed by itself.
	install -d -m 0711 "$state" "$state/bin" "$state/log" "$state/run"
	install -d -m 0700 "$state/pki" "$state/secrets" "$state/docker"
	echo "$offset" >"$state/offset"
	remember_told
	programs_placed
	cgroups_ready
	network_ready
	image_ready
	[ -z "$own_cluster" ] || pki_ready
}

# The programs go by hard link where that works: root's cache is closed to the forge's user.
programs_placed() {
	local name
	place "$cluster_built/cluster"
	place "$forge_built/forge"
	place "$helm_built/helm"
	place "$cosign_built/cosign"
	place "$fulcio_built/fulcio"
	place "$fulcio_built/timestamp-server"
	place "$syft_built/syft"
	place "$buildctl_built/buildctl"
	place "$buildctl_built/buildkitd"
	rm -rf "$state/podinfo" && cp -r "$podinfo_built" "$state/podinfo"
	for name in kubectl kubelet kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd forward; do
		ln -sf cluster "$state/bin/$name"
	done
	# Debian's client brings BuildKit without a plugin; another that comes first in the PATH may not.
	ln -sf /usr/bin/docker "$state/bin/docker"
}

place() { ln -f "$1" "$state/bin/" 2>/dev/null || cp -f "$1" "$state/bin/"; }

# lenders_answer: whatever is not ours is there before anything of ours begins.
lenders_answer() {
	[ -n "$own_cluster" ] || wait_until 20 kubectl_here get --raw /readyz || fail '' "no cluster answers: $(elsewhere cluster)"
	[ -n "$own_engine" ] || wait_until 20 docker_here version || fail '' "no engine answers: $(elsewhere engine)"
	[ -n "$own_registry" ] || wait_until 20 curl -s -o /dev/null "http://$registry/v2/" || fail '' "no registry answers: $(elsewhere registry)"
}

remember_machine() {
	local place name
	mkdir -p "$machine/claims"
	[ ! -f "$machine/before" ] || return 0
	{
		echo "ip_forward $(</proc/sys/net/ipv4/ip_forward)"
		! one_tree || echo "handed_down $(<"$handed_down")"
		for name in "${kubelet_sets[@]}"; do
			[ ! -e "/proc/sys/$name" ] || echo "kernel $name $(<"/proc/sys/$name")"
		done
		for place in "${fixed_files[@]}" "${fixed_folders[@]}"; do
			[ -e "$place" ] || echo "absent $place"
		done
	} >"$machine/before.new"
	mv "$machine/before.new" "$machine/before"
}

# Two worlds of one offset would fight for ports and names.
claim_offset() {
	local holder
	holder=$(readlink "$machine/claims/$offset" || true)
	if [ -n "$holder" ] && [ "$holder" != "$state" ] && [ -f "$holder/offset" ]; then
		usage_error "offset $offset belongs to the world in $holder; choose another with --offset"
	fi
	ln -sfn "$state" "$machine/claims/$offset"
}

# machine_as_before: for the last world that goes.
machine_as_before() {
	local what value controller
	rm -f "$machine/claims/$offset"
	rmdir "$machine/claims" 2>/dev/null || return 0
	while read -r what value; do
		case $what in
		ip_forward) [ "$value" = 1 ] || { echo "$value" >/proc/sys/net/ipv4/ip_forward; } 2>/dev/null || true ;;
		kernel)
			[ "$(<"/proc/sys/${value% *}")" = "${value#* }" ] || { echo "${value#* }" >"/proc/sys/${value% *}"; } 2>/dev/null || true
			;;
		handed_down)
			for controller in $(<"$handed_down"); do
				[[ " $value " == *" $controller "* ]] || echo "-$controller" >"$handed_down" || true
			done
			;;
		absent) if [ -d "$value" ]; then find "$value" -depth -type d -empty -delete; else rm -f "$value"; fi ;;
		esac
	done <"$machine/before"
	rm -f "$machine/before"
	rmdir "$machine" 2>/dev/null || true
}
