//! Brokers that are advertised with a trailing dot, as Redpanda's Helm chart does
//! it (`rp-0.redpanda.svc.cluster.local.`), behind certificates whose names have
//! none.
//!
//! With the dot DNS looks for the name as it is and asks no search domains, so it
//! must stay for that. In TLS it is no part of a name (RFC 6066, section 3), and no
//! certificate has it; but librdkafka before 2.13 hands OpenSSL the name with it
//! (confluentinc/librdkafka#4348), both as the name to expect in the certificate
//! and as the one to ask for (SNI). So both of OpenSSL's functions are wrapped by
//! the linker (`build.rs`), for every call in the program and not librdkafka's alone:
//! ours strip one dot and call the real ones, and all else passes through as it is.
//! Others that speak TLS by this OpenSSL lose the dot too, which is right for them.
//!
//! This goes when rdkafka-sys has librdkafka 2.13.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};

/// `SSL_CTRL_SET_TLSEXT_HOSTNAME` of OpenSSL's `ssl.h`, since 1.0: the name for
/// SNI.
const SET_NAME: c_int = 55;

unsafe extern "C" {
    fn __real_SSL_set1_host(ssl: *mut c_void, name: *const c_char) -> c_int;
    fn __real_SSL_ctrl(
        ssl: *mut c_void,
        command: c_int,
        number: c_long,
        pointer: *mut c_void,
    ) -> c_long;
}

/// Sets the name that the certificate must have.
///
/// # Safety
///
/// As OpenSSL's `SSL_set1_host`: a live `SSL`, and null or a string that ends with
/// a zero byte.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_SSL_set1_host(ssl: *mut c_void, name: *const c_char) -> c_int {
    // SAFETY: the caller keeps to the contract above. The real function copies the
    // name, so ours may go afterwards.
    unsafe {
        match without_dot(name) {
            Some(stripped) => __real_SSL_set1_host(ssl, stripped.as_ptr()),
            None => __real_SSL_set1_host(ssl, name),
        }
    }
}

/// Does many things; one of them sets the name to ask for.
///
/// # Safety
///
/// As OpenSSL's `SSL_ctrl`: a live `SSL`, and for [`SET_NAME`] null or a string that
/// ends with a zero byte.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_SSL_ctrl(
    ssl: *mut c_void,
    command: c_int,
    number: c_long,
    pointer: *mut c_void,
) -> c_long {
    // SAFETY: the caller keeps to the contract above, so with this command the
    // pointer is a name. The real function copies it, and does not write to it.
    unsafe {
        let stripped = (command == SET_NAME)
            .then(|| without_dot(pointer.cast_const().cast()))
            .flatten();
        match stripped {
            Some(name) => __real_SSL_ctrl(ssl, command, number, name.as_ptr().cast_mut().cast()),
            None => __real_SSL_ctrl(ssl, command, number, pointer),
        }
    }
}

/// The name without its trailing dot, if it has one.
///
/// # Safety
///
/// `name` is null or a string that ends with a zero byte.
unsafe fn without_dot(name: *const c_char) -> Option<CString> {
    if name.is_null() {
        return None;
    }
    // SAFETY: it is not null, so it ends with a zero byte.
    let name = unsafe { CStr::from_ptr(name) };
    strip(name.to_bytes()).and_then(|name| CString::new(name).ok())
}

/// One trailing dot less. The root's own name, a dot alone, stays.
fn strip(name: &[u8]) -> Option<&[u8]> {
    name.strip_suffix(b".").filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_dot_goes() {
        assert_eq!(strip(b"rp-0.test."), Some(&b"rp-0.test"[..]));
        assert_eq!(strip(b"rp-0.test.."), Some(&b"rp-0.test."[..]));
        for whole in [&b"rp-0.test"[..], b"", b".", b"127.0.0.1", b"::1"] {
            assert_eq!(strip(whole), None);
        }
    }

    #[test]
    fn a_name_from_c_is_stripped_and_null_stays() {
        // SAFETY: literals end with a zero byte.
        let stripped = unsafe { without_dot(c"rp-0.test.".as_ptr()) };
        assert_eq!(stripped.as_deref(), Some(c"rp-0.test"));
        // SAFETY: null is allowed.
        assert_eq!(unsafe { without_dot(std::ptr::null()) }, None);
    }
}
