# The images of a world, made here since none can be pulled on a machine without a way out: busybox, as a base for a test's Dockerfile, and
# the sandbox of a pod, which is the same files with something to wait in.
#
# One archive as `docker save` writes it; the engine, podman and containerd all load it.

base_image=world/busybox:1
sandbox_image=world/pause:1

image_ready() {
	local work=$state/image.new layer
	[ ! -f "$state/image.tar" ] || return 0
	rm -rf "$work" && mkdir -p "$work/root"/{bin,etc,root,tmp} "$work/archive"
	cp "$(command -v busybox)" "$work/root/bin/busybox"
	chroot "$work/root" /bin/busybox --install -s /bin
	chmod 1777 "$work/root/tmp"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$work/root/etc/passwd"
	printf 'root:x:0:\nnobody:x:65534:\n' >"$work/root/etc/group"
	# Without times and owners of this machine, the same files give the same digest in every world.
	archive "$work/root" "$work/archive/layer.tar"
	layer=$(sha256sum <"$work/archive/layer.tar" | cut -d' ' -f1)
	image_config "$layer" '"sh"' >"$work/archive/busybox.json"
	image_config "$layer" '"sleep","2147483647"' >"$work/archive/pause.json"
	printf '[{"Config":"busybox.json","RepoTags":["%s"],"Layers":["layer.tar"]},{"Config":"pause.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' \
		"$base_image" "$sandbox_image" >"$work/archive/manifest.json"
	archive "$work/archive" "$state/image.tar.new"
	mv "$state/image.tar.new" "$state/image.tar"
	rm -rf "$work"
}

archive() { # FOLDER FILE
	(cd "$1" && tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$2" -- *)
}

# Podman builds on no image whose history does not tell of each layer.
image_config() { # LAYER COMMAND
	local created='"created":"1970-01-01T00:00:00Z"'
	printf '{"architecture":"%s","os":"linux",%s,"config":{"Env":["PATH=/bin"],"Cmd":[%s]},"history":[{%s,"created_by":"world"}],%s}' \
		"$(dpkg --print-architecture)" "$created" "$2" "$created" '"rootfs":{"type":"layers","diff_ids":["sha256:'"$1"'"]}'
}

# images_ready: the base image in the engine, and in each registry under the same name, so that FROM works either way. What an engine or a
# registry of somebody else has under these names is left as it is.
images_ready() {
	local repository name
	image_here "$base_image" || docker_here load -q -i "$state/image.tar" >/dev/null ||
		fail "$state/log/engine" "loading $base_image into the engine at $docker_host"
	[ ! -f "$state/run/images-pushed" ] || return 0
	for repository in "$registry" "127.0.0.1:$registry_login_port" "127.0.0.1:$forge_port/ops"; do
		name=$repository/${base_image##*/}
		[ -n "$own_registry" ] || [ "$repository" != "$registry" ] || ! registry_has "$base_image" || continue
		image_here "$name" || docker_here tag "$base_image" "$name"
		docker_here push -q "$name" >"$state/log/push" 2>&1 || fail "$state/log/push" "pushing the base image to $repository"
	done
	touch "$state/run/images-pushed"
}

# image_here NAME: whether the engine has it. What a borrowed one does not have, and gets now, is noted, so that `down` takes it away again.
image_here() {
	! docker_here image inspect "$1" >/dev/null 2>&1 || return 0
	[ -n "$own_engine" ] || echo "$1" >>"$state/lent"
	return 1
}

registry_has() { # IMAGE
	local name=${1##*/}
	curl -sfI -o /dev/null -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://$registry/v2/${name%:*}/manifests/${name#*:}"
}

lent_gone() {
	local name
	[ -f "$state/lent" ] || return 0
	while read -r name; do
		timeout 30 "$state/bin/docker" --host "$docker_host" rmi "$name" >/dev/null 2>&1 </dev/null || say "$name stays in the engine at $docker_host"
	done < <(tac "$state/lent")
	rm -f "$state/lent"
}

# The client with this world's logins, and never the user's own.
docker_here() { DOCKER_CONFIG=$state/docker DOCKER_HOST=$docker_host "$state/bin/docker" "$@"; }
