//! The README and every page of `docs/`, done to the letter: each command is run as it stands, and prints what the page says.
//!
//! Pages name the default ports, so that readers need no others. Each test therefore runs again in a network of its own, where these
//! ports are free; where the system does not allow that, they must be free on this machine.

#![recursion_limit = "256"]

mod page;
mod reader;

use std::path::{Path, PathBuf};
use std::process::Command;

use rocketbridge_harness::skip;

use page::{Section, Step};
use reader::Reader;

/// Set in the run that has a network of its own.
const INNER: &str = "ROCKETBRIDGE_TEST_OWN_NETWORK";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// Runs the test of this name in a network of its own. Answers whether that was done, so that nothing is left to do.
fn elsewhere(test: &str) -> bool {
    if std::env::var_os(INNER).is_some() {
        return false;
    }
    let own = |command: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--net", "bash", "-c", "ip link set lo up && exec \"$@\"", "bash"]).args(command);
        unshare
    };
    if !own(&["true"]).status().is_ok_and(|status| status.success()) {
        return false;
    }
    let this = std::env::current_exe().expect("a test has a path");
    let this = this.to_str().expect("its path is text");
    let status = own(&[this, "--exact", test, "--nocapture"]).env(INNER, "1").status().expect("it was just tried");
    assert!(status.success(), "{test} failed in a network of its own; what it said stands above");
    true
}

/// Folders of programs that pages use and a machine may not have.
fn tools() -> Vec<PathBuf> {
    let mut tools = Vec::new();
    if let Some(grpcurl) = std::env::var_os("ROCKETBRIDGE_TEST_GRPCURL") {
        tools.extend(Path::new(&grpcurl).parent().map(Path::to_owned));
    }
    if let Some(kit) = std::env::var_os("ETCD_KIT") {
        let installed = Command::new(kit).arg("install").output().expect("the kit of etcd runs");
        let folder = String::from_utf8_lossy(&installed.stdout).trim().strip_prefix("ETCD_BIN=").map(PathBuf::from);
        tools.extend(folder);
    }
    tools
}

fn has(tools: &[PathBuf], program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    tools.iter().cloned().chain(std::env::split_paths(&path)).any(|folder| folder.join(program).is_file())
}

/// Whether a step is a command of this program.
fn begins(step: &Step, program: &str) -> bool {
    matches!(step, Step::Command { text, .. } if text.split_whitespace().next() == Some(program))
}

/// Does what a page says. What needs a program that this machine does not have is passed over, and that is told.
fn follow(name: &str, markdown: &str) -> Result<(), String> {
    let tools = tools();
    let mut reader = Reader::new(&repository(), &tools);
    for mut section in page::read(markdown) {
        let heading = section.heading.clone();
        let is_etcd = |step: &Step| begins(step, "etcd");
        if section.steps.iter().any(is_etcd) && !has(&tools, "etcd") {
            skip(&format!("etcd, for the section {heading:?} of {name}"));
            continue;
        }
        if section.steps.iter().any(|step| begins(step, "grpcurl")) && !has(&tools, "grpcurl") {
            skip(&format!("grpcurl, for its commands in the section {heading:?} of {name}"));
            section.steps.retain(|step| !begins(step, "grpcurl"));
        }
        reader.follow(&section).map_err(|difference| format!("{name}, {heading:?}, {difference}"))?;
    }
    Ok(())
}

fn pages() -> Vec<(String, String)> {
    let root = repository();
    let mut pages = vec![root.join("README.md"), root.join("README.zh-CN.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("docs can be listed").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "md") {
                pages.push(entry);
            }
        }
    }
    pages.sort();
    let named = |page: PathBuf| {
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        (page.strip_prefix(&root).expect("it is below").display().to_string(), text)
    };
    pages.into_iter().map(named).collect()
}

/// *Scenario*: a reader follows each page from its first command to its last, each page from an empty folder. *Guarantees*: every command works as it
/// stands, and prints what the page says.
#[test]
fn every_page_works_as_it_stands() {
    if elsewhere("every_page_works_as_it_stands") {
        return;
    }
    let differences: Vec<String> = pages().iter().filter_map(|(name, text)| follow(name, text).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// *Scenario*: the README with another topic, another port, another verb and another promise. *Guarantees*: none of them passes, so that a README that does
/// not work cannot either.
#[test]
fn a_readme_that_is_edited_into_nonsense_fails() {
    if elsewhere("a_readme_that_is_edited_into_nonsense_fails") {
        return;
    }
    let (_, readme) = pages().into_iter().find(|(name, _)| name == "README.md").expect("there is a README");
    for (sense, nonsense) in [
        ("--topic orders --tag paid", "--topic nonsense --tag paid"),
        ("rocketmq tail --name-server 127.0.0.1:9081", "rocketmq tail --name-server 127.0.0.1:9876"),
        ("rocketbridge apply", "rocketbridge aply"),
        ("stream/paid-orders created", "stream/paid-orders made"),
    ] {
        assert!(readme.contains(sense), "the README does not say {sense:?} any more");
        let edited = readme.replacen(sense, nonsense, 1);
        assert!(follow("README.md", &edited).is_err(), "{nonsense:?} passes");
    }
    let sections: Vec<Section> = page::read(&readme);
    assert!(sections.iter().map(|section| section.steps.len()).sum::<usize>() > 10, "the README has hardly any commands");
}
