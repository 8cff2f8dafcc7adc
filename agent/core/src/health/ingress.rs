//! Ingress. An address in its status is a courtesy: controllers on bare metal and behind another load balancer serve
//! for years without writing one, so its lack cannot be told from work that goes on. We say that there is none and call
//! it Healthy, as kstatus does; Argo CD would wait for ever.

use serde_json::Value;

use crate::health::Verdict;
use crate::health::field::{list, text};

pub(super) fn assess(object: &Value) -> Verdict {
    let balancers = list(object, "/status/loadBalancer/ingress");
    let errors = balancers.iter().flat_map(|balancer| list(balancer, "/ports")).map(|port| text(port, "/error"));
    let hosts: Vec<&str> =
        list(object, "/spec/rules").iter().map(|rule| text(rule, "/host")).filter(|host| !host.is_empty()).collect();
    let verdict = match errors.into_iter().find(|error| !error.is_empty()) {
        Some(error) => Verdict::degraded(format!("its load balancer cannot serve a port: {error}")),
        None if balancers.is_empty() => Verdict::healthy_with("no controller has reported an address"),
        None => Verdict::healthy(),
    };
    verdict.about(hosts.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::health::tests::check;

    #[test]
    fn an_address_is_told_where_there_is_one() {
        for (status, expected) in [
            ("loadBalancer: {ingress: [{ip: 192.0.2.7}]}", "Healthy [shop.example.com, www.example.com]"),
            ("loadBalancer: {}", "Healthy: no controller has reported an address [shop.example.com, www.example.com]"),
            (
                "loadBalancer: {ingress: [{ip: 192.0.2.7, ports: [{port: 443, protocol: TCP, error: NoCertificate}]}]}",
                "Degraded: its load balancer cannot serve a port: NoCertificate [shop.example.com, www.example.com]",
            ),
        ] {
            let rules = "rules: [{host: shop.example.com}, {http: {}}, {host: www.example.com}]";
            check(
                &format!(
                    "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: a}}, spec: {{{rules}}}, status: {{{status}}}}}"
                ),
                expected,
            );
        }
        check(
            "{apiVersion: networking.k8s.io/v1, kind: Ingress, spec: {defaultBackend: {}}}",
            "Healthy: no controller has reported an address",
        );
    }
}
