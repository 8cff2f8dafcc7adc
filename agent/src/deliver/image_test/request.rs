//! What the engine is asked to run, and by which digest it is known that it was.

use std::collections::BTreeMap;

use quarterdeck_shared::application::{ImageSpec, ServiceSpec, TestCommand, TestSpec};
use quarterdeck_shared::artifact::Image;
use quarterdeck_shared::snapshot::RunStatus;
use sha2::{Digest as _, Sha256};

use crate::deliver::DeliverError;
use crate::deliver::values::given;
use quarterdeck_container::engine::testing::{ContainerRequest, ServiceRequest, TestRequest};
use quarterdeck_core::image_ref::ImageRef;

/// Of what is run, on which image. Where secrets are is part of it, what they are is not; nor are limits.
pub(super) fn digest(test: &TestSpec, image: &ImageSpec, id: &str) -> String {
    let text = serde_json::json!([id, test.run, image]).to_string();
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// What the engine is asked for, but for logins.
pub(super) fn request(
    test: &TestSpec,
    command: &TestCommand,
    image: &Image,
    owner: String,
    run: &RunStatus,
) -> Result<TestRequest, DeliverError> {
    let is_of_fork = run.permission.is_some();
    let service = |spec: &ServiceSpec| Ok::<_, DeliverError>((spec.name.to_string(), service(spec, is_of_fork)?));
    Ok(TestRequest {
        name: test.name.to_string(),
        owner,
        called: format!("quarterdeck-{}-{}", run.id, test.name),
        container: ContainerRequest {
            image: image.id.clone(),
            command: command.command.clone(),
            env: given("variable", &command.env, is_of_fork)?,
        },
        reports: command.reports.clone(),
        services: command.services.iter().map(service).collect::<Result<_, _>>()?,
        limits: command.limits,
        timeout: test.timeout,
        logins: BTreeMap::new(),
    })
}

fn service(spec: &ServiceSpec, is_of_fork: bool) -> Result<ServiceRequest, DeliverError> {
    let image = ImageRef::parse(&spec.image)?;
    let env = given("variable", &spec.env, is_of_fork)?;
    let container = ContainerRequest { image: spec.image.clone(), command: spec.command.clone(), env };
    Ok(ServiceRequest { container, image, ready: spec.ready.clone() })
}
