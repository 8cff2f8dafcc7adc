//! The kinds that this cluster serves from the start, and the kinds that CustomResourceDefinitions add. Pure.

use serde_json::Value;

use super::schema::{Shape, custom, known};

/// A served kind in one version of its group.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// `apps`; empty for the core group.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `Deployment`
    pub kind: String,
    /// `deployments`
    pub plural: String,
    /// `deployment`
    pub singular: String,
    /// `deploy`
    pub short: Vec<String>,
    /// `all`, where `kubectl get all` shows it.
    pub categories: Vec<String>,
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Has a status of its own, written through `/status`.
    pub status: bool,
    /// Can be scaled through `/scale`.
    pub scale: bool,
    /// Counts the changes of its spec in `metadata.generation`.
    pub generation: bool,
    /// Came with a CustomResourceDefinition.
    pub custom: bool,
    /// What its objects look like.
    pub shape: Shape,
}

impl Kind {
    /// `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether it is this builtin kind.
    pub fn is(&self, kind: &str) -> bool {
        !self.custom && self.kind == kind
    }

    /// The kinds that a CustomResourceDefinition serves: one a served version.
    pub fn of_definition(definition: &Value) -> Vec<Kind> {
        let text = |at: &str| definition.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let words = |at: &str| -> Vec<String> {
            let list = definition.pointer(at).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        let served = versions.filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
        let kind = |version: &Value| Kind {
            group: text("/spec/group"),
            version: version.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            kind: text("/spec/names/kind"),
            plural: text("/spec/names/plural"),
            singular: text("/spec/names/singular"),
            short: words("/spec/names/shortNames"),
            categories: words("/spec/names/categories"),
            namespaced: text("/spec/scope") == "Namespaced",
            status: version.pointer("/subresources/status").is_some(),
            scale: false,
            generation: true,
            custom: true,
            shape: custom::shape_of(version.pointer("/schema/openAPIV3Schema")),
        };
        served.map(kind).collect()
    }
}

/// `group version kind plural short flags`. Flags: n namespaced, s status, c scale, g generation, a in `all`.
const TABLE: &str = "
-                          v1 Namespace                namespaces                ns          s
-                          v1 Node                     nodes                     no          s
-                          v1 PersistentVolume         persistentvolumes         pv          s
-                          v1 Pod                      pods                      po          nsga
-                          v1 Service                  services                  svc         nsa
-                          v1 ConfigMap                configmaps                cm          n
-                          v1 Secret                   secrets                   -           n
-                          v1 ServiceAccount           serviceaccounts           sa          n
-                          v1 Event                    events                    ev          n
-                          v1 PersistentVolumeClaim    persistentvolumeclaims    pvc         ns
-                          v1 Endpoints                endpoints                 ep          n
-                          v1 ResourceQuota            resourcequotas            quota       ns
-                          v1 LimitRange               limitranges               limits      n
apps                       v1 Deployment               deployments               deploy      nscga
apps                       v1 ReplicaSet               replicasets               rs          nscga
apps                       v1 StatefulSet              statefulsets              sts         nscga
apps                       v1 DaemonSet                daemonsets                ds          nsga
batch                      v1 Job                      jobs                      -           nsga
batch                      v1 CronJob                  cronjobs                  cj          nsga
networking.k8s.io          v1 Ingress                  ingresses                 ing         nsg
networking.k8s.io          v1 NetworkPolicy            networkpolicies           netpol      ng
policy                     v1 PodDisruptionBudget      poddisruptionbudgets      pdb         nsg
autoscaling                v2 HorizontalPodAutoscaler  horizontalpodautoscalers  hpa         nsa
rbac.authorization.k8s.io  v1 Role                     roles                     -           n
rbac.authorization.k8s.io  v1 RoleBinding              rolebindings              -           n
rbac.authorization.k8s.io  v1 ClusterRole              clusterroles              -           -
rbac.authorization.k8s.io  v1 ClusterRoleBinding       clusterrolebindings       -           -
storage.k8s.io             v1 StorageClass             storageclasses            sc          -
apiextensions.k8s.io       v1 CustomResourceDefinition customresourcedefinitions crd,crds    sg
apiregistration.k8s.io     v1 APIService               apiservices               -           s
";

/// The kinds served from the start.
pub fn builtin() -> Vec<Kind> {
    TABLE.lines().filter(|line| !line.is_empty()).map(row).collect()
}

fn row(line: &str) -> Kind {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [group, version, kind, plural, short, flags] = words[..] else {
        panic!("the table of kinds has six columns, not those of {line:?}");
    };
    let some = |word: &str| if word == "-" { Vec::new() } else { word.split(',').map(str::to_owned).collect() };
    let flag = |letter: char| flags.contains(letter);
    Kind {
        group: group.trim_matches('-').to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short: some(short),
        categories: if flag('a') { vec!["all".to_owned()] } else { Vec::new() },
        namespaced: flag('n'),
        status: flag('s'),
        scale: flag('c'),
        generation: flag('g'),
        custom: false,
        shape: known(kind).unwrap_or_else(|| panic!("kubernetes.txt does not describe {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads() {
        let kinds = builtin();
        let deployment = kinds.iter().find(|kind| kind.is("Deployment")).expect("deployments are served");
        assert_eq!(deployment.qualified(), "deployments.apps");
        assert!(deployment.namespaced && deployment.status && deployment.scale && deployment.generation);
        assert_eq!(kinds.iter().filter(|kind| !kind.namespaced).count(), 8);
    }
}
