//! Bodies that their producer compressed.

use std::io::Write;

use bytes::Bytes;
use rocketbridge_model::event::system_flag::COMPRESSED;
use rocketbridge_model::resolved::{RocketMqTarget, Stream};
use rocketbridge_model::session::{Parameter, ParameterKey};
use rocketbridge_model::stream::TargetParameter;
use rocketbridge_model::{Envelope, Event, Origin, testing};
use rocketbridge_program::{Compiler, Program, Verdict};

fn stream(pattern: &str, body: Option<(&str, &str)>) -> Stream {
    let parameter = |(form, value): (&str, &str)| TargetParameter { form: form.into(), value: value.into(), template: String::new() };
    let target = RocketMqTarget { body: body.map(parameter), ..testing::target("copy") };
    Stream { pattern: pattern.into(), target, ..testing::stream() }
}

fn evaluate(stream: &Stream, body: Bytes) -> Verdict {
    let program = Program::compile(stream, &Compiler::default()).expect("the stream is well formed");
    let envelope = Envelope { body, system_flag: COMPRESSED, ..Envelope::default() };
    program.evaluate(&Event { offset: 0, envelope, attributes: None }, &Origin::default())
}

/// *Scenario*: a compressed body and patterns and transforms that read it, or do not; one that is not what its flag says. *Guarantees*: whoever
/// reads a body reads it plain; where nothing reads it, it goes on as it is; one that cannot be read is rejected, with the reason, only where it
/// is read.
#[test]
fn a_compressed_body_is_read_plain_and_travels_as_it_is() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(br#"{"price": 7, "name": "x"}"#).expect("to memory");
    let zlib = Bytes::from(zlib.finish().expect("to memory"));
    let dear = stream(r#"{"data":{"body":{"price":[{"numeric":[">",5]}]}}}"#, None);
    assert_eq!(evaluate(&dear, zlib.clone()), Verdict::Matched(Vec::new()));
    let cheap = stream(r#"{"data":{"body":{"price":[{"numeric":["<",5]}]}}}"#, None);
    assert_eq!(evaluate(&cheap, zlib.clone()), Verdict::Filtered);
    let named = stream("{}", Some(("JSONPATH", "$.data.body.name")));
    let name = Parameter { key: ParameterKey::Body, value: Some(Bytes::from_static(b"x")) };
    assert_eq!(evaluate(&named, zlib), Verdict::Matched(vec![name]));
    let damaged = Bytes::from_static(b"no zlib");
    assert_eq!(evaluate(&stream(r#"{"data":{"topic":[{"exists":true}]}}"#, None), damaged.clone()), Verdict::Matched(Vec::new()));
    for reading in [&dear, &named] {
        let Verdict::Rejected(reason) = evaluate(reading, damaged.clone()) else { panic!("it cannot be read") };
        assert!(reason.starts_with("cannot decompress a body of 7 bytes by zlib: "), "{reason}");
    }
}

/// *Scenario*: a transform takes a word of a long body that was compressed. *Guarantees*: it keeps the word, not the body.
#[test]
fn a_word_of_a_plain_body_does_not_keep_the_body() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    let long = format!(r#"{{"name": {{"first": "x"}}, "rest": "{}"}}"#, "y".repeat(1 << 20));
    zlib.write_all(long.as_bytes()).expect("to memory");
    let named = stream("{}", Some(("JSONPATH", "$.data.body.name")));
    let Verdict::Matched(mut parameters) = evaluate(&named, zlib.finish().expect("to memory").into()) else { panic!("it matches") };
    let value = parameters.pop().and_then(|parameter| parameter.value).expect("a value");
    assert_eq!(value, r#"{"first": "x"}"#);
    let memory = value.try_into_mut().expect("nobody else has it").capacity();
    assert!(memory < 1000, "{memory} bytes are kept");
}
