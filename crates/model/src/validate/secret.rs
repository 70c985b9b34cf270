//! Secrets, and references to them.

use super::findings::Findings;
use crate::secret::{REDACTED, Secret};

/// A secret may be any text but the stars that stand for one; a reference must name a variable or a file.
pub(super) fn check(field: &str, secret: &Secret, findings: &mut Findings) {
    let text = secret.expose();
    if text == REDACTED {
        let fix = "write the secret, or env:NAME or file:/path";
        findings.add(field, REDACTED, "stars keep the stored secret, but no secret is stored", fix);
    } else if text == "env:" {
        findings.add(field, text, "env: must be followed by the name of an environment variable", "write env:NAME");
    } else if text.starts_with("file:") && !text.starts_with("file:/") {
        findings.add(field, text, "file: must be followed by an absolute path", "write file:/path");
    }
}

/// An access key and a secret key need each other.
pub(super) fn check_pair((key_field, key): (&str, &str), (secret_field, secret): (&str, &Secret), findings: &mut Findings) {
    if key.is_empty() && !secret.is_empty() {
        findings.add(key_field, "", "a secret key needs its access key", "write the access key, or remove the secret key");
    }
    if !key.is_empty() && secret.is_empty() {
        findings.add(secret_field, "", "an access key needs its secret key", "write env:NAME or file:/path of the secret key");
    }
}
