//! Where the log goes: each event is one line, whatever texts of others stand in it.

use std::io::{self, Write};

use rocketbridge_model::printable;
use tracing_subscriber::fmt::MakeWriter;

/// Writes to something else, with what terminals obey and what forges lines escaped. Only the end of an event stays a line end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<M>(pub(crate) M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Escaped<M> {
    type Writer = Escaped<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaped(self.0.make_writer())
    }
}

impl<W: Write> Write for Escaped<W> {
    /// Takes a whole event: that is how the formatter writes.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (text.as_ref(), ""),
        };
        self.0.write_all(format!("{}{end}", printable::line(text)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// *Scenario*: remarks of a broker that hold an escape sequence, a C1 introducer, a forged line and a turned one, as fields and in the message, in both forms of the log. *Guarantees*: each event
    /// stays one line without such characters; the JSON says what was said.
    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        let remark = "no\u{1b}[2J\u{9b}31m\r\n2026 ERROR forged\u{202e}\u{7f}";
        for json in [false, true] {
            let kept = Kept::default();
            let writer = {
                let kept = kept.clone();
                Escaped(move || kept.clone())
            };
            let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
            let subscriber = tracing_subscriber::registry();
            let log = || tracing::warn!(remark, shown = %remark, "refused: {remark}");
            if json {
                tracing::subscriber::with_default(subscriber.with(layer.json()), log);
            } else {
                tracing::subscriber::with_default(subscriber.with(layer), log);
            }
            let written = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("text");
            let line = written.strip_suffix('\n').expect("a line");
            assert!(!line.contains(printable::is_unsafe), "{line:?}");
            if json {
                let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert_eq!(event["fields"]["remark"], remark);
            }
        }
    }
}
