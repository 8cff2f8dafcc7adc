//! Service. Only one that asks for a load balancer has something to wait for.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{condition_that_is, list, text};
use crate::health::time::Patience;

pub(super) fn assess(object: &Value) -> Verdict {
    let kind = text(object, "/spec/type");
    if kind == "ExternalName" {
        return Verdict::healthy().about(format!("→ {}", text(object, "/spec/externalName")));
    }
    let ports = ports(object);
    if kind != "LoadBalancer" {
        let headless = text(object, "/spec/clusterIP") == "None";
        return Verdict::healthy().about(if headless {
            format!("headless {ports}").trim_end().to_owned()
        } else {
            ports
        });
    }
    let balancers = list(object, "/status/loadBalancer/ingress");
    let errors = balancers.iter().flat_map(|balancer| list(balancer, "/ports")).map(|port| text(port, "/error"));
    if let Some(error) = errors.into_iter().find(|error| !error.is_empty()) {
        return Verdict::degraded(format!("its load balancer cannot serve a port: {error}")).about(ports);
    }
    if let Some(error) = condition_that_is(object, "LoadBalancerPortsError", "True") {
        return Verdict::degraded(error.summary()).about(ports);
    }
    if balancers.is_empty() {
        let waits = Verdict::progressing("no load balancer has given it an address yet");
        return waits.for_a_while(Patience::ADDRESS).about(ports);
    }
    let address = balancers.iter().map(address).find(|address| !address.is_empty()).unwrap_or_default();
    Verdict::healthy().about(format!("{address} {ports}").trim().to_owned())
}

fn address(balancer: &Value) -> &str {
    let ip = text(balancer, "/ip");
    if ip.is_empty() { text(balancer, "/hostname") } else { ip }
}

/// `:80 → 8080, :443`: the ports, and where they lead if that is another one.
fn ports(object: &Value) -> String {
    let port = |port: &Value| {
        let number = port.get("port").map(Value::to_string).unwrap_or_default();
        match port.get("targetPort") {
            Some(Value::String(target)) => format!(":{number} → {target}"),
            Some(target) if port.get("port") != Some(target) => format!(":{number} → {target}"),
            _ => format!(":{number}"),
        }
    };
    list(object, "/spec/ports").iter().map(port).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn only_a_load_balancer_is_waited_for() {
        for (spec, status, expected) in [
            (
                "type: ClusterIP, clusterIP: 10.0.0.1, ports: [{port: 80, targetPort: 8080}, {port: 443, targetPort: 443}]",
                "loadBalancer: {}",
                "Healthy [:80 → 8080, :443]",
            ),
            ("ports: [{port: 80, targetPort: http}]", "", "Healthy [:80 → http]"),
            ("clusterIP: None, ports: [{port: 5432}]", "", "Healthy [headless :5432]"),
            ("clusterIP: None", "", "Healthy [headless]"),
            ("type: ExternalName, externalName: db.example.com", "", "Healthy [→ db.example.com]"),
            ("type: NodePort, ports: [{port: 80, nodePort: 30080}]", "", "Healthy [:80]"),
            (
                "type: LoadBalancer, ports: [{port: 80}]",
                "loadBalancer: {}",
                "Progressing: no load balancer has given it an address yet [:80]",
            ),
            (
                "type: LoadBalancer, ports: [{port: 80}]",
                "loadBalancer: {ingress: [{ip: 192.0.2.7, ipMode: VIP}]}",
                "Healthy [192.0.2.7 :80]",
            ),
            (
                "type: LoadBalancer, ports: [{port: 80}]",
                "loadBalancer: {ingress: [{hostname: a.elb.example.com}]}",
                "Healthy [a.elb.example.com :80]",
            ),
            (
                "type: LoadBalancer, ports: [{port: 80}]",
                "loadBalancer: {ingress: [{ip: 192.0.2.7, ports: [{port: 80, error: MixedProtocolNotSupported}]}]}",
                "Degraded: its load balancer cannot serve a port: MixedProtocolNotSupported [:80]",
            ),
        ] {
            check(
                &format!(
                    "{{apiVersion: v1, kind: Service, metadata: {{name: a}}, spec: {{{spec}}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
    }
}
