//! Reading little-endian numbers and strings from bytes that may end anywhere.

use std::ops::Range;

/// Longest key, tensor name or string that is read.
const MAX_STRING: u64 = 16 << 20;

/// A position in bytes. Every read is checked; what is wrong is said with the offset.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The range of the next `length` bytes, which are skipped.
    pub(super) fn skip(&mut self, length: u64) -> Result<Range<usize>, String> {
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| self.at.checked_add(length));
        match end.filter(|&end| end <= self.bytes.len()) {
            Some(end) => Ok(std::mem::replace(&mut self.at, end)..end),
            None => Err(format!(
                "it ends at byte {}, where {length} bytes are needed from byte {} on",
                self.bytes.len(),
                self.at
            )),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let range = self.skip(N as u64)?;
        self.bytes
            .get(range)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| "it ends too early".to_owned())
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A string: its length as u64, then its bytes.
    pub(super) fn string(&mut self) -> Result<&'a str, String> {
        let range = self.skip_string()?;
        let start = range.start;
        let bytes = self.bytes.get(range).unwrap_or_default();
        str::from_utf8(bytes)
            .map_err(|error| format!("the string at byte {start} is not UTF-8: {error}"))
    }

    /// The bytes of a string that is skipped.
    pub(super) fn skip_string(&mut self) -> Result<Range<usize>, String> {
        let length = self.u64()?;
        if length > MAX_STRING {
            return Err(format!(
                "it declares a string of {length} bytes, over the limit of {MAX_STRING}"
            ));
        }
        self.skip(length)
    }
}
