# What a world tells: how to reach everything, for a person and for a program, and what runs.

# write_environment: world.env, lines of KEY=value without quotes, for programs. It holds logins, and only root reads it.
write_environment() {
	(umask 077 && environment >"$state/world.env")
}

environment() {
	cat <<-E
		WORLD_STATE=$state
		WORLD_BIN=$state/bin
		KUBECONFIG=$kubeconfig
		KUBECACHEDIR=$state/kubectl-cache
		DOCKER_HOST=$docker_host
		DOCKER_CONFIG=$state/docker
		REGISTRY=$registry
		REGISTRY_LOGIN=127.0.0.1:$registry_login_port
		REGISTRY_LOGIN_USER=ops
		REGISTRY_LOGIN_PASSWORD=$(<"$state/secrets/registry-login")
		FORGE_URL=$forge_url
		FORGE_URL_IN_WORLD=http://$world_address:$forge_port
		FORGE_REGISTRY=127.0.0.1:$forge_port
		FORGE_USER=ops
		FORGE_PASSWORD=$(forge_secret password)
		FORGE_TOKEN=$(forge_secret token)
		FORGE_SSH=ssh://git@127.0.0.1:$forge_ssh_port
		FORGE_SSH_KEY=$state/secrets/forge-ssh
		FORGE_KNOWN_HOSTS=$state/known_hosts
		BASE_IMAGE=$base_image
		PODMAN_HOST=unix://$state/podman.sock
		BUILDKIT_HOST=tcp://127.0.0.1:$buildkitd_port
		BUILDKIT_CERTIFICATES=$state/buildkitd
	E
	[ -n "$own_cluster" ] || borrowed_cluster
	[ -z "$own_cluster" ] || cat <<-E
		KUBE_CONTEXT=$world
		KUBE_CA=$state/pki/ca.crt
		KUBE_CA_KEY=$state/pki/ca.key
		KUBE_SERVER=https://127.0.0.1:$apiserver_port
		KUBE_SERVER_IN_WORLD=https://$world_address:$apiserver_port
		KUBE_NODE=$world
		KUBE_NODE_ADDRESS=$node_address
		SERVICE_NET=$service_net
		POD_NET=$pod_net
	E
}

# Of a cluster of somebody else it is known what its kubeconfig tells; its authority's key, node and networks are not.
borrowed_cluster() {
	local view=(config view --raw --minify -o)
	echo "KUBE_CONTEXT=$(kubectl_here config current-context)"
	echo "KUBE_SERVER=$(kubectl_here "${view[@]}" 'jsonpath={.clusters[0].cluster.server}')"
	kubectl_here "${view[@]}" 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$state/kube-ca.crt"
	[ ! -s "$state/kube-ca.crt" ] || echo "KUBE_CA=$state/kube-ca.crt"
}

print_environment() {
	[ -f "$state/world.env" ] || fail '' "no world at $state; 'world up' makes one"
	cat "$state/world.env"
}

report() {
	cat <<-R
		KUBECONFIG=$kubeconfig
		DOCKER_HOST=$docker_host
		REGISTRY=$registry (no login), 127.0.0.1:$registry_login_port (ops, $(<"$state/secrets/registry-login"))
		FORGE_URL=$forge_url (ops, $(forge_secret password); token $(forge_secret token)), also a registry: 127.0.0.1:$forge_port/ops
		FORGE_SSH=ssh://git@127.0.0.1:$forge_ssh_port (key $state/secrets/forge-ssh, host keys $state/known_hosts)
		BASE_IMAGE=$base_image
		WORLD_ENV=$state/world.env (all of this and more, for programs), kubectl in $state/bin
	R
}

status() {
	local part down=0
	[ -f "$state/world.env" ] || { echo "no world at $state" && exit 1; }
	for part in "${all_parts[@]}"; do
		if running "$part"; then
			echo "$part runs, process $(<"$state/run/$part.pid")"
		elif [ "$part" = podman ] || [ "$part" = buildkitd ]; then
			echo "$part is not asked for (world start $part)"
		elif ! is_ours "$part"; then
			echo "$part is not this world's: $(elsewhere "$part")"
		else
			echo "$part does not run (log: $state/log/$part)"
			down=1
		fi
	done
	exit $down
}

is_ours() { case " ${own_parts[*]} ${own_cluster:+${cluster_parts[*]}} podman buildkitd " in *" $1 "*) true ;; *) false ;; esac; }

elsewhere() {
	case $1 in
	engine) echo "DOCKER_HOST=$docker_host" ;;
	registry) echo "QD_TEST_REGISTRY=$registry" ;;
	*) echo "QD_TEST_KUBECONFIG=$kubeconfig" ;;
	esac
}
