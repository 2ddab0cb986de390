//! Panics are contained: what panics on the device or while loading becomes an error with the panic's words.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use latentd_nn::ComputeError;

use crate::Error;

/// Runs `computation`; a panic in it becomes an error.
///
/// The computation only reads what it shares with the rest, so that nothing half done is seen after a panic.
pub(crate) fn contain<T>(computation: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(computation)).unwrap_or_else(|payload| {
        let detail = words(payload.as_ref());
        // CUDA's allocator panics where it has nothing left to give.
        if ["out of memory", "OutOfMemory", "OUT_OF_MEMORY"]
            .iter()
            .any(|mark| detail.contains(mark))
        {
            return Err(ComputeError::OutOfDeviceMemory { detail }.into());
        }
        tracing::error!(panic = %detail, "a computation panicked");
        Err(Error::Panic { detail })
    })
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panicked")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use latentd_domain::{HasReason, Reason};

    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_words() {
        let error = contain::<()>(|| panic!("block {} is gone", 3)).unwrap_err();
        assert!(matches!(&error, Error::Panic { detail } if detail == "block 3 is gone"));
        let error = contain::<()>(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(error.reason(), Reason::Internal);
    }

    #[test]
    fn an_allocators_panic_is_no_defect() {
        let error = contain::<()>(|| panic!("CUDA_ERROR_OUT_OF_MEMORY")).unwrap_err();
        assert_eq!(error.reason(), Reason::OutOfDeviceMemory);
    }
}
