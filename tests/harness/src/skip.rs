//! Tests that need something that a machine may lack.

use std::io::Write;

/// Prints to standard error what is missing and what is skipped for that reason.
///
/// # Panics
///
/// In CI (the variable `CI` is set), where nothing is skipped.
pub fn skip(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "nothing is skipped in CI, and this is missing: {missing}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`, which the test runner hides when a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {missing}");
}
