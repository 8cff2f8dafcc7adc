# The world's network: one bridge, the node's own network namespace on it, and one nftables table.
#
#   this machine -- bridge qdworldN, the world's address (.1) --+-- node's namespace (.2): kubelet, kube-proxy, pods on a bridge of their own
#                                                               +-- the engine's containers (.128 and up)
#
# The node has a namespace since kube-proxy owns its machine's iptables chains by fixed names: two worlds in one would undo each other's
# Services, and no rule, route or bridge of the node is left once its namespace is gone.

network_ready() {
	local node=$state/node.netns
	if ! ip link show "$world" >/dev/null 2>&1; then
		ip link add "$world" type bridge || cannot "this kernel has no bridge devices"
		ip addr add "$world_address/24" dev "$world"
		ip link set "$world" up
	fi
	if [ -n "$own_cluster" ] && ! mountpoint -q "$node"; then
		ip link delete "${world}n" 2>/dev/null || true
		touch "$node" && unshare --net="$node" true
		ip link add "${world}n" type veth peer name eth0 netns "$node" || cannot "this kernel has no veth devices"
		ip link set "${world}n" master "$world" up
		in_node ip link set lo up
		in_node ip addr add "$node_address/24" dev eth0
		in_node ip link set eth0 up
		in_node ip route add default via "$world_address"
		# Services and pods are reached from this machine as from any other node.
		ip route replace "$service_net" via "$node_address"
		ip route replace "$pod_net" via "$node_address"
	fi
	way_out_ready
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
	umount -q "$state/node.netns" 2>/dev/null || true
	ip link delete "${world}n" 2>/dev/null || true
	ip link delete "$world" 2>/dev/null || true
	nft delete table ip "$world" 2>/dev/null || true
}
