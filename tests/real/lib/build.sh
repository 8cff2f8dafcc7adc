# The Go programs of the world, built once and kept: `cluster` (Kubernetes), `forge` (Gitea), `helm`, `cosign`, `syft`,
# `fulcio` with `timestamp-server` (Sigstore), `buildctl` with `buildkitd` (BuildKit), and `podinfo` with its chart and its kustomization,
# which stories deploy.
#
# A built program is kept under a key made of its sources, of the function here that builds it, and of the Go that built it; nothing built
# or fetched is in the repository.
# A machine without Go, or with one that is too old, may use what the cache holds of the same sources, whatever Go built it.

cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/quarterdeck-world

# programs_ready: leaves the folders of the programs in $cluster_built, $forge_built, $helm_built, $cosign_built, $fulcio_built, $syft_built,
# $buildctl_built and $podinfo_built.
programs_ready() {
	mkdir -p "$cache"
	exec 8>"$cache/lock"
	flock -n 8 || { say "another world builds; waiting for it" && flock 8; }
	rm -rf "$cache"/*.new
	cluster_built=$(built cluster) || exit
	forge_built=$(built forge) || exit
	helm_built=$(built helm) || exit
	cosign_built=$(built cosign) || exit
	fulcio_built=$(built fulcio) || exit
	syft_built=$(built syft) || exit
	buildctl_built=$(built buildctl) || exit
	podinfo_built=$(built podinfo) || exit
	exec 8>&-
}

# built NAME: prints the folder that holds the built program, and builds it where there is none.
built() {
	local name=$1 sources=$real/go/$1 key version kept folder
	# Asked in the program's folder: with a go.mod that wants a newer Go, the go command answers for the one that it fetches.
	key=$({ cat "$sources"/*.go "$sources/go.mod" "$sources/go.sum" && declare -f "build_$name"; } | sha256sum | cut -c1-16)
	if ! version=$(cd "$sources" && go env GOVERSION 2>&1); then
		for kept in "$cache/$name-$key"-*/"$name"; do
			[ -x "$kept" ] && dirname "$kept" && return
		done
		command -v go >/dev/null && version="its Go is too old (${version//$'\n'/; })" || version="it has no Go"
		cannot "$version and no built $name in $cache; put Go 1.26 or newer (https://go.dev/dl) in the PATH"
	fi
	folder=$cache/$name-$key-$version
	if [ ! -x "$folder/$name" ]; then
		rm -rf "$folder" "$folder.new" && mkdir -p "$folder.new"
		"build_$name" "$sources" "$folder.new"
		mv "$folder.new" "$folder"
	fi
	echo "$folder"
}

build_cluster() { # SOURCES FOLDER
	local release version=k8s.io/component-base/version
	release=$(module_version "$1" k8s.io/kubernetes)
	go_build cluster "$1" "$2" 0 '' "-X $version.gitVersion=$release -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$release")"
}

# After the cluster, whose modules it shares: with these compiled it takes a minute.
build_helm() { # SOURCES FOLDER
	local release
	release=$(module_version "$1" helm.sh/helm/v3)
	go_build helm "$1" "$2" 0 '' "-X helm.sh/helm/v3/internal/version.version=$release" helm.sh/helm/v3/cmd/helm
}

build_cosign() { # SOURCES FOLDER
	local release
	release=$(module_version "$1" github.com/sigstore/cosign/v3)
	go_build cosign "$1" "$2" 0 '' "-X sigs.k8s.io/release-utils/version.gitVersion=$release" github.com/sigstore/cosign/v3/cmd/cosign
}

# The certificate authority and the timestamp authority of signatures without a key. After cosign, whose modules they share: a minute.
build_fulcio() { # SOURCES FOLDER
	go_build timestamp-server "$1" "$2" 0 '' '' github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server
	go_build fulcio "$1" "$2" 0 '' '' github.com/sigstore/fulcio
}

build_syft() { # SOURCES FOLDER
	local release
	release=$(module_version "$1" github.com/anchore/syft)
	go_build syft "$1" "$2" 0 '' "-X main.version=${release#v}" github.com/anchore/syft/cmd/syft
}

# The client and the daemon, of one module: the second takes what the first compiled.
build_buildctl() { # SOURCES FOLDER
	local release module=github.com/moby/buildkit flags
	release=$(module_version "$1" $module)
	flags="-X $module/version.Version=$release"
	go_build buildkitd "$1" "$2" 0 '' "$flags" $module/cmd/buildkitd
	go_build buildctl "$1" "$2" 0 '' "$flags" $module/cmd/buildctl
}

# The server, its client, and what its image and its manifests are made of, as they are published.
build_podinfo() { # SOURCES FOLDER
	local module=github.com/stefanprodan/podinfo files
	go_build podcli "$1" "$2" 0 '' '' $module/cmd/podcli
	go_build podinfo "$1" "$2" 0 '' '' $module/cmd/podinfo
	files=$(cd "$1" && go list -m -f '{{.Dir}}' $module)
	cp -r "$files/charts/podinfo" "$2/chart"
	cp -r "$files/kustomize" "$files/ui" "$2/"
	chmod -R u+w,go+rX "$2"
}

# The forge reads templates and locales from files; they are copied out of Go's cache, which the user it runs as may not be able to read.
build_forge() { # SOURCES FOLDER
	local release module
	packages_ready gcc libc6-dev
	release=$(module_version "$1" code.gitea.io/gitea)
	go_build forge "$1" "$2" 1 'sqlite sqlite_unlock_notify' "-X main.version=${release#v}"
	module=$(cd "$1" && go list -m -f '{{.Dir}}' code.gitea.io/gitea)
	cp -r "$module/templates" "$module/options" "$2/"
	chmod -R u+w,go+rX "$2"
}

module_version() { # SOURCES MODULE
	(cd "$1" && go list -m -f '{{.Version}}' "$2")
}

# go_build NAME SOURCES FOLDER CGO TAGS LINKER_FLAGS [PACKAGE]: minutes from cold, so it says every 20 s that it lives.
go_build() {
	local name=$1 sources=$2 folder=$3 cgo=$4 tags=$5 flags=$6 package=${7:-.} log=$cache/$1.log began=$SECONDS pid next=20
	say "building $name with $(cd "$sources" && go env GOVERSION): once, 4 to 15 minutes (log: $log)"
	(cd "$sources" && CGO_ENABLED=$cgo GOFLAGS=-mod=readonly exec nice -n 10 \
		go build -v -trimpath -tags "$tags" -ldflags "-s -w $flags" -o "$folder/$name" "$package") >"$log" 2>&1 8>&- &
	pid=$!
	# A process in the background does not hear the terminal's interrupt.
	trap 'kill "$pid"; exit 1' INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		[ $((SECONDS - began)) -ge $next ] || continue
		next=$((next + 20))
		say "building $name: $((SECONDS - began)) s, $(grep -vc '^go: downloading' "$log" || true) packages compiled"
	done
	wait "$pid" || fail "$log" "building $name"
	say "built $name in $((SECONDS - began)) s"
}
