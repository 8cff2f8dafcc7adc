// Command forge is the Gitea server, as its module serves it: git over HTTP and ssh, API, webhooks, commit statuses, protected tags and a
// container registry with token login. It has no web front end: the browser's scripts and styles are not part of the Go module.
package main

import (
	"os"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"
	"github.com/urfave/cli/v3"
)

// version is set by the linker from go.mod, so that the version is named in one place; Gitea compares it with what its database was made by.
var version = "unknown"

func main() {
	setting.AppVer = version
	cli.OsExiter = func(code int) {
		log.GetManager().Close()
		os.Exit(code)
	}
	app := cmd.NewMainApp(cmd.AppVersion{Version: version})
	err := cmd.RunMainApp(app, os.Args...)
	log.GetManager().Close()
	if err != nil {
		os.Exit(1)
	}
}
