//! Corpus files as other programs write them (`tests/reference/corpora.py`), and files that are not what they say.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use latentd_domain::{Corpus, CorpusFormat, HasReason, Reason};
use latentd_files::Interrupt;

use crate::{Documents, Error};

/// What every file holds; a null is an empty text.
const TEXTS: [&str; 5] = ["first", "日本 🎉\nsecond line", "", "", "last"];

fn golden(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/corpora");
    root.join(name)
}

fn corpus(path: &Path, format: CorpusFormat, field: &str) -> Corpus {
    Corpus {
        paths: vec![path.to_str().unwrap().to_owned()],
        format,
        text_field: field.to_owned(),
        uploaded: None,
    }
}

fn read(path: &Path, field: &str) -> Result<Vec<String>, Error> {
    let documents = Documents::open(&corpus(path, CorpusFormat::Auto, field), 0)?;
    documents.map(|document| Ok(document?.text)).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

#[test]
fn files_of_other_programs_hold_the_same_documents() {
    for name in [
        "lines.json",
        "array.json",
        "pretty.json",
        "members.jsonl.gz",
        "array.json.gz",
        "frames.jsonl.zst",
        "saved",
    ] {
        assert_eq!(read(&golden(name), "text").unwrap(), TEXTS, "{name}");
    }
    for name in ["lines.json", "members.jsonl.gz"] {
        assert_eq!(read(&golden(name), "meta.text").unwrap(), TEXTS, "{name}");
    }
    for name in ["table.arrow", "stream.arrow", "table.parquet"] {
        for column in ["string", "large", "view", "dictionary", "nested.text"] {
            let found = read(&golden(name), column).unwrap();
            assert_eq!(found, TEXTS, "{name} {column}");
        }
    }
}

#[test]
fn columns_that_are_no_text_are_named() {
    for name in ["table.arrow", "stream.arrow", "table.parquet"] {
        for (column, said) in [
            ("list", "the column `list` holds lists"),
            ("nested", "the column `nested` holds structures of text"),
            ("number", "the column `number` holds I"),
            (
                "text",
                "there is no column `text`; there are: string, large, view",
            ),
            ("nested.body", "there is no column `nested.body`"),
            ("string.text", "there is no column `string.text`"),
        ] {
            let error = read(&golden(name), column).unwrap_err();
            assert_eq!(error.reason(), Reason::MalformedCorpus);
            assert!(error.to_string().contains(said), "{name}: {error}");
        }
    }
}

#[test]
fn what_is_cut_off_or_compressed_within_is_refused() {
    for (name, field, said) in [
        (
            "cut.jsonl.gz",
            "text",
            "the gzip data is damaged or cut off",
        ),
        (
            "cut.jsonl.zst",
            "text",
            "the zstd data is damaged or cut off",
        ),
        ("cut.arrow", "string", "the file is cut off"),
        ("packed.arrow", "string", "zstd"),
    ] {
        let error = read(&golden(name), field).unwrap_err();
        assert_eq!(error.reason(), Reason::MalformedCorpus, "{name}: {error}");
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
}

#[test]
fn any_cut_of_a_table_is_an_error_or_fewer_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    for name in ["table.arrow", "stream.arrow"] {
        let whole = fs_err::read(golden(name)).unwrap();
        for length in (0..whole.len()).step_by(7) {
            fs_err::write(&path, &whole[..length]).unwrap();
            if let Ok(found) = read(&path, "string") {
                assert!(
                    name == "stream.arrow"
                        && TEXTS.starts_with(&found.iter().map(String::as_str).collect::<Vec<_>>())
                );
            }
            let mut damaged = whole.clone();
            damaged[length] ^= 0x5a;
            fs_err::write(&path, &damaged).unwrap();
            let _ = read(&path, "string");
        }
    }
}

#[test]
fn a_name_that_lies_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let line = b"{\"text\":\"a\"}\n";
    for (name, content, said) in [
        (
            "x.jsonl.gz",
            line.to_vec(),
            "packed by gzip, and it holds something else",
        ),
        (
            "x.jsonl.zst",
            gzip(line),
            "packed by zstd, and it holds gzip data",
        ),
        (
            "x.jsonl",
            gzip(line),
            "it holds gzip data, and its name does not end in .gz",
        ),
        ("x.txt", b"BZh91AY&SY\0\0".to_vec(), "it holds bzip2 data"),
        ("x.txt", b"PK\x03\x04".to_vec(), "it holds zip data"),
        (
            "x.jsonl.bz2",
            b"BZh91AY&SY".to_vec(),
            "files that end in .bz2 are not read",
        ),
        (
            "x.csv",
            b"text\na".to_vec(),
            "files that end in .csv are not read",
        ),
        (
            "x.parquet.gz",
            gzip(b"PAR1"),
            "tables that are packed as a whole are not read",
        ),
    ] {
        let path = dir.path().join(name);
        fs_err::write(&path, content).unwrap();
        let error = read(&path, "text").unwrap_err();
        assert_eq!(error.reason(), Reason::MalformedCorpus, "{name}");
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
}

#[test]
fn what_a_folder_is_read_without_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs_err::write(dir.path().join(name), content).unwrap();
    write("b.jsonl.gz", &gzip(b"{\"text\":\"packed\"}"));
    assert_eq!(read(dir.path(), "text").unwrap(), ["packed"]);
    write("a.jsonl", b"{\"text\":\"plain\"}");
    assert_eq!(read(dir.path(), "text").unwrap(), ["plain", "packed"]);
    write("c.csv", b"text");
    write(".hidden.txt", b"text");
    let corpus = corpus(dir.path(), CorpusFormat::Auto, "text");
    let skipped = Documents::open(&corpus, 0).unwrap().skipped().clone();
    assert_eq!(skipped.count, 2);
    let said = skipped.to_string();
    assert!(
        said.contains(".hidden.txt (hidden)") && said.contains("c.csv (files"),
        "{said}"
    );
    for name in ["a.jsonl", "b.jsonl.gz"] {
        fs_err::remove_file(dir.path().join(name)).unwrap();
    }
    let error = read(dir.path(), "text").unwrap_err();
    assert_eq!(error.reason(), Reason::EmptyCorpus);
    assert!(error.to_string().contains("; left out were "), "{error}");
    for file in 0..30 {
        write(&format!("{file}.md"), b"x");
    }
    let error = read(dir.path(), "text").unwrap_err().to_string();
    assert!(error.ends_with(" and 12 more"), "{error}");
}

