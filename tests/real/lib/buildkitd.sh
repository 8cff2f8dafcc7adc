# A BuildKit daemon, only when asked for: over TLS with an authority of its own, its data and its containers below the world's.

begin_buildkitd() {
	local home=$state/buildkitd
	! running buildkitd || return 0
	mkdir -p "$home"
	[ -f "$home/client.pem" ] || buildkitd_certificates "$home"
	cat >"$home/buildkitd.toml" <<-C
		root = "$home/data"
		[grpc]
		  address = ["tcp://127.0.0.1:$buildkitd_port"]
		[grpc.tls]
		  cert = "$home/server.pem"
		  key = "$home/server.key"
		  ca = "$home/ca.pem"
		[worker.oci]
		  enabled = true
		  snapshotter = "native"
		  defaultCgroupParent = "/$world/buildkitd"
		[worker.containerd]
		  enabled = false
	C
	begin buildkitd "$state/bin/buildkitd" --config "$home/buildkitd.toml"
}

await_buildkitd() { await buildkitd 30 buildctl_here debug workers; }

end_buildkitd() { end buildkitd 20; }

buildctl_here() {
	local home=$state/buildkitd
	"$state/bin/buildctl" --addr "tcp://127.0.0.1:$buildkitd_port" --tlscacert "$home/ca.pem" --tlscert "$home/client.pem" \
		--tlskey "$home/client.key" "$@" >/dev/null 2>&1
}

buildkitd_certificates() { # HOME
	local name
	quiet_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout "$1/ca.key" -out "$1/ca.pem" \
		-days 3650 -subj "/CN=$world-buildkit-ca"
	for name in server client; do
		quiet_openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout "$1/$name.key" -out "$1/$name.csr" \
			-subj "/CN=$world-buildkit-$name"
		echo "subjectAltName=IP:127.0.0.1" >"$1/$name.ext"
		quiet_openssl x509 -req -in "$1/$name.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 3650 \
			-extfile "$1/$name.ext" -out "$1/$name.pem"
	done
}
