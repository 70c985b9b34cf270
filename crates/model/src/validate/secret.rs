//! Secrets, and references to them.

use super::findings::Findings;
use crate::secret::{REDACTED, Secret};

/// A secret may be any text but the stars that stand for one; a reference must name a variable or a file.
pub(super) fn check(field: &str, secret: &Secret, findings: &mut Findings) {
    let text = secret.expose();
    if text == REDACTED {
        let fix = "write the secret, or env:NAME or file:NAME";
        findings.add(field, REDACTED, "stars keep the stored secret, but no secret is stored", fix);
    } else if let Some(name) = text.strip_prefix("env:") {
        let is_of_a_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if name.is_empty() || !name.chars().all(is_of_a_name) {
            findings.add(field, text, "env: must be followed by the name of an environment variable", "write env:NAME");
        }
    } else if let Some(path) = text.strip_prefix("file:") {
        // Whether it is in the folder of secrets is known where it is read.
        let is_plain = path.split('/').all(|part| part != "..") && !path.chars().any(char::is_control);
        if path.is_empty() || path.ends_with('/') || !is_plain {
            let rule = "file: must be followed by the name of a file in the folder of secrets, without ..";
            findings.add(field, text, rule, "write file:NAME");
        }
    }
}

/// An access key and a secret key need each other.
pub(super) fn check_pair((key_field, key): (&str, &str), (secret_field, secret): (&str, &Secret), findings: &mut Findings) {
    if key.is_empty() && !secret.is_empty() {
        findings.add(key_field, "", "a secret key needs its access key", "write the access key, or remove the secret key");
    }
    if !key.is_empty() && secret.is_empty() {
        findings.add(secret_field, "", "an access key needs its secret key", "write env:NAME or file:NAME of the secret key");
    }
}
