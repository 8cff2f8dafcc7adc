//! Tests of an application: what a person says about what is run between build and push.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{ServiceName, TestName, ValueFrom};

/// A test of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSpec {
    /// What people call it.
    pub name: TestName,
    /// The image that is tested, as [`ImageSpec::name`](super::ImageSpec::name).
    pub image: String,
    /// What is run.
    pub run: TestRun,
    /// With all that belongs to it; what takes longer is stopped, and failed.
    pub timeout: Duration,
}

/// What a test runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TestRun {
    /// A stage of the image's Dockerfile is built: the test is that it can be.
    Target(String),
    /// A command is run in a container of the image: the test is that it exits with 0.
    Command(Box<TestCommand>),
}

/// A command that is run in a container of the image that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestCommand {
    /// A program and its arguments, instead of the image's own; at least the program.
    pub command: Vec<String>,
    /// Variables beside those of the image.
    pub env: BTreeMap<String, ValueFrom>,
    /// JUnit files in the container, or folders of them.
    pub reports: Vec<String>,
    /// What runs beside it.
    pub services: Vec<ServiceSpec>,
    /// Of each of its containers.
    pub limits: ContainerLimits,
}

/// A container that runs beside a test, on a network of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceSpec {
    /// The name by which the test reaches it.
    pub name: ServiceName,
    /// Its image, with a tag or digest; pulled where the engine does not have it.
    pub image: String,
    /// Arguments, or a program with its arguments, instead of the image's own; the image's own where empty.
    pub command: Vec<String>,
    /// Variables beside those of the image.
    pub env: BTreeMap<String, ValueFrom>,
    /// A command in it that exits with 0 once it is ready; the image's own health check where empty.
    pub ready: Vec<String>,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ContainerLimits {
    /// Memory in bytes, without swap.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
}
