# A second engine, only when asked for: podman's Docker-compatible service on a socket, with all its data below the world's folder.
#
# What it builds runs on the machine's own network, so that it makes no bridge and no rules.

begin_podman() {
	local home=$state/podman
	packages_ready podman crun conmon
	mkdir -p "$home"
	cat >"$home/registries.conf" <<-C
		unqualified-search-registries = []
		[[registry]]
		location = "127.0.0.1:$registry_port"
		insecure = true
		[[registry]]
		location = "127.0.0.1:$registry_login_port"
		insecure = true
		[[registry]]
		location = "127.0.0.1:$forge_port"
		insecure = true
	C
	cat >"$home/containers.conf" <<-C
		[containers]
		netns = "host"
		cgroups = "disabled"
		oom_score_adj = 0
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "crun"
		tmp_dir = "$home/tmp"
		volume_path = "$home/volumes"
		[network]
		network_config_dir = "$home/networks"
	C
	cat >"$home/storage.conf" <<-C
		[storage]
		driver = "overlay"
		graphroot = "$home/data"
		runroot = "$home/run"
	C
	printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >"$home/policy.json"
	begin podman env CONTAINERS_CONF="$home/containers.conf" CONTAINERS_STORAGE_CONF="$home/storage.conf" \
		CONTAINERS_REGISTRIES_CONF="$home/registries.conf" REGISTRY_AUTH_FILE="$home/none.json" \
		podman system service --time 0 "unix://$state/podman.sock"
}

await_podman() {
	await podman 30 podman_here version
	podman_here image inspect "$base_image" >/dev/null 2>&1 || podman_here load -q -i "$state/image.tar" >/dev/null ||
		fail "$state/log/podman" "loading $base_image into podman"
}

end_podman() { end podman; }

podman_here() { DOCKER_CONFIG=$state/docker "$state/bin/docker" --host "unix://$state/podman.sock" "$@"; }
