# The forge: Gitea, with git over HTTP and ssh, its API, and a container registry with token login. One administrator, `ops`.
#
# It refuses to run as root, so it runs as nobody and no user is added to the machine.

begin_forge() {
	local home=$state/forge
	[ -f "$home/app.ini" ] || forge_made
	begin forge setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$home" \
		"$state/bin/forge" --work-path "$home" --config "$home/app.ini" web
}

await_forge() { await forge 90 curl -sf "$forge_url/api/v1/version"; }
end_forge() { end forge 20; }

forge_made() {
	local home=$state/forge
	rm -rf "$home"
	install -d -m 0700 "$home"
	cp -r "$forge_built/templates" "$forge_built/options" "$home/"
	forge_config >"$home/app.ini"
	chown -R nobody:nogroup "$home"
}

forge_config() {
	cat <<-C
		RUN_MODE = prod
		APP_NAME = Forge of a Quarterdeck world
		[server]
		HTTP_ADDR = 127.0.0.1
		HTTP_PORT = $forge_port
		ROOT_URL = $forge_url/
		; The node asks by another address, and has to be sent there for its tokens.
		PUBLIC_URL_DETECTION = auto
		STATIC_ROOT_PATH = $state/forge
		START_SSH_SERVER = true
		SSH_USER = git
		BUILTIN_SSH_SERVER_USER = git
		SSH_DOMAIN = 127.0.0.1
		SSH_LISTEN_HOST = 127.0.0.1
		SSH_LISTEN_PORT = $forge_ssh_port
		SSH_PORT = $forge_ssh_port
		LFS_START_SERVER = true
		LFS_JWT_SECRET = $(openssl rand -base64 32 | tr '+/' '-_' | tr -d =)
		OFFLINE_MODE = true
		[database]
		DB_TYPE = sqlite3
		PATH = $state/forge/forge.db
		[security]
		INSTALL_LOCK = true
		SECRET_KEY = $(openssl rand -hex 32)
		PASSWORD_COMPLEXITY = lower,upper,digit
		[oauth2]
		ENABLED = false
		[webhook]
		; Hooks go to an agent on this very machine.
		ALLOWED_HOST_LIST = loopback,private
		[service]
		DISABLE_REGISTRATION = true
		[indexer]
		ISSUE_INDEXER_TYPE = db
		[actions]
		ENABLED = false
		[i18n]
		LANGS = en-US
		NAMES = English
		[repository]
		DEFAULT_BRANCH = main
		[log]
		MODE = console
		LEVEL = Info
	C
}

# accounts_ready: the administrator with password, token and ssh key, and the logins of all registries for the docker client.
accounts_ready() {
	[ -f "$state/secrets/forge" ] || administrator_made
	[ -f "$state/secrets/forge-ssh" ] || ssh_key_made
	local name auths=''
	for name in "127.0.0.1:$forge_port=ops:$(forge_secret token)" "127.0.0.1:$registry_login_port=ops:$(<"$state/secrets/registry-login")"; do
		auths+="${auths:+,}\"${name%%=*}\":{\"auth\":\"$(printf %s "${name#*=}" | base64 -w0)\"}"
	done
	(umask 077 && printf '{"auths":{%s}}\n' "$auths" >"$state/docker/config.json")
}

administrator_made() {
	local told=$state/secrets/forge.told
	(umask 077 && cd / && setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$state/forge" \
		"$state/bin/forge" --work-path "$state/forge" --config "$state/forge/app.ini" admin user create --username ops \
		--email ops@example.test --admin --must-change-password=false --random-password --access-token --access-token-scopes all \
		>"$told" 2>"$state/log/forge-user") || fail "$state/log/forge-user" "making the forge's administrator"
	(umask 077 && sed -n "s/^generated random password is '\(.*\)'$/password \1/p; s/^Access token was.*\.\.\. /token /p" "$told" >"$state/secrets/forge.new")
	rm "$told"
	[ "$(wc -l <"$state/secrets/forge.new")" = 2 ] || fail "$state/log/forge-user" "the forge told no password or no token"
	mv "$state/secrets/forge.new" "$state/secrets/forge"
}

forge_secret() { sed -n "s/^$1 //p" "$state/secrets/forge"; } # password | token

ssh_key_made() {
	local key=$state/secrets/forge-ssh
	rm -f "$key.new" "$key.new.pub"
	ssh-keygen -q -t ed25519 -N '' -C ops@example.test -f "$key.new"
	printf 'header = "Authorization: token %s"\n' "$(forge_secret token)" | curl -sSf --config - -o "$state/log/forge-key" \
		--json "{\"title\": \"world\", \"key\": \"$(<"$key.new.pub")\"}" "$forge_url/api/v1/user/keys" 2>&1 ||
		fail "$state/log/forge-key" "giving the forge an ssh key"
	ssh-keyscan -p "$forge_ssh_port" 127.0.0.1 >"$state/known_hosts" 2>"$state/log/forge-keyscan" ||
		fail "$state/log/forge-keyscan" "asking the forge for its host key"
	mv "$key.new.pub" "$key.pub"
	mv "$key.new" "$key"
}
