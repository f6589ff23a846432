//! The largest batch that a topic takes, as its brokers disclose it.

use std::{
    ffi::{CStr, CString},
    slice,
    time::Duration,
};

use rdkafka::{
    bindings,
    error::KafkaError,
    types::{RDKafka, RDKafkaErrorCode},
};

use super::{
    Cause,
    admin_request::{Answer, Owned, request},
};

/// The topic's settings that a batch must fit: a batch that is larger than a file of the
/// topic is refused as well.
const LIMITS: [&CStr; 2] = [c"max.message.bytes", c"segment.bytes"];

/// Asks for a topic's limit in bytes (`DescribeConfigs`), for at most twice `within`. It blocks.
///
/// # Errors
/// When the brokers don't tell, as they do without the right to `DescribeConfigs`.
pub(super) fn topic_limit(
    client: *mut RDKafka,
    topic: &str,
    within: Duration,
) -> Result<usize, Cause> {
    let topic = CString::new(topic).map_err(Cause::other)?;
    let kind = bindings::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    let operation = bindings::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
    // SAFETY: the caller's client is alive. The resource is freed after the call, which copies it.
    let answer = unsafe {
        let resource = Owned(
            bindings::rd_kafka_ConfigResource_new(kind, topic.as_ptr()),
            bindings::rd_kafka_ConfigResource_destroy,
        );
        let mut resources = [resource.0];
        request(client, operation, within, |options, queue| {
            bindings::rd_kafka_DescribeConfigs(
                client,
                resources.as_mut_ptr(),
                resources.len(),
                options,
                queue,
            );
        })?
    };
    read(&answer)
}

fn read(answer: &Answer) -> Result<usize, Cause> {
    let silent = || Cause::other("the brokers disclose no max.message.bytes");
    let mut count = 0;
    // SAFETY: the answer is alive to the end of this function, and what is asked of it lives as
    // long. Each array has `count` elements, and each name and value is a C string or null.
    unsafe {
        let result = bindings::rd_kafka_event_DescribeConfigs_result(answer.0);
        if result.is_null() {
            return Err(silent());
        }
        let resources = bindings::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        if count != 1 {
            return Err(silent());
        }
        let resource = *resources;
        let error = bindings::rd_kafka_ConfigResource_error(resource);
        if error != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::AdminOp(RDKafkaErrorCode::from(error)).into());
        }
        let entries = bindings::rd_kafka_ConfigResource_configs(resource, &raw mut count);
        if count == 0 {
            return Err(silent());
        }
        let limits = slice::from_raw_parts(entries, count).iter();
        let limits = limits.filter_map(|entry| {
            let name = CStr::from_ptr(bindings::rd_kafka_ConfigEntry_name(*entry));
            let value = bindings::rd_kafka_ConfigEntry_value(*entry);
            let value = (LIMITS.contains(&name) && !value.is_null()).then(|| CStr::from_ptr(value));
            value?.to_str().ok()?.parse().ok()
        });
        limits.min().ok_or_else(silent)
    }
}
