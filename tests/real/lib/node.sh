# The one node: containerd, kubelet and kube-proxy in the world's network namespace.

begin_containerd() {
	local home=$state/containerd
	mkdir -p "$home/cni"
	cat >"$home/config.toml" <<-C
		version = 2
		root = "$home/root"
		state = "$home/run"
		[grpc]
		  address = "$state/containerd.sock"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$home/opt"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "docker.io/$sandbox_image"
		  disable_apparmor = true
		  # Without the right to lower it (CAP_SYS_RESOURCE), a sandbox dies of "can't get final child's PID from pipe: EOF".
		  restrict_oom_score_adj = true
		  netns_mounts_under_state_dir = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$home/cni"
		  [plugins."io.containerd.grpc.v1.cri".registry]
		    config_path = "$home/registries"
	C
	cat >"$home/cni/10-world.conflist" <<-C
		{"cniVersion": "1.0.0", "name": "$world", "plugins": [
		  {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pod_net"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$home/ipam"}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}]}
	C
	local port
	for port in "$registry_port" "$registry_login_port" "$forge_port"; do
		mkdir -p "$home/registries/127.0.0.1:$port"
		# An image is named by the address that a person pushes it to; the node reaches that registry by the world's address.
		printf 'server = "http://%s"\n[host."http://%s"]\n' "$world_address:$port" "$world_address:$port" \
			>"$home/registries/127.0.0.1:$port/hosts.toml"
	done
	begin containerd nsenter --net="$state/node.netns" containerd --config "$home/config.toml"
}

await_containerd() {
	await containerd 30 ctr_here version
	[ -n "$(ctr_here images ls -q "name==docker.io/$sandbox_image")" ] ||
		ctr_here images import "$state/image.tar" >"$state/log/import" 2>&1 || fail "$state/log/import" "importing the sandbox image"
}

begin_kubelet() {
	# A copy, since the machine's own may be a link into a folder that the node does not have; pods get what it names.
	cp -L /etc/resolv.conf "$state/resolv.conf" 2>/dev/null || : >"$state/resolv.conf"
	cat >"$state/kubelet.yml" <<-C
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $node_address
		healthzBindAddress: 127.0.0.1
		readOnlyPort: 0
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$state/pki/ca.crt"}}
		authorization: {mode: Webhook}
		tlsCertFile: $state/pki/kubelet.crt
		tlsPrivateKeyFile: $state/pki/kubelet.key
		containerRuntimeEndpoint: unix://$state/containerd.sock
		cgroupDriver: cgroupfs
		cgroupRoot: /$world
		failCgroupV1: false
		failSwapOn: false
		enforceNodeAllocatable: []
		# The disk belongs to the machine: a world never evicts its pods or removes its images since somebody else filled it.
		evictionHard: {}
		imageGCHighThresholdPercent: 100
		resolvConf: $state/resolv.conf
		podLogsDir: $state/pod-logs
		volumePluginDir: $state/kubelet/plugins-flex
		registerNode: true
		nodeStatusUpdateFrequency: 5s
		# A refresh of what a pod mounts takes this long; a minute would be a minute in every test that changes a ConfigMap.
		syncFrequency: 10s
	C
	begin kubelet nsenter --net="$state/node.netns" \
		"$state/bin/kubelet" --config "$state/kubelet.yml" --kubeconfig "$state/pki/kubelet.kubeconfig" \
		--root-dir "$state/kubelet" --cert-dir "$state/kubelet/pki" --hostname-override "$world" --node-ip "$node_address"
}

# The connection table's limits are the machine's own to set, and some machines forbid it.
begin_proxy() {
	begin proxy nsenter --net="$state/node.netns" \
		"$state/bin/kube-proxy" --kubeconfig "$state/pki/proxy.kubeconfig" --hostname-override "$world" --proxy-mode iptables \
		--cluster-cidr "$pod_net" --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
}

# Both, since a node stays Ready in the API server's books for 40 s after its kubelet went.
await_kubelet() { await kubelet 60 in_node curl -sf http://127.0.0.1:10248/healthz && await kubelet 60 node_is_ready; }
await_proxy() { await proxy 30 in_node curl -sf http://127.0.0.1:10256/healthz; }
end_kubelet() { end kubelet; }
end_proxy() { end proxy; }
# Pods go on without it, as they do on a real node.
end_containerd() { end containerd; }

node_is_ready() {
	[ "$(kubectl_here get node "$world" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

ctr_here() { ctr -a "$state/containerd.sock" -n k8s.io "$@"; }
