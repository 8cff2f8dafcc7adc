# A second engine, only when asked for: podman's Docker-compatible service on a socket, with its data below the world's folder.
#
# It lives in namespaces of its own (network, mounts, processes): its bridges and rules go by fixed names, its records to fixed places, and
# its containers outlive it, and none of that is to be found in this machine afterwards. podman-inside is what happens in there.

begin_podman() {
	local home=$state/podman
	packages_ready podman conmon
	! running podman || return 0
	namespace_ready podman "$podman_address"
	mkdir -p "$home"
	podman_config "$home"
	# What is mounted over has to be there; it goes with the last world.
	mkdir -p /run/{libpod,crun,runc,netns,containers} /var/lib/{cni,containers} /var/cache/containers
	begin podman nsenter --net="$state/podman.netns" unshare --mount --propagation private --mount-proc --pid --fork --kill-child \
		env CONTAINERS_CONF="$home/containers.conf" CONTAINERS_STORAGE_CONF="$home/storage.conf" \
		CONTAINERS_REGISTRIES_CONF="$home/registries.conf" REGISTRY_AUTH_FILE="$home/none.json" \
		"$real/lib/podman-inside" "$state" "$world_address" "$registry_port" "$registry_login_port" "$forge_port"
}

await_podman() {
	await podman 30 podman_here version
	podman_here image inspect "$base_image" >/dev/null 2>&1 || podman_here load -q -i "$state/image.tar" >/dev/null ||
		fail "$state/log/podman" "loading $base_image into podman"
}

# Podman itself is asked; what holds its namespaces does not hear signals, and ends with it.
end_podman() {
	local pid
	for pid in $(our_processes); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != podman ] || kill "$pid" 2>/dev/null || true
	done
	end podman 5
	namespace_gone podman
	while read -r pid; do
		find "$pid/libpod_parent" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done < <(cgroup_mounts)
}

podman_here() { DOCKER_CONFIG=$state/docker "$state/bin/docker" --host "unix://$state/podman.sock" "$@"; }

podman_config() { # HOME
	local port
	for port in "$registry_port" "$registry_login_port" "$forge_port"; do
		printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n' "$port"
	done >"$1/registries.conf"
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "%s"\n' "$1/data" "$1/run" >"$1/storage.conf"
	cat >"$1/containers.conf" <<-C
		[containers]
		# Its own default raises the limits, which needs CAP_SYS_RESOURCE.
		default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=$(ulimit -Hu | sed 's/unlimited/-1/'):$(ulimit -Hu | sed 's/unlimited/-1/')"]
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "runc"
		tmp_dir = "$1/tmp"
		volume_path = "$1/volumes"
	C
}
