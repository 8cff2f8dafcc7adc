# Debian's packages: only those that are missing, without starting the services that they bring.

packages=(docker.io containerd runc containernetworking-plugins docker-registry busybox-static iptables nftables conntrack iproute2 util-linux
	mount openssl openssh-client gpg gpg-agent git curl ca-certificates)

# packages_ready NAME...: a fresh machine may be installing something of its own, and is waited for.
packages_ready() {
	local missing log=/var/log/quarterdeck-world-apt.log
	missing=$(packages_missing "$@")
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || cannot "no apt-get on this machine, and missing are: $missing"
	say "installing from Debian: $missing"
	# shellcheck disable=SC2086
	without_services $missing >"$log" 2>&1 || {
		say "the package lists are old or absent; apt-get update"
		apt-get -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || fail "$log" "apt-get update"
		without_services $missing >>"$log" 2>&1 || fail "$log" "installing packages"
	}
	rm -f "$log"
}

packages_missing() {
	local name
	for name; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || printf '%s ' "$name"
	done
}

# Debian starts a service when its package comes, and at each boot after; a world has its own, and a machine that did not have them keeps
# not having them. Policy 101 is Debian's word for "do not start".
without_services() {
	local policy=/usr/sbin/policy-rc.d ours='' unit result=0
	if [ ! -e "$policy" ]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
	fi
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" || result=$?
	[ -z "$ours" ] || rm -f "$policy"
	for unit in docker.service docker.socket containerd.service docker-registry.service podman.socket podman.service; do
		case " $* " in
		*" ${unit%.*} "* | *" ${unit%.*}.io "*) systemctl disable "$unit" || true ;;
		esac
	done
	return $result
}
