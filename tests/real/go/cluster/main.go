// Command cluster is a whole one-node Kubernetes in one program: etcd, the control plane, the node and kubectl.
//
// It is for the tests that want a real cluster where no image can be pulled and no release downloaded: everything comes from Go's module
// proxy and is built once. The component is chosen by the name the program is called by (so that a symlink named kubectl is kubectl), or by
// its first argument when it is called as itself. It adds nothing to the components, and they read their usual flags; `forward` alone is
// the world's own.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Each component by the name its own release gives it; etcd is no cobra command and keeps its own main.
var components = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kubectl":                 command(kubectl.NewDefaultKubectlCommand),
	"forward":                 forward,
}

func main() {
	name := filepath.Base(os.Args[0])
	if _, known := components[name]; !known && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	run, known := components[name]
	if !known {
		names := slices.Sorted(maps.Keys(components))
		fmt.Fprintf(os.Stderr, "cluster: no component %q; call it as, or with, one of %s\n", name, strings.Join(names, ", "))
		os.Exit(2)
	}
	run()
}

// command makes the component only when it is the one asked for: building a command registers flags and metrics for the whole process.
func command(create func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(create())) }
}
