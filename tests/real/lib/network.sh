# The world's network: one bridge, the node's own network namespace on it, and one nftables table.
#
#   this machine -- bridge qdworldN, the world's address (.1) --+-- node's namespace (.2): kubelet, kube-proxy, pods on a bridge of their own
#                                                               +-- podman's namespace (.3)
#                                                               +-- the engine's containers (.128 and up)
#
# The node has a namespace since kube-proxy owns its machine's iptables chains by fixed names: two worlds in one would undo each other's
# Services, and no rule, route or bridge of the node is left once its namespace is gone.

network_ready() {
	if ! ip link show "$world" >/dev/null 2>&1; then
		ip link add "$world" type bridge || cannot "this kernel has no bridge devices"
		ip addr add "$world_address/24" dev "$world"
		ip link set "$world" up
	fi
	if [ -n "$own_cluster" ]; then
		namespace_ready node "$node_address"
		# Services and pods are reached from this machine as from any other node.
		ip route replace "$service_net" via "$node_address"
		ip route replace "$pod_net" via "$node_address"
	fi
	way_out_ready
}

# namespace_ready NAME ADDRESS: a network of its own on the world's bridge, kept by a file, so that it outlives its processes.
namespace_ready() {
	local file=$state/$1.netns cable=$world${1:0:1}
	! mountpoint -q "$file" || return 0
	ip link delete "$cable" 2>/dev/null || true
	touch "$file"
	unshare --net="$file" true
	ip link add "$cable" type veth peer name eth0 netns "$file" || cannot "this kernel has no veth devices"
	ip link set "$cable" master "$world" up
	nsenter --net="$file" ip link set lo up
	nsenter --net="$file" ip addr add "$2/24" dev eth0
	nsenter --net="$file" ip link set eth0 up
	nsenter --net="$file" ip route add default via "$world_address"
}

namespace_gone() { # NAME
	umount "$state/$1.netns" 2>/dev/null || true
	ip link delete "$world${1:0:1}" 2>/dev/null || true
}

in_node() { nsenter --net="$state/node.netns" "$@"; }

# Containers and pods reach what this machine reaches. A table of our own is removed whole, and touches nobody's rules.
way_out_ready() {
	local forward=/proc/sys/net/ipv4/ip_forward
	nft -f - <<-N || say "no way out for containers: nftables refused its table"
		table ip $world
		delete table ip $world
		table ip $world {
			chain postrouting {
				type nat hook postrouting priority srcnat
				ip saddr $world_net ip daddr != { $world_net, $service_net, $pod_net } masquerade
			}
		}
	N
	[ "$(<$forward)" = 1 ] || { echo 1 >$forward; } 2>/dev/null || say "no way out for containers: this machine forbids ip_forward"
}

network_gone() {
	namespace_gone node
	namespace_gone podman
	ip link delete "$world" 2>/dev/null || true
	nft delete table ip "$world" 2>/dev/null || true
}

# ports_free: said before anything starts, since not every part ends when its port is taken.
ports_free() {
	local pair part holder
	for pair in forge:$forge_port forge:$forge_ssh_port registry:$registry_port registry-login:$registry_login_port \
		apiserver:$apiserver_port etcd:$etcd_port etcd:$etcd_peer_port controllers:$controllers_port scheduler:$scheduler_port; do
		part=${pair%:*}
		! running "$part" || continue
		is_ours "$part" || continue
		# By the address it listens at: ours that forward at the world's own address have the same ports.
		holder=$(ss -Hltnp "sport = :${pair#*:}" | awk '$4 ~ /^(127\.0\.0\.1|0\.0\.0\.0|\*|\[::\]):/' | grep .) || continue
		fail '' "port ${pair#*:} of $part is taken by $(awk '{print $NF}' <<<"$holder"); choose others with --offset or QD_WORLD_PORTS"
	done
}

# What the node and podman find at the world's address, under the same port as a person finds it on 127.0.0.1.
begin_forward() {
	local port pairs=()
	for port in "$apiserver_port" "$registry_port" "$registry_login_port" "$forge_port"; do
		pairs+=("$world_address:$port=127.0.0.1:$port")
	done
	begin forward "$state/bin/forward" "${pairs[@]}"
}

await_forward() { await forward 10 curl -s -o /dev/null "http://$world_address:$registry_login_port/"; }
end_forward() { end forward; }