#[test]
fn what_unpacks_to_more_than_a_document_may_be_is_refused_by_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let packer = GzEncoder::new(Vec::new(), Compression::fast());
    let mut packer = std::io::BufWriter::new(packer);
    let piece = vec![b'a'; 1 << 20];
    for _ in 0..80 {
        packer.write_all(&piece).unwrap();
    }
    let packed = packer.into_inner().unwrap().finish().unwrap();
    assert!(packed.len() < 1 << 20);
    for name in ["x.txt.gz", "x.jsonl.gz", "x.json.gz"] {
        let path = dir.path().join(name);
        let mut content = gzip(b"{\"text\":\"");
        content.extend(&packed);
        fs_err::write(&path, content).unwrap();
        let error = read(&path, "text").unwrap_err();
        assert!(
            matches!(error, Error::DocumentTooLarge { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn json_that_is_no_list_of_objects_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.json");
    for (content, said) in [
        (
            "[{\"text\":\"a\"}\n{\"text\":\"b\"}]",
            "line 2: an object is expected, and there is `{`",
        ),
        ("[{\"text\":\"a\"},\n", "the array does not end"),
        ("{\"text\":\"a\"", "line 1: the object does not end"),
        (
            "\"text\"",
            "line 1: an object is expected, and there is `\\\"`",
        ),
        ("[1]", "an object is expected"),
        (
            "[{\"text\":\"a\"},]",
            "an object is expected, and there is `]`",
        ),
        (
            "{\"text\":\"a\"},{\"text\":\"b\"}",
            "an object is expected, and there is `,`",
        ),
        ("[]\n[]", "an object is expected"),
        ("{\n\"text\": [\"a\"]}", "invalid type: sequence"),
        ("{\"body\":1}", "there is no field `text`"),
    ] {
        fs_err::write(&path, content).unwrap();
        let error = read(&path, "text").unwrap_err();
        assert_eq!(error.reason(), Reason::MalformedCorpus, "{content}");
        assert!(error.to_string().contains(said), "{content}: {error}");
    }
    fs_err::write(
        &path,
        "\u{feff}[{\"text\":\"}{[\\\"\"} ,{\"x\":[{}],\"text\":\"b\"}]",
    )
    .unwrap();
    assert_eq!(read(&path, "text").unwrap(), ["}{[\"", "b"]);
}

#[test]
fn reading_ends_when_nobody_waits_for_it() {
    let names = [
        "lines.json",
        "members.jsonl.gz",
        "frames.jsonl.zst",
        "saved",
    ];
    let tables = ["table.arrow", "stream.arrow", "table.parquet"];
    for name in names.iter().chain(&tables) {
        let column = if tables.contains(name) {
            "string"
        } else {
            "text"
        };
        let corpus = corpus(&golden(name), CorpusFormat::Auto, column);
        let raised = Interrupt::new();
        let mut documents = Documents::open_until(&corpus, 0, &raised).unwrap();
        raised.raise();
        let next = documents.next().unwrap();
        assert!(
            matches!(next, Err(Error::Interrupted { .. })),
            "{name}: {next:?}"
        );
        assert!(Documents::open_until(&corpus, 0, &raised).is_err() || !golden(name).is_dir());
    }
}
