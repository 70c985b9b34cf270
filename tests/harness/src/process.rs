//! A process of the binary under test.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a process may take until it serves: generous, because machines that build and test are busy.
const READY: Duration = Duration::from_secs(60);
/// Lines of a log that a failed test shows.
const SHOWN: usize = 60;

/// A running process. Killed when dropped; if a test panics, the end of its log is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
    server: Option<String>,
    began: Instant,
}

/// The binary under test: `ROCKETBRIDGE_TEST_BINARY`, or `rocketbridge` in the directory that the test was built in.
///
/// # Panics
///
/// When there is no such file.
pub fn binary() -> PathBuf {
    let built = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("rocketbridge"));
    let binary = std::env::var_os("ROCKETBRIDGE_TEST_BINARY").map(PathBuf::from).or_else(built).expect("a test has a path");
    assert!(
        binary.is_file(),
        "there is no binary {}; build it with `cargo build -p rocketbridge-cli`, or set ROCKETBRIDGE_TEST_BINARY",
        binary.display()
    );
    binary
}

impl Process {
    /// Starts the binary with arguments and variables, and does not wait. Its log goes to `directory`.
    pub fn spawn(directory: &Path, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = directory.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("the test's directory is writable");
        let mut command = Command::new(binary());
        // Settings of the machine or the developer must not reach the process.
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|name| name.starts_with("ROCKETBRIDGE_")) {
                command.env_remove(variable);
            }
        }
        command.args(arguments).envs(variables.iter().copied()).current_dir(directory);
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary().display()));
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, lines) = channel();
        // This reads for as long as the process lives, so that the process never waits for the test.
        std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line).ok()));
        Self { name: name.to_owned(), child, lines, log, server: None, began }
    }

    /// As [`spawn`](Self::spawn), and waits until it serves.
    pub fn start(directory: &Path, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process = Self::spawn(directory, name, arguments, variables);
        process.serving();
        process
    }

    /// Waits for its first line of output, which reports the address that it serves.
    pub fn serving(&mut self) {
        let line = self.line();
        let Some(server) = line.strip_prefix("serving ") else { panic!("first line of {}: {line:?}", self.name) };
        self.server = Some(server.to_owned());
    }

    /// The next line of its output.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(READY) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("{} printed no line within {READY:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => panic!("{} ended: {:?}", self.name, self.child.wait()),
        }
    }

    /// Its name within the test.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that it serves, `http://HOST:PORT`.
    pub fn server(&self) -> &str {
        self.server.as_deref().expect("serving() has been called")
    }

    /// How long it has been running.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it with SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    /// Stops it with SIGSTOP: it keeps its connections open and answers nothing.
    pub fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets a stopped process continue.
    pub fn thaw(&self) {
        self.signal(libc::SIGCONT);
    }

    /// Sends SIGTERM, at which it drains and ends.
    pub fn terminate(&self) {
        self.signal(libc::SIGTERM);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it does not within `deadline`.
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(begin.elapsed() < deadline, "{} has not ended within {deadline:?}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Prints the end of its log.
    pub fn show_log(&self) {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
        let _ = writeln!(std::io::stderr(), "---- log of {}, {} lines, the last {SHOWN}:\n{end}", self.name, lines.len());
    }

    #[allow(unsafe_code)]
    fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid is a positive pid_t");
        // SAFETY: kill(2) touches no memory of ours. The pid is our child's until we wait for it, and `self` still holds it.
        let result = unsafe { libc::kill(pid, signal) };
        assert_eq!(result, 0, "signal {signal} for {}: {}", self.name, std::io::Error::last_os_error());
    }

    fn end(&mut self) {
        // This fails only if the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            self.show_log();
        }
    }
}
