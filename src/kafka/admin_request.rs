//! One request of librdkafka's admin API on an existing client, for what rdkafka (0.39) has
//! no function for.

use std::{ffi::c_int, time::Duration};

use rdkafka::{
    bindings,
    error::KafkaError,
    types::{RDKafka, RDKafkaErrorCode},
};

use super::Cause;

/// A pointer that librdkafka returned, and the function that frees it.
pub(super) struct Owned<T>(pub(super) *mut T, pub(super) unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it is what librdkafka's counterpart of this function returned, and
            // nothing uses it after its owner.
            unsafe { (self.1)(self.0) };
        }
    }
}

/// A request's answer: an event that is not null and has no error of its own.
pub(super) type Answer = Owned<bindings::rd_kafka_event_t>;

/// Sends a request and waits for its answer, for at most twice `within`.
///
/// # Safety
/// `client` must outlive this function. `send` must send one request of the kind `operation`
/// with the options and the queue that it is given, and must not keep them.
pub(super) unsafe fn request(
    client: *mut RDKafka,
    operation: bindings::rd_kafka_admin_op_t,
    within: Duration,
    send: impl FnOnce(*mut bindings::rd_kafka_AdminOptions_t, *mut bindings::rd_kafka_queue_t),
) -> Result<Answer, Cause> {
    let millis = c_int::try_from(within.as_millis()).unwrap_or(c_int::MAX);
    let mut why = [0; 512];
    // SAFETY: the client is alive. Options and queue are freed after the last call that gets
    // them, and the buffer for the error has the length that is given. An answer, or an
    // error, comes within the request's timeout.
    let event = unsafe {
        let options = Owned(
            bindings::rd_kafka_AdminOptions_new(client, operation),
            bindings::rd_kafka_AdminOptions_destroy,
        );
        let queue = Owned(
            bindings::rd_kafka_queue_new(client),
            bindings::rd_kafka_queue_destroy,
        );
        bindings::rd_kafka_AdminOptions_set_request_timeout(
            options.0,
            millis,
            why.as_mut_ptr(),
            why.len(),
        );
        send(options.0, queue.0);
        Owned(
            bindings::rd_kafka_queue_poll(queue.0, millis.saturating_mul(2)),
            bindings::rd_kafka_event_destroy,
        )
    };
    if event.0.is_null() {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut).into());
    }
    // SAFETY: the event is not null.
    let error = unsafe { bindings::rd_kafka_event_error(event.0) };
    if error != bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::from(error)).into());
    }
    Ok(event)
}
