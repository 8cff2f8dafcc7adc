# What is free to choose, and what follows from it: folders, addresses, ports, and which parts are ours.
#
# A world is told apart by its offset (0 to 200): it moves every port, address and name, so that worlds run side by side. All that a person
# uses listens on 127.0.0.1. The node is a network of its own behind a bridge, as a machine would be; the world's address on that bridge is
# where the node finds what a person finds on 127.0.0.1.

cluster_parts=(etcd apiserver controllers scheduler containerd kubelet proxy)
all_parts=("${cluster_parts[@]}" engine registry registry-login forge forward podman buildkitd)

# What this whole machine keeps of its worlds: who has which offset, and how things were before the first.
machine=/var/lib/quarterdeck-world

# read_settings ARGUMENTS...: options may stand before or after the command; what is left is in $words.
read_settings() {
	state=${QD_WORLD_STATE:-} offset=${QD_WORLD_OFFSET:-} words=()
	while [ $# -gt 0 ]; do
		case $1 in
		--state | --offset)
			[ $# -ge 2 ] || usage_error "$1 wants a value"
			printf -v "${1#--}" %s "$2" && shift
			;;
		--help) words+=(help) ;;
		--*) usage_error "no option $1; 'world help' tells the options" ;;
		*) words+=("$1") ;;
		esac
		shift
	done
	# A world that is there remembers its offset, so that --state alone finds it.
	[ -n "$offset" ] || { [ -n "$state" ] && [ -f "$state/offset" ] && offset=$(<"$state/offset"); } || offset=0
	[[ $offset =~ ^([0-9]|[1-9][0-9]|1[0-9][0-9]|200)$ ]] || usage_error "--offset wants a number from 0 to 200, not '$offset'"
	state=$(realpath -m "${state:-$machine/$offset}")
	# Unix sockets have 107 bytes for their path, and the longest of ours below the folder takes 60.
	[ ${#state} -le 47 ] || usage_error "--state $state is too long for the sockets below it; 47 characters at most"
	[[ $state != *[[:space:],:=]* ]] || usage_error "--state $state holds a character that mount options and registries cannot carry"
	settle
}

settle() {
	local ports network pods services
	ports=$(($(told QD_WORLD_PORTS 15000) + 20 * offset)) network=$(told QD_WORLD_NETWORK 10.254)
	pods=$(told QD_WORLD_PODS 10.244) services=$(told QD_WORLD_SERVICES 10.96)
	world=qdworld$offset
	registry_port=$ports registry_login_port=$((ports + 1)) forge_port=$((ports + 2)) forge_ssh_port=$((ports + 3))
	apiserver_port=$((ports + 4)) etcd_port=$((ports + 5)) etcd_peer_port=$((ports + 6))
	controllers_port=$((ports + 7)) scheduler_port=$((ports + 8)) buildkitd_port=$((ports + 9))

	world_net=$network.$offset.0/24 world_address=$network.$offset.1 node_address=$network.$offset.2 podman_address=$network.$offset.3
	engine_net=$network.$offset.128/25
	pod_net=$pods.$offset.0/24 service_net=$services.$offset.0/24 service_address=$services.$offset.1

	# A proxy that this machine's environment names is for what is outside.
	export NO_PROXY="${NO_PROXY:+$NO_PROXY,}127.0.0.1,localhost,$world_net,$pod_net,$service_net"
	export no_proxy=$NO_PROXY

	kubeconfig=$state/kubeconfig docker_host=unix://$state/engine.sock registry=127.0.0.1:$registry_port
	forge_url=http://127.0.0.1:$forge_port
	settle_parts
}

# told VARIABLE [DEFAULT]: a world that is there keeps to what its first `up` was told, whatever a later command is told.
told() {
	local value=${!1:-}
	[ ! -f "$state/told" ] || value=$(sed -n "s/^$1=//p" "$state/told")
	echo "${value:-${2:-}}"
}

# What the next command of this world has to know, wherever it is called from.
remember_told() {
	local name
	[ ! -f "$state/told" ] || return 0
	for name in QD_WORLD_PORTS QD_WORLD_NETWORK QD_WORLD_PODS QD_WORLD_SERVICES; do
		[ -z "${!name:-}" ] || echo "$name=${!name}"
	done >"$state/told.new"
	{
		[ -n "$own_cluster" ] || echo "QD_TEST_KUBECONFIG=$kubeconfig"
		[ -n "$own_engine" ] || echo "DOCKER_HOST=$docker_host"
		[ -n "$own_registry" ] || echo "QD_TEST_REGISTRY=$registry"
	} >>"$state/told.new"
	mv "$state/told.new" "$state/told"
}

# Where the machine has a cluster, an engine or a registry and says so, that one is used. A shell that was told of this very world says so too,
# and means ours.
settle_parts() {
	local theirs
	own_cluster=yes own_engine=yes own_registry=yes
	theirs=$(told_elsewhere QD_TEST_KUBECONFIG "$kubeconfig") && own_cluster='' kubeconfig=$(realpath -m "$theirs")
	theirs=$(told_elsewhere DOCKER_HOST "$docker_host") && own_engine='' docker_host=$theirs
	theirs=$(told_elsewhere QD_TEST_REGISTRY "$registry") && own_registry='' registry=$theirs
	own_parts=(forge ${own_registry:+registry} registry-login ${own_engine:+engine} forward)
}

told_elsewhere() { # VARIABLE OURS
	local theirs
	theirs=$(told "$1")
	[ -n "$theirs" ] && [ "$theirs" != "$2" ] && echo "$theirs"
}

need_root() {
	[ "$(id -u)" = 0 ] || cannot "no root: bridges, mounts and a node need it; run it as root"
	[ "$(uname -s)" = Linux ] || cannot "no Linux: a node needs its cgroups and network namespaces"
}

# alone COMMAND...: no two commands change the same world at once. The lock is beside the state, since `down` removes that.
alone() {
	need_root
	mkdir -p "$(dirname "$state")"
	exec 9>"$state.lock"
	trap '[ -d "$state" ] || { rm -f "$state.lock" && rmdir "$machine"; } 2>/dev/null || true' EXIT
	flock -n 9 || { say "another command changes this world; waiting for it" && flock 9; }
	"$@"
}
