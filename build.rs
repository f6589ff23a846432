//! Compiles the vendored Dapr protos with protox, so that no `protoc` has to be
//! on the machine, and puts `src/kafka/trailing_dot.rs` before two functions
//! of OpenSSL.

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
    wrap_openssl();
    Ok(())
}

/// Has the linker send every call of these functions in the program, librdkafka's
/// among them, to ours, which are called `__wrap_…`; the real ones are then called
/// `__real_…`. The linkers of Linux can do that (GNU ld, gold, lld, mold). Elsewhere
/// the module is left out, and librdkafka compares names as brokers advertise them.
fn wrap_openssl() {
    println!("cargo:rustc-check-cfg=cfg(openssl_wrapped)");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    println!("cargo:rustc-cfg=openssl_wrapped");
    for function in ["SSL_set1_host", "SSL_ctrl"] {
        println!("cargo:rustc-link-arg=-Wl,--wrap={function}");
    }
}
