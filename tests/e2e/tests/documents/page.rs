//! A page of documentation as a transcript: what a reader types, and what the page says that then happens.
//!
//! Fenced blocks of `console` hold commands behind `$ ` (continued by `\` at a line's end) and, below each, what it prints. Blocks of `sh`
//! hold commands whose output is not told. In promised output `…` stands for anything within a line, and a line of only `…` for any lines.
//! A `cat` of a file that is not there yet shows the reader what to write into it. An HTML comment `<!-- file: NAME -->` above a
//! block of another language does the same.

/// A part of a page under one heading. What it starts runs until its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// The heading; empty above the first.
    pub(crate) heading: String,
    /// In the order of the page.
    pub(crate) steps: Vec<Step>,
}

/// One thing that the reader does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Writes a file.
    File {
        /// Its name.
        name: String,
        /// What is in it.
        content: String,
    },
    /// Types a command.
    Command {
        /// Line of the page where it stands.
        line: usize,
        /// As it is typed.
        text: String,
        /// What the page says it prints; `None` if the page does not say.
        promised: Option<Vec<String>>,
    },
}

/// Reads the commands of a page, section by section.
pub(crate) fn read(markdown: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut lines = markdown.lines().enumerate();
    let mut file: Option<String> = None;
    while let Some((_, line)) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push(Section { heading: heading.to_owned(), steps: Vec::new() });
        } else if let Some(name) = line.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->")) {
            file = Some(name.to_owned());
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<(usize, &str)> =
                lines.by_ref().take_while(|(_, line)| *line != "```").map(|(index, line)| (index + 1, line)).collect();
            let steps = &mut sections.last_mut().expect("there is always one").steps;
            match (file.take(), language) {
                (Some(name), _) => {
                    let content = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                    steps.push(Step::File { name, content });
                }
                (None, "console") => transcript(&block, steps),
                (None, "sh") => script(&block, steps),
                (None, _) => {}
            }
        }
    }
    sections.retain(|section| !section.steps.is_empty());
    sections
}

fn transcript(block: &[(usize, &str)], steps: &mut Vec<Step>) {
    let mut lines = block.iter().peekable();
    while let Some((line, typed)) = lines.next() {
        // A block that does not begin with a command is a picture of something else.
        let Some(first) = typed.strip_prefix("$ ") else { return };
        let mut text = first.to_owned();
        while text.ends_with('\\') {
            let Some((_, more)) = lines.next() else { break };
            text = format!("{text}\n{more}");
        }
        let mut promised = Vec::new();
        while let Some((_, output)) = lines.next_if(|(_, line)| !line.starts_with("$ ")) {
            promised.push((*output).to_owned());
        }
        steps.push(Step::Command { line: *line, text, promised: Some(promised) });
    }
}

fn script(block: &[(usize, &str)], steps: &mut Vec<Step>) {
    let mut lines = block.iter();
    while let Some((line, typed)) = lines.next() {
        let mut text = (*typed).to_owned();
        while text.ends_with('\\') {
            let Some((_, more)) = lines.next() else { break };
            text = format!("{text}\n{more}");
        }
        if !text.trim().is_empty() && !text.starts_with('#') {
            steps.push(Step::Command { line: *line, text, promised: None });
        }
    }
}

/// Whether a command printed what the page promises.
pub(crate) fn keeps(promised: &[String], printed: &[&str]) -> bool {
    match promised.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any.trim() == "…" => (0..=printed.len()).any(|skipped| keeps(rest, &printed[skipped..])),
        Some((line, rest)) => printed.split_first().is_some_and(|(first, others)| line_keeps(line, first) && keeps(rest, others)),
    }
}

fn line_keeps(promised: &str, printed: &str) -> bool {
    let mut parts = promised.trim_end().split('…');
    let printed = printed.trim_end();
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn commands_files_and_promises_are_found() {
        let page = "# T\n```sh\nmake demo   # long\n```\n## Try\n<!-- file: a.json -->\n```json\n{}\n```\n```console\n$ cat b\nx\n$ one \\\n  two\n$ three\n…\n```\n\
                    ```console\nno command\n```\n## Empty\n```json\n{}\n```\n";
        let sections = read(page);
        assert_eq!(sections.iter().map(|section| section.heading.as_str()).collect::<Vec<_>>(), ["", "Try"]);
        assert_eq!(sections[0].steps, [Step::Command { line: 3, text: "make demo   # long".into(), promised: None }]);
        let command = |line, text: &str, promised: &str| Step::Command { line, text: text.into(), promised: Some(lines(promised)) };
        assert_eq!(
            sections[1].steps,
            [
                Step::File { name: "a.json".into(), content: "{}\n".into() },
                command(11, "cat b", "x"),
                command(13, "one \\\n  two", ""),
                command(15, "three", "…"),
            ]
        );
    }

    #[test]
    fn a_promise_is_kept_to_the_letter_except_where_it_says_so() {
        for (promised, printed, kept) in [
            ("a\nb", "a\nb", true),
            ("a", "a\nb", false),
            ("a\nb", "a", false),
            ("", "a", false),
            ("sent 1 in … s", "sent 1 in 0.3 s", true),
            ("sent 1 in … s", "sent 2 in 0.3 s", false),
            ("sent 1 in … s", "sent 1 in 0.3", false),
            ("… b … d", "a b c d", true),
            ("… b … d", "a c d", false),
            ("…\nb\n…", "a\na\nb", true),
            ("…\nb\n…", "a\na\nc", false),
        ] {
            assert_eq!(keeps(&lines(promised), &printed.lines().collect::<Vec<_>>()), kept, "{promised:?} {printed:?}");
        }
    }
}
