//! References, followed.

use std::path::Path;

use rocketbridge_model::Secret;

use crate::error::Unresolvable;
use crate::folder::{self, Folder};

/// What variables that references may name begin with, unless the configuration says otherwise.
pub const VARIABLES: &str = "ROCKETBRIDGE_SECRET_";

/// Where references may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder that `file:NAME` is below; `None`: no reference may name a file.
    pub folder: Option<Folder>,
    /// What the names of variables begin with, which `env:NAME` may name. Never empty.
    pub variables: String,
    /// Further folders, of tokens and key files that another process refreshes. Only `token_file` and `path` of credentials may name files there.
    pub token_folders: Vec<Folder>,
}

impl Default for Settings {
    /// Variables of the usual prefix, and no files.
    fn default() -> Self {
        Self { folder: None, variables: VARIABLES.to_owned(), token_folders: Vec::new() }
    }
}

/// Follows references. Cheap to share.
#[derive(Debug)]
pub struct Secrets {
    /// `None`: anywhere.
    settings: Option<Settings>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Secrets {
    /// Secrets of definitions, which anybody with access to the API may write: references lead where the settings say.
    pub fn new(settings: Settings) -> Self {
        Self { settings: Some(settings) }
    }

    /// Secrets of whoever runs the process, of its configuration or command line: references lead to any variable and any regular file.
    pub fn own() -> Self {
        Self { settings: None }
    }

    /// What a secret of a definition stands for: a variable, a file below the folder, or itself. The end of its last line is removed. It blocks.
    ///
    /// # Errors
    ///
    /// The reference leads nowhere, or where it must not lead.
    pub fn follow(&self, secret: &Secret) -> Result<Secret, Unresolvable> {
        follow(secret, |name| self.variable(name), |path| self.file(Path::new(path), false))
    }

    /// As [`follow`](Self::follow), for `token_file` and `path` of credentials, which may also be in a folder of tokens.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn follow_token(&self, secret: &Secret) -> Result<Secret, Unresolvable> {
        follow(secret, |name| self.variable(name), |path| self.file(Path::new(path), true))
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        let Some(settings) = &self.settings else { return variable(name) };
        let prefix = settings.variables.as_str();
        if !name.starts_with(prefix) {
            return Err(format!(
                "definitions may name variables that begin with {prefix} only; name the variable so, or set secrets.variables in the configuration"
            ));
        }
        variable(name)
    }

    fn file(&self, path: &Path, is_token: bool) -> Result<String, String> {
        let Some(settings) = &self.settings else {
            return folder::read(&path.canonicalize().map_err(|error| folder::reason(&error))?);
        };
        let others = if is_token { settings.token_folders.as_slice() } else { &[] };
        let folders = || settings.folder.iter().chain(others);
        let way_out = "move the file there, or set secrets.folder in the configuration";
        let folder = if path.is_absolute() { folders().find(|folder| folder.holds(path)) } else { settings.folder.as_ref() };
        match (folder, &settings.folder) {
            (Some(folder), _) => folder.read(path),
            (None, Some(folder)) if others.is_empty() => Err(format!("it is not below {}; {way_out}", folder.path().display())),
            (None, Some(folder)) => {
                Err(format!("it is neither below {} nor in a folder of secrets.token_folders; {way_out}", folder.path().display()))
            }
            (None, None) => Err("this process has no folder of secrets; set secrets.folder in its configuration".to_owned()),
        }
    }
}

fn follow(
    secret: &Secret,
    variable: impl Fn(&str) -> Result<String, String>,
    file: impl Fn(&str) -> Result<String, String>,
) -> Result<Secret, Unresolvable> {
    let text = secret.expose();
    let (read, is_file) = match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
        (Some(name), _) => (variable(name), false),
        (None, Some(path)) => (file(path), true),
        (None, None) => return Ok(secret.clone()),
    };
    let read = read.map_err(|reason| Unresolvable { reference: text.to_owned(), reason })?;
    Ok(Secret::new(if is_file { read.trim_end_matches(['\n', '\r']) } else { &read }))
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| "the variable is not set or not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<Secret, Unresolvable>) -> String {
        result.expect_err("refused").reason
    }

    /// *Scenario*: references to variables with and without the prefix, to files inside and outside the folder, relative and absolute, and a secret itself.
    /// *Guarantees*: exactly the variables of the prefix and the files of the folder are read; every refusal says the way out.
    #[test]
    fn references_lead_where_the_operator_lets_them() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::write(place.path().join("key"), "from file\n").expect("a file");
        let secrets = Secrets::new(Settings { folder: Some(Folder::new(place.path())), ..Settings::default() });
        let follow = |text: &str| secrets.follow(&Secret::new(text));
        assert_eq!(follow("itself").expect("itself").expose(), "itself");
        assert_eq!(follow("file:key").expect("read").expose(), "from file");
        let absolute = format!("file:{}", place.path().join("key").display());
        assert_eq!(follow(&absolute).expect("read").expose(), "from file");
        assert_eq!(reason(follow("env:ROCKETBRIDGE_SECRET_UNSET_IN_TESTS")), "the variable is not set or not UTF-8");
        assert!(reason(follow("env:PATH")).contains("set secrets.variables"), "{}", reason(follow("env:PATH")));
        assert!(reason(follow("file:/etc/passwd")).contains("set secrets.folder"), "{}", reason(follow("file:/etc/passwd")));
        let named = Secrets::new(Settings { variables: "PA".into(), ..Settings::default() });
        assert!(!named.follow(&Secret::new("env:PATH")).expect("set").is_empty());
        assert_eq!(
            named.follow(&Secret::new("file:key")).expect_err("no folder").to_string(),
            "cannot read the secret file:key: this process has no folder of secrets; set secrets.folder in its configuration"
        );
    }

    /// *Scenario*: a token in a folder of tokens, named by credentials and by another field. *Guarantees*: only the former reads it.
    #[test]
    fn folders_of_tokens_are_for_tokens() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::write(place.path().join("token"), "eyJ").expect("a file");
        let token_folders = vec![Folder::new(place.path())];
        for folder in [None, Some(Folder::new("/nonexistent"))] {
            let secrets = Secrets::new(Settings { folder, token_folders: token_folders.clone(), ..Settings::default() });
            let reference = Secret::new(format!("file:{}", place.path().join("token").display()));
            assert_eq!(secrets.follow_token(&reference).expect("read").expose(), "eyJ");
            assert!(reason(secrets.follow(&reference)).contains("secrets.folder"));
            assert!(secrets.follow_token(&Secret::new("file:/etc/passwd")).is_err());
        }
    }

    /// *Scenario*: references of the configuration and the command line. *Guarantees*: they lead anywhere, and to regular files only.
    #[test]
    fn references_of_the_operator_lead_anywhere() {
        let follow = |text: &str| Secrets::own().follow(&Secret::new(text));
        assert!(!follow("env:PATH").expect("set").is_empty());
        assert_eq!(reason(follow("file:/dev/zero")), "it is not a regular file");
        assert_eq!(follow("itself").expect("itself").expose(), "itself");
    }
}
