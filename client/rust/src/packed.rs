//! Arrays that travel as bytes: little-endian, four bytes a number.

use crate::{Error, Result};

/// Unsigned integers from their bytes.
pub(crate) fn u32s(bytes: &[u8]) -> Result<Vec<u32>> {
    numbers(bytes, u32::from_le_bytes)
}

/// Floats from their bytes.
pub(crate) fn f32s(bytes: &[u8]) -> Result<Vec<f32>> {
    numbers(bytes, f32::from_le_bytes)
}

fn numbers<T>(bytes: &[u8], read: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let (numbers, rest) = bytes.as_chunks();
    if rest.is_empty() {
        Ok(numbers.iter().map(|&number| read(number)).collect())
    } else {
        Err(Error::malformed("packed numbers have four bytes each"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(
            u32s(&[1, 2, 0, 0, 255, 255, 255, 255]).unwrap(),
            [513, u32::MAX]
        );
        assert_eq!(f32s(&(-1.5_f32).to_le_bytes()).unwrap(), [-1.5]);
        assert!(u32s(&[1, 2, 3]).is_err());
    }
}
