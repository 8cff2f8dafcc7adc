# Two registries from Debian's docker-registry: `registry` asks nobody who they are, `registry-login` wants a name and a password (basic
# login). The third, with token login, is the forge's own.

begin_registry() {
	registry_config registry "$registry_port" >"$state/registry.yml"
	begin registry docker-registry serve "$state/registry.yml"
}

begin_registry_login() {
	[ -f "$state/secrets/registry-login" ] || openssl rand -hex 12 >"$state/secrets/registry-login"
	# Bcrypt is the only kind that the registry reads; the C library makes it, and the password stays off every command line.
	(cat "$state/secrets/registry-login" && openssl rand -hex 11) |
		perl -e 'chomp(my ($word, $salt) = <STDIN>); print "ops:", crypt($word, "\$2b\$05\$$salt"), "\n"' >"$state/secrets/htpasswd"
	{
		registry_config registry-login "$registry_login_port"
		printf 'auth:\n  htpasswd: {realm: world, path: "%s"}\n' "$state/secrets/htpasswd"
	} >"$state/registry-login.yml"
	begin registry-login docker-registry serve "$state/registry-login.yml"
}

await_registry() { await registry 20 registry_answers "$registry_port" 200; }
await_registry_login() { await registry-login 20 registry_answers "$registry_login_port" 401; }
end_registry() { end registry; }
end_registry_login() { end registry-login; }

registry_answers() { # PORT STATUS
	[ "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/v2/")" = "$2" ]
}

registry_config() { # NAME PORT
	cat <<-C
		version: 0.1
		log: {level: info, accesslog: {disabled: false}}
		storage:
		  filesystem: {rootdirectory: "$state/$1"}
		  delete: {enabled: true}
		http: {addr: "127.0.0.1:$2", secret: $(openssl rand -hex 16)}
	C
}
