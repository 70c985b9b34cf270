//! Somebody who does what a page says, to the letter, in a scratch folder.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rocketbridge_harness::binary;

use crate::page::{Section, Step, keeps};

/// How long a command may take to print what the page promises: generous, because machines that build and test are busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a server may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// Programs that serve until they are stopped.
const SERVERS: [&str; 7] = [
    "rocketbridge standalone",
    "rocketbridge controller",
    "rocketbridge router",
    "rocketbridge filter",
    "rocketbridge dispatcher",
    "etcd",
    "rocketbridge demo",
];
/// What only shows a state, which a reader looks at again after a moment.
const LOOKS: [&str; 3] = ["rocketbridge status", "rocketbridge get", "rocketbridge describe"];

/// The reader and the folder they work in.
pub(crate) struct Reader {
    directory: tempfile::TempDir,
    repository: PathBuf,
    /// Folders of further programs.
    tools: Vec<PathBuf>,
    servers: Vec<Server>,
}

struct Server {
    child: Child,
}

impl Reader {
    /// A reader with an empty folder and the built binary on the path.
    pub(crate) fn new(repository: &Path, tools: &[PathBuf]) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        Self { directory, repository: repository.to_owned(), tools: tools.to_vec(), servers: Vec::new() }
    }

    /// Does what a section says. The error is where the page and the program differ.
    pub(crate) fn follow(&mut self, section: &Section) -> Result<(), String> {
        let done = section.steps.iter().try_for_each(|step| self.step(step));
        self.stop_servers();
        done
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::File { name, content } => self.write(name, content),
            Step::Command { line, text, promised } => {
                let ended = match promised {
                    Some(promised) => self.transcribed(text, promised),
                    None => self.scripted(text),
                };
                ended.map_err(|difference| format!("line {line}: `{text}`: {difference}"))
            }
        }
    }

    fn write(&self, name: &str, content: &str) -> Result<(), String> {
        std::fs::write(self.directory.path().join(name), content).map_err(|error| format!("{name}: {error}"))
    }

    fn transcribed(&mut self, text: &str, promised: &[String]) -> Result<(), String> {
        if let Some(name) = text.strip_prefix("cat ").filter(|name| !self.directory.path().join(name).exists()) {
            let content: String = promised.iter().map(|line| format!("{line}\n")).collect();
            return self.write(name, &content);
        }
        if SERVERS.iter().any(|server| text.starts_with(server)) {
            return self.serve(text, promised);
        }
        let looks = LOOKS.iter().any(|look| text.starts_with(look));
        let begin = Instant::now();
        loop {
            let (_, printed) = self.run(text)?;
            let lines: Vec<&str> = printed.lines().collect();
            if keeps(promised, &lines) {
                return Ok(());
            }
            if !looks || begin.elapsed() > PATIENCE {
                return Err(format!("the page says\n{}\nand it printed\n{printed}", promised.join("\n")));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn scripted(&mut self, text: &str) -> Result<(), String> {
        if let Some(target) = text.strip_prefix("make ") {
            let target = target.split('#').next().unwrap_or_default().trim();
            // Whoever runs this has built it: only whether make knows what to do.
            let made = Command::new("make").args(["-n", "-C"]).arg(&self.repository).args(target.split(' ')).output();
            let made = made.map_err(|error| error.to_string())?;
            return if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned()) };
        }
        if SERVERS.iter().any(|server| text.starts_with(server)) {
            return self.serve(text, &[]);
        }
        match self.run(text)? {
            (true, _) => Ok(()),
            (false, printed) => Err(format!("it failed:\n{printed}")),
        }
    }

    /// Runs a command to its end; whether it succeeded, and what it printed.
    fn run(&self, text: &str) -> Result<(bool, String), String> {
        let output = self.directory.path().join(".printed");
        let mut child = self.spawn(text, &output, None)?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                // Whatever it waits for, it does not come.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it has not ended within {PATIENCE:?}; it printed\n{}", printed(&output)));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Ok((status.success(), printed(&output)))
    }

    /// Starts a server and waits until it printed what the page promises. Its log, on standard error, is not a page's matter.
    fn serve(&mut self, text: &str, promised: &[String]) -> Result<(), String> {
        let output = self.directory.path().join(format!(".server-{}", self.servers.len()));
        let log = output.with_extension("log");
        let child = self.spawn(text, &output, Some(&log))?;
        self.servers.push(Server { child });
        let server = self.servers.last_mut().expect("it was just added");
        let begin = Instant::now();
        loop {
            let shown = printed(&output);
            // It may go on to print more; what is promised comes first.
            let lines: Vec<&str> = shown.lines().take(promised.len()).collect();
            if keeps(promised, &lines) {
                return Ok(());
            }
            let ended = server.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || begin.elapsed() > PATIENCE {
                return Err(format!("the page says\n{}\nand it printed\n{shown}{}", promised.join("\n"), printed(&log)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a command. Errors of a server go to a file of their own, else where results go.
    fn spawn(&self, text: &str, output: &Path, errors: Option<&Path>) -> Result<Child, String> {
        let file = std::fs::File::create(output).map_err(|error| error.to_string())?;
        let errors_apart = errors.is_some();
        let errors = match errors {
            Some(path) => std::fs::File::create(path),
            None => file.try_clone(),
        };
        let errors = errors.map_err(|error| error.to_string())?;
        let mut command = Command::new("bash");
        for (variable, _) in std::env::vars_os() {
            if variable.to_str().is_some_and(|name| name.starts_with("ROCKETBRIDGE_")) {
                command.env_remove(variable);
            }
        }
        let binaries = binary().parent().expect("a binary has a folder").to_owned();
        let inherited = std::env::var("PATH").unwrap_or_default();
        let folders = std::iter::once(binaries).chain(self.tools.iter().cloned()).chain(std::env::split_paths(&inherited));
        let path = std::env::join_paths(folders).map_err(|error| error.to_string())?;
        // With `exec` a signal reaches the server itself.
        let line = if errors_apart { format!("exec {text}") } else { text.to_owned() };
        command.args(["-c", &line]).env("PATH", path).current_dir(self.directory.path());
        command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().map_err(|error| format!("cannot start bash: {error}"))
    }

    fn stop_servers(&mut self) {
        // The last one first, as a reader would.
        for mut server in self.servers.drain(..).rev() {
            let _ = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status();
            let begin = Instant::now();
            while server.child.try_wait().is_ok_and(|ended| ended.is_none()) && begin.elapsed() < STOP {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Fails only if it has ended.
            let _ = server.child.kill();
            let _ = server.child.wait();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop_servers();
    }
}

fn printed(path: &Path) -> String {
    let mut text = String::new();
    // What is not UTF-8 or not there yet is no promised output.
    let _ = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}
