//! What jq has and a program here may not call, and why.

/// Names by the reason.
const ABSENT: [(&[&str], &str); 9] = [
    (
        &["test", "match", "capture", "scan", "split/2", "splits", "sub", "gsub"],
        "it needs a regular expression, which may take too long to compile; patterns have regexp",
    ),
    (&["now", "localtime", "strflocaltime"], "the same event must give the same value whenever and wherever it is evaluated"),
    (&["input", "inputs", "input_filename", "input_line_number"], "the event is the only input"),
    (&["debug", "stderr"], "a program has no other output than its value"),
    (&["env", "$ENV", "$__prog_args"], "the environment of the process is not for definitions to read"),
    (&["halt", "halt_error"], "a program cannot end the process; error rejects the event"),
    (&["modulemeta", "get_search_list", "builtins", "$__loc__"], "there are no modules"),
    (
        &["drem", "gamma", "lgamma", "lgamma_r", "tgamma", "j0", "j1", "y0", "y1", "jn", "yn", "nextafter", "nexttoward", "erf", "ilogb"],
        "it is not served",
    ),
    (&["have_decnum", "have_literal_numbers", "isvalid"], "it says something about jq itself"),
];

/// Why a function or variable of jq is left out here; `None` if jq has none of this name either.
pub(in crate::expression) fn reason(name: &str, arity: Option<usize>) -> Option<&'static str> {
    let is_meant = |listed: &str| match listed.split_once('/') {
        Some((listed, arguments)) => listed == name && arguments.parse().ok() == arity,
        None => listed == name,
    };
    ABSENT.iter().find(|(names, _)| names.iter().any(|listed| is_meant(listed))).map(|(_, reason)| *reason)
}
