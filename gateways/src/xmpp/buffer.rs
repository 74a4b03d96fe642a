//! One read buffer for each thread: an idle connection has none.

use std::cell::RefCell;

/// What one read may take: a full TLS record (RFC 8446 §5.1).
pub(crate) const READ_BYTES: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// Lends this thread's buffer; `use_it` must not come back here.
pub(crate) fn with_read_buffer<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| use_it(buffer))
}
