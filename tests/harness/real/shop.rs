//! The shop that is operated on real parts: its code, and its manifests.

/// A shop: busybox's httpd that says its version. `ballast` are MiB that nothing compresses.
pub fn code(version: &str, ballast: u32) -> Vec<(String, String)> {
    let heavy = if ballast == 0 {
        String::new()
    } else {
        format!("RUN dd if=/dev/urandom of=/ballast bs=1M count={ballast}\n")
    };
    let dockerfile = format!(
        "FROM world/busybox:1\n{heavy}COPY index.html /www/index.html\n\
         CMD [\"sh\", \"-c\", \"echo shop {version} listens on :8080; exec httpd -f -p 8080 -h /www\"]\n"
    );
    vec![("Dockerfile".to_owned(), dockerfile), ("index.html".to_owned(), format!("shop {version}\n"))]
}

/// Deployment, Service and ConfigMap. A pod goes on answering for its grace period: httpd, as the first process, has no
/// handler for the signal, and by its end nobody asks it any more.
pub fn manifests(image: &str) -> Vec<(String, String)> {
    let deployment = format!(
        "# The image is written by Quarterdeck's promotion.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  labels: {{ tier: web }}
spec:
  replicas: 2
  selector:
    matchLabels: {{ app: shop }}
  template:
    metadata:
      labels: {{ app: shop }}
    spec:
      terminationGracePeriodSeconds: 3
      imagePullSecrets:
      - name: pull
      containers:
      - name: shop
        image: {image}   # promoted
        imagePullPolicy: IfNotPresent
        ports:
        - containerPort: 8080
        readinessProbe:
          httpGet: {{ path: /, port: 8080 }}
          periodSeconds: 1
        env:
        - {{ name: GREETING, valueFrom: {{ configMapKeyRef: {{ name: shop, key: greeting }} }} }}
"
    );
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: shop\nspec:\n  selector: { app: shop }\n  ports:\n  - port: 80\n    targetPort: 8080\n";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  greeting: hello\n";
    let file = |name: &str, text: &str| (format!("shop/{name}.yaml"), text.to_owned());
    vec![file("deployment", &deployment), file("service", service), file("config", config)]
}
