//! The pages of a Parquet column, looked at before they are decoded: the decoder believes what a page says of itself, and a file of
//! some kilobytes can say, or unpack to, any number of gigabytes.
//!
//! Only headers are read, and what is packed in a way whose decoder does not stop at the declared length is unpacked once into
//! nothing.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    ops::Range,
    os::unix::fs::FileExt,
};

use flate2::read::MultiGzDecoder;
use latentd_files::Interrupt;
use parquet::basic::Compression;

/// Longest page, packed or not. Writers end a page at a megabyte, but some look only after every thousandth document.
const MAX_PAGE: u64 = 512 << 20;
/// Longest header of a page. They have some hundred bytes; statistics make them longer.
const MAX_HEADER: usize = 16 << 20;
/// Structures within structures in a header.
const MAX_DEPTH: usize = 16;

/// Why a column is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Interrupted,
    Malformed(String),
}

impl From<String> for Refused {
    fn from(detail: String) -> Self {
        Self::Malformed(detail)
    }
}

/// Refuses a column whose pages cannot be decoded in bounded memory. `chunk` is where it lies in the file.
pub(super) fn check(
    file: &File,
    chunk: Range<u64>,
    packing: Compression,
    interrupt: &Interrupt,
) -> Result<(), Refused> {
    let mut at = chunk.start;
    while at < chunk.end {
        interrupt.check().map_err(|_| Refused::Interrupted)?;
        let (header, length) = header(file, at..chunk.end)?;
        let data = at + length as u64;
        let [packed, whole, levels] =
            [header.packed, header.whole, header.levels].map(u64::try_from);
        let (Ok(packed), Ok(whole), Ok(levels)) = (packed, whole, levels) else {
            return Err("a page has a negative length".to_owned().into());
        };
        if packed.max(whole) > MAX_PAGE {
            let bytes = packed.max(whole);
            let detail = format!("a page has {bytes} bytes, and at most {MAX_PAGE} are read");
            return Err(detail.into());
        }
        let end = data + packed;
        if end > chunk.end {
            return Err("a page ends behind its column".to_owned().into());
        }
        if header.is_packed && levels <= whole.min(packed) {
            unpack(file, data + levels..end, packing, whole - levels)?;
        }
        at = end;
    }
    Ok(())
}

/// Fails if what lies there unpacks to more than `declared` bytes.
fn unpack(
    file: &File,
    place: Range<u64>,
    packing: Compression,
    declared: u64,
) -> Result<(), String> {
    let packed = BufReader::with_capacity(1 << 16, Section { file, place });
    let mut unpacked: Box<dyn Read + '_> = match packing {
        Compression::GZIP(_) => Box::new(MultiGzDecoder::new(packed)),
        Compression::BROTLI(_) => Box::new(brotli::Decompressor::new(packed, 1 << 16)),
        // The older form of LZ4 may be a frame; where it is none, nothing is unpacked here.
        Compression::LZ4 => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
        // Their decoders stop at the declared length.
        _ => return Ok(()),
    };
    // What is damaged is for the decoder to tell.
    let bytes = io::copy(&mut unpacked.by_ref().take(declared + 1), &mut io::sink());
    if bytes.is_ok_and(|bytes| bytes > declared) {
        return Err(format!(
            "a page declares {declared} bytes and unpacks to more"
        ));
    }
    Ok(())
}

/// A part of a file.
struct Section<'a> {
    file: &'a File,
    place: Range<u64>,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.place.end - self.place.start).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        let part = buffer.get_mut(..most).unwrap_or_default();
        let read = self.file.read_at(part, self.place.start)?;
        self.place.start += read as u64;
        Ok(read)
    }
}

/// What is of interest in the header of a page (`PageHeader` of parquet.thrift).
#[derive(Debug, Default, PartialEq, Eq)]
struct Header {
    /// Bytes behind the header.
    packed: i64,
    /// Bytes that they become.
    whole: i64,
    /// Bytes in front that are never packed.
    levels: i64,
    is_packed: bool,
}

