//! Compiles the vendored Dapr protos with protox, so that no `protoc` has to be
//! on the machine.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["dapr/proto/components/v1/pubsub.proto"], ["proto"])?;
    // For gRPC reflection, by which daprd finds out what a socket serves.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("dapr_descriptor.bin");
    fs::write(descriptors, files.encode_to_vec())?;
    tonic_prost_build::configure()
        // One copy of each payload from the wire to the producer, not two.
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
