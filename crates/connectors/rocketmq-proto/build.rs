//! Compiles the public definition of RocketMQ's gRPC protocol without protoc.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).open_files([root.join("apache/rocketmq/v2/service.proto")])?;
    let descriptors = compiler.file_descriptor_set();
    // Bodies stay slices of the frame they came in.
    tonic_prost_build::configure().bytes(".").compile_well_known_types(false).compile_fds(descriptors)?;
    Ok(())
}
