# The cluster's brain: etcd, API server, controllers and scheduler.
#
# They run on this machine and listen on 127.0.0.1. Etcd keeps nothing safe (no fsync): a world is not meant to survive a power cut.

begin_etcd() {
	begin etcd "$state/bin/etcd" --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
		--listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
		--listen-peer-urls "http://127.0.0.1:$etcd_peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer_port" \
		--initial-cluster "default=http://127.0.0.1:$etcd_peer_port"
}

begin_apiserver() {
	local pki=$state/pki
	begin apiserver "$state/bin/kube-apiserver" \
		--etcd-servers "http://127.0.0.1:$etcd_port" --bind-address 127.0.0.1 --secure-port "$apiserver_port" \
		--advertise-address "$world_address" --service-cluster-ip-range "$service_net" \
		--tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
		--service-account-issuer https://kubernetes.default.svc.cluster.local \
		--service-account-key-file "$pki/service-accounts.key" --service-account-signing-key-file "$pki/service-accounts.key" \
		--kubelet-client-certificate "$pki/apiserver-kubelet.crt" --kubelet-client-key "$pki/apiserver-kubelet.key" \
		--kubelet-certificate-authority "$pki/ca.crt" --kubelet-preferred-address-types InternalIP \
		--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true
}

begin_controllers() {
	begin controllers "$state/bin/kube-controller-manager" --kubeconfig "$state/pki/controllers.kubeconfig" \
		--bind-address 127.0.0.1 --secure-port "$controllers_port" --leader-elect=false --use-service-account-credentials \
		--flex-volume-plugin-dir "$state/kubelet/plugins-flex" \
		--service-account-private-key-file "$state/pki/service-accounts.key" --root-ca-file "$state/pki/ca.crt" \
		--cluster-signing-cert-file "$state/pki/ca.crt" --cluster-signing-key-file "$state/pki/ca.key"
}

begin_scheduler() {
	begin scheduler "$state/bin/kube-scheduler" --kubeconfig "$state/pki/scheduler.kubeconfig" \
		--bind-address 127.0.0.1 --secure-port "$scheduler_port" --leader-elect=false
}

await_etcd() { await etcd 30 curl -sf "http://127.0.0.1:$etcd_port/readyz"; }
await_apiserver() { await apiserver 60 kubectl_here get --raw /readyz; }
await_controllers() { await controllers 60 healthy "$controllers_port"; }
await_scheduler() { await scheduler 60 healthy "$scheduler_port"; }

healthy() { curl -sf --cacert "$state/pki/ca.crt" -k "https://127.0.0.1:$1/healthz"; }

# Both wait for open watches to end by themselves, the API server a minute long; nobody here wants to.
end_etcd() { end etcd 3; }
end_apiserver() { end apiserver 3; }
end_controllers() { end controllers; }
end_scheduler() { end scheduler; }

# With its cache in the world: by the same address, the next world would be taken for this one.
kubectl_here() { KUBECONFIG=$kubeconfig KUBECACHEDIR=$state/kubectl-cache "$state/bin/kubectl" "$@"; }