/// The header that begins there, and its length.
fn header(file: &File, place: Range<u64>) -> Result<(Header, usize), String> {
    let most = usize::try_from(place.end - place.start).unwrap_or(usize::MAX);
    let mut window = 4096;
    loop {
        let size = window.min(most).min(MAX_HEADER);
        let mut bytes = vec![0; size];
        let read = file.read_exact_at(&mut bytes, place.start);
        read.map_err(|error| format!("a page cannot be read: {error}"))?;
        match parse(&bytes) {
            Ok(found) => return Ok(found),
            Err(Fault::Short) if size == window => window = window.saturating_mul(16),
            Err(_) => return Err("the header of a page is malformed".to_owned()),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<(Header, usize), Fault> {
    let mut thrift = Thrift { bytes, at: 0 };
    let mut header = Header {
        is_packed: true,
        ..Header::default()
    };
    thrift.fields(0, &mut |thrift, id, kind| {
        match (id, kind) {
            (2, INT) => header.whole = thrift.int()?,
            (3, INT) => header.packed = thrift.int()?,
            (8, STRUCT) => thrift.fields(1, &mut |thrift, id, kind| {
                match (id, kind) {
                    (5 | 6, INT) => header.levels += thrift.int()?,
                    (7, TRUE | FALSE) => header.is_packed = kind == TRUE,
                    _ => return Ok(false),
                }
                Ok(true)
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((header, thrift.at))
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const INT: u8 = 5;
const STRUCT: u8 = 12;

/// Why bytes are not understood.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// They may go on behind the window.
    Short,
    Malformed,
}

/// Thrift's compact protocol, as far as it is needed to step over what is not of interest.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = self.bytes.get(self.at).copied().ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Fault::Malformed)
    }

    /// A number of 32 bits.
    fn int(&mut self) -> Result<i64, Fault> {
        let number = self.number()?;
        let value = (number >> 1) as i64 ^ -((number & 1) as i64);
        Ok(i64::from(value as i32))
    }

    fn step(&mut self, bytes: u64) -> Result<(), Fault> {
        let end = usize::try_from(bytes)
            .ok()
            .and_then(|n| n.checked_add(self.at));
        self.at = end
            .filter(|&end| end <= MAX_HEADER)
            .ok_or(Fault::Malformed)?;
        if self.at > self.bytes.len() {
            return Err(Fault::Short);
        }
        Ok(())
    }

    /// The fields of a structure; `take` says whether it has read the field.
    fn fields(
        &mut self,
        depth: usize,
        take: &mut dyn FnMut(&mut Self, i64, u8) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            let (step, kind) = (byte >> 4, byte & 0xf);
            id = if step == 0 {
                self.int()?
            } else {
                id + i64::from(step)
            };
            if !take(self, id, kind)? {
                self.skip(kind, depth)?;
            }
        }
    }

    /// A field that is not of interest. A boolean is in the field's own byte.
    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Malformed);
        }
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.step(1),
            4..=6 => self.number().map(drop),
            7 => self.step(8),
            8 => {
                let length = self.number()?;
                self.step(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = match byte >> 4 {
                    15 => self.number()?,
                    count => u64::from(count),
                };
                (0..count).try_for_each(|_| self.element(byte & 0xf, depth))
            }
            11 => {
                let count = self.number()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.element(kinds >> 4, depth)?;
                    self.element(kinds & 0xf, depth)
                })
            }
            STRUCT => self.fields(depth + 1, &mut |_, _, _| Ok(false)),
            _ => Err(Fault::Malformed),
        }
    }

    /// An element of a list: a boolean takes a byte there.
    fn element(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        match kind {
            TRUE | FALSE => self.step(1),
            kind => self.skip(kind, depth + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression as Level, write::GzEncoder};
    use parquet::basic::{BrotliLevel, GzipLevel};

    use super::*;

    fn zigzag(number: i32) -> Vec<u8> {
        let mut left = ((number << 1) ^ (number >> 31)).cast_unsigned();
        let mut bytes = Vec::new();
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    }

    /// What is said of a page that declares so many bytes and holds these.
    fn verdict(declared: i32, data: &[u8], packing: Compression) -> Result<(), Refused> {
        let length = data.len() as i32;
        let page = [
            &[0x15, 0, 0x15],
            &*zigzag(declared),
            &[0x15],
            &*zigzag(length),
            &[0],
            data,
        ];
        let page = page.concat();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&page).unwrap();
        check(&file, 0..page.len() as u64, packing, &Interrupt::new())
    }

    fn detail(verdict: Result<(), Refused>) -> String {
        match verdict {
            Err(Refused::Malformed(detail)) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_that_grow_beyond_what_they_say_are_refused() {
        let gzip = Compression::GZIP(GzipLevel::default());
        let mut packer = GzEncoder::new(Vec::new(), Level::default());
        packer.write_all(&vec![b'a'; 1 << 20]).unwrap();
        let packed = packer.finish().unwrap();
        assert!(packed.len() < 2000);
        assert_eq!(verdict(1 << 20, &packed, gzip), Ok(()));
        let lie = detail(verdict(1000, &packed, gzip));
        assert_eq!(lie, "a page declares 1000 bytes and unpacks to more");
        let mut brotli = Vec::new();
        let mut packer = brotli::CompressorWriter::new(&mut brotli, 4096, 5, 20);
        packer.write_all(&vec![b'a'; 1 << 20]).unwrap();
        drop(packer);
        let packing = Compression::BROTLI(BrotliLevel::default());
        assert_eq!(verdict(1 << 20, &brotli, packing), Ok(()));
        assert!(detail(verdict(1000, &brotli, packing)).contains("unpacks to more"));
        for packing in [gzip, Compression::SNAPPY, Compression::UNCOMPRESSED] {
            assert!(detail(verdict(i32::MAX, b"x", packing)).contains("at most"));
            assert!(detail(verdict(-1, b"x", packing)).contains("negative"));
        }
    }

    #[test]
    fn pages_stay_within_their_column() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0x15, 0, 0x15, 20, 0x15, 100, 0, 1, 2, 3])
            .unwrap();
        let verdict = |range| check(&file, range, Compression::UNCOMPRESSED, &Interrupt::new());
        assert!(detail(verdict(0..10)).contains("ends behind its column"));
        assert!(detail(verdict(0..4)).contains("malformed"));
        assert!(detail(verdict(0..1 << 40)).contains("cannot be read"));
        let raised = Interrupt::new();
        raised.raise();
        let stopped = check(&file, 0..10, Compression::UNCOMPRESSED, &raised);
        assert_eq!(stopped, Err(Refused::Interrupted));
    }

    #[test]
    fn headers_are_understood_whatever_else_they_hold() {
        // Type, unpacked and packed length; a string of three bytes in field 5; a list of two booleans in field 7.
        let bytes = [
            0x15, 0, 0x15, 20, 0x15, 10, 0x28, 3, b'a', b'b', b'c', 0x29, 0x21, 1, 2, 0, 99,
        ];
        let (header, length) = parse(&bytes).unwrap();
        assert_eq!((header.whole, header.packed), (10, 5));
        assert_eq!(length, bytes.len() - 1);
        for cut in 0..length {
            assert_eq!(parse(&bytes[..cut]), Err(Fault::Short), "{cut}");
        }
        // A string that is longer than any header.
        let long = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(parse(&long), Err(Fault::Malformed));
        assert_eq!(parse(&[0x1d, 0]), Err(Fault::Malformed));
    }
}
