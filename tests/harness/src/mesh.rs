//! The services as processes of their own, on etcd.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Etcd;
use crate::api::Api;
use crate::process::Process;

/// How long the ownerships of a dead process last.
const LEASE_TTL: &str = "4s";
/// Where a process listens that nobody has to know beforehand.
const ANY_PORT: &str = "127.0.0.1:0";

/// The role of a process of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Serves the API and plans.
    Controller,
    /// Reads sources.
    Router,
    /// Matches.
    Filter,
    /// Delivers.
    Dispatcher,
}

/// A mesh of processes. All end when it is dropped.
pub struct Mesh {
    // Stands before the directory, because dropping a process may read its log.
    processes: Vec<(Role, Process)>,
    directory: TempDir,
    etcd: String,
    /// A folder that `rocketbridge certs dev` made; `None` for a mesh without TLS.
    certificates: Option<PathBuf>,
    variables: Vec<(String, String)>,
    started: usize,
}

impl Mesh {
    /// Starts one controller and two processes of each other role. `variables` are further settings of every process.
    pub fn start(etcd: &Etcd, variables: &[(&str, &str)]) -> Self {
        Self::begin(etcd, None, variables)
    }

    /// As [`start`](Self::start), with TLS: each process shows the certificate of its role from a folder that `rocketbridge certs dev` made.
    pub fn start_with_certificates(etcd: &Etcd, certificates: &Path) -> Self {
        Self::begin(etcd, Some(certificates.to_owned()), &[])
    }

    fn begin(etcd: &Etcd, certificates: Option<PathBuf>, variables: &[(&str, &str)]) -> Self {
        let mut mesh = Self::empty(etcd, variables);
        mesh.certificates = certificates;
        use Role::{Controller, Dispatcher, Filter, Router};
        for role in [Controller, Router, Router, Filter, Filter, Dispatcher, Dispatcher] {
            mesh.spawn(role, ANY_PORT, &[]);
        }
        mesh.processes.iter_mut().for_each(|(_, process)| process.serving());
        mesh
    }

    /// A mesh without processes.
    pub fn empty(etcd: &Etcd, variables: &[(&str, &str)]) -> Self {
        Self {
            processes: Vec::new(),
            directory: tempfile::tempdir().expect("a temporary directory"),
            etcd: etcd.endpoints.join(","),
            certificates: None,
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            started: 0,
        }
    }

    /// Adds a process and waits until it serves.
    pub fn add(&mut self, role: Role) -> &Process {
        self.add_at(role, ANY_PORT, &[])
    }

    /// Adds a process that listens at an address, with more arguments, and waits until it serves.
    pub fn add_at(&mut self, role: Role, listen: &str, more: &[&str]) -> &Process {
        self.spawn(role, listen, more);
        let (_, process) = self.processes.last_mut().expect("one was just added");
        process.serving();
        process
    }

    /// Takes a running process out of the mesh's list. Its name is its identity among the members.
    pub fn take(&mut self, name: &str) -> Process {
        let index = self.processes.iter().position(|(_, process)| process.name() == name);
        self.processes.remove(index.unwrap_or_else(|| panic!("there is no process {name}"))).1
    }

    /// Puts a process back into the list.
    pub fn put(&mut self, role: Role, process: Process) {
        self.processes.push((role, process));
    }

    /// The processes of a role, oldest first.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |(candidate, _)| *candidate == role).map(|(_, process)| process)
    }

    /// All processes.
    pub fn all(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter().map(|(_, process)| process)
    }

    /// The API of the controller.
    pub async fn api(&self) -> Api {
        Api::connect(self.of(Role::Controller).next().expect("there is a controller").server()).await
    }

    /// The folder of the logs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn spawn(&mut self, role: Role, listen: &str, more: &[&str]) {
        self.started += 1;
        let name = format!("{}-{}", role.verb(), self.started);
        let places = ["--etcd", &self.etcd, "--etcd-prefix", "/test", "--listen", listen];
        let mut arguments = [&[role.verb(), "--member-id", &name, "--lease-ttl", LEASE_TTL][..], &places, more].concat();
        let files = self.certificates.as_ref().map(|folder| {
            ["ca.pem".to_owned(), format!("{}.pem", role.verb()), format!("{}.key", role.verb())]
                .map(|file| folder.join(file).display().to_string())
        });
        if let Some([ca, certificate, key]) = &files {
            arguments.extend(["--tls-ca", ca, "--tls-cert", certificate, "--tls-key", key]);
        }
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.processes.push((role, Process::spawn(self.directory.path(), &name, &arguments, &variables)));
    }
}

impl Role {
    fn verb(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Router => "router",
            Self::Filter => "filter",
            Self::Dispatcher => "dispatcher",
        }
    }
}
