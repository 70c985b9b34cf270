//! What is wrong with a configuration: all of it at once.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, such as `--listen`.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(String),
    /// A key of the configuration file.
    File {
        /// The file as it was named.
        file: String,
        /// The key as it stands there.
        key: String,
    },
    /// Nobody gave it.
    Absent,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `etcd.endpoints`.
    pub key: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What was found; a secret never stands here.
    pub value: String,
    /// What is allowed.
    pub rule: String,
    /// What to write instead.
    pub fix: String,
}

/// A configuration that is refused, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused {
    /// At least one, in the order of the keys.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => formatter.write_str(flag),
            Self::Environment(variable) => formatter.write_str(variable),
            Self::File { file, key } => write!(formatter, "{file}:{key}"),
            Self::Absent => formatter.write_str("not given"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): ", self.key, self.origin)?;
        if self.origin != Origin::Absent {
            write!(formatter, "found {:?}; ", self.value)?;
        }
        write!(formatter, "{}; {}", self.rule, self.fix)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is refused")?;
        self.problems.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}
