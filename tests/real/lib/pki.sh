# Certificates of the cluster: one authority, and one certificate for each who speaks, with the names that Kubernetes' own roles are bound to.
#
# The authority's key stays at hand: tests make client certificates with it, as kubeadm would.

pki_ready() {
	local pki=$state/pki
	[ ! -f "$pki/ready" ] || return 0
	quiet_openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout "$pki/ca.key" -out "$pki/ca.crt" \
		-days 3650 -subj "/CN=$world-ca"
	quiet_openssl ecparam -name prime256v1 -genkey -noout -out "$pki/service-accounts.key"
	certificate apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,$(
	)DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$world_address,IP:$service_address"
	certificate apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet
	certificate kubelet "/O=system:nodes/CN=system:node:$world" "DNS:$world,IP:$node_address"
	certificate admin /O=system:masters/CN=admin
	certificate controllers /CN=system:kube-controller-manager
	certificate scheduler /CN=system:kube-scheduler
	certificate proxy /CN=system:kube-proxy
	local name
	for name in admin controllers scheduler; do
		kubeconfig_of "$name" 127.0.0.1 >"$pki/$name.kubeconfig"
	done
	for name in kubelet proxy; do
		kubeconfig_of "$name" "$world_address" >"$pki/$name.kubeconfig"
	done
	cp "$pki/admin.kubeconfig" "$state/kubeconfig"
	chmod 0600 "$state/kubeconfig"
	touch "$pki/ready"
}

# certificate NAME SUBJECT [ALTERNATIVE_NAMES]
certificate() {
	local file=$state/pki/$1
	quiet_openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout "$file.key" -out "$file.csr" -subj "$2"
	printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}" >"$file.ext"
	quiet_openssl x509 -req -in "$file.csr" -CA "$state/pki/ca.crt" -CAkey "$state/pki/ca.key" -CAcreateserial -days 3650 \
		-extfile "$file.ext" -out "$file.crt"
	rm "$file.csr" "$file.ext"
}

kubeconfig_of() { # NAME ADDRESS
	local file=$state/pki/$1
	cat <<-K
		apiVersion: v1
		kind: Config
		current-context: $world
		contexts: [{name: $world, context: {cluster: $world, user: $1}}]
		clusters:
		- name: $world
		  cluster: {server: "https://$2:$apiserver_port", certificate-authority-data: $(base64 -w0 <"$state/pki/ca.crt")}
		users:
		- name: $1
		  user: {client-certificate-data: $(base64 -w0 <"$file.crt"), client-key-data: $(base64 -w0 <"$file.key")}
	K
}

quiet_openssl() { openssl "$@" >"$state/log/openssl" 2>&1 || fail "$state/log/openssl" "openssl $1"; }
