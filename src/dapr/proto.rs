//! Generated from the vendored protos; see `proto/SOURCE`.

tonic::include_proto!("dapr.proto.components.v1");

/// The descriptors, for gRPC reflection: daprd finds components by it.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("dapr_descriptor");
