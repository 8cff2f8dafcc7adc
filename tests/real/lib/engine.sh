# The container engine: Debian's dockerd with a containerd of its own, so that stopping it stops nobody's pods.
#
# It works on the world's bridge and writes no firewall rules: two engines that both write Docker's chains undo each other's.

begin_engine() {
	local home=$state/engine
	mkdir -p "$home"
	cat >"$home/containerd.toml" <<-C
		version = 2
		root = "$home/containerd"
		state = "$home/containerd-run"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$home/containerd.sock"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$home/opt"
	C
	echo '{}' >"$home/daemon.json"
	begin engine-containerd containerd --config "$home/containerd.toml"
	await engine-containerd 20 ctr -a "$home/containerd.sock" version
	# An engine that was killed leaves its pid file, and refuses to start when some other program has that number now.
	rm -f "$home/docker.pid"
	begin engine dockerd --config-file "$home/daemon.json" --host "unix://$state/engine.sock" --group root \
		--containerd "$home/containerd.sock" --data-root "$home/data" --exec-root "$home/run" --pidfile "$home/docker.pid" \
		--bridge "$world" --fixed-cidr "$engine_net" --iptables=false --ip6tables=false \
		--ip-forward=false --ip-masq=false --cgroup-parent "/$world/engine" --exec-opt native.cgroupdriver=cgroupfs \
		--oom-score-adjust 0
}

await_engine() { await engine 30 docker_here version; }

end_engine() {
	end engine 20
	end engine-containerd
}
