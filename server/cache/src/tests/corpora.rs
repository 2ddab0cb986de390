//! Corpora in every format, in order and shuffled, and what is wrong with bad ones.

use std::{path::Path, sync::Arc};

use latentd_domain::{Corpus, CorpusFormat, HasReason, Reason};
use parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use crate::{CorpusDigest, Documents, Error};

fn corpus(paths: &[&Path], format: CorpusFormat) -> Corpus {
    let paths = paths
        .iter()
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    Corpus {
        paths,
        format,
        text_field: "text".to_owned(),
        uploaded: None,
    }
}

fn read(corpus: &Corpus, seed: u64) -> Result<Vec<String>, Error> {
    let documents: Vec<_> = Documents::open(corpus, seed)?.collect::<Result<_, _>>()?;
    assert!(
        documents
            .iter()
            .enumerate()
            .all(|(at, document)| document.index == at as u64)
    );
    Ok(documents
        .into_iter()
        .map(|document| document.text)
        .collect())
}

fn write_parquet(path: &Path, schema: &str, texts: &[Option<&[u8]>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let file = fs_err::File::create(path).unwrap().into_parts().0;
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    for piece in texts.chunks(100) {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ids: Vec<i64> = (0..piece.len() as i64).collect();
        column
            .typed::<Int64Type>()
            .write_batch(&ids, None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = piece
            .iter()
            .flatten()
            .map(|text| ByteArray::from(text.to_vec()))
            .collect();
        let levels: Vec<i16> = piece.iter().map(|text| i16::from(text.is_some())).collect();
        column
            .typed::<ByteArrayType>()
            .write_batch(&values, Some(&levels), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

const SCHEMA: &str = "message m { required int64 id; optional binary text (UTF8); }";

#[test]
fn each_format_gives_its_documents_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    };
    write("b/two.txt", "\u{feff}two\nlines\n");
    write("b/.hidden.txt", "hidden");
    write("b/README.md", "not a document");
    write(
        "a.jsonl",
        "{\"id\":1,\"text\":\"one \\u00e9\",\"x\":{\"text\":\"no\"}}\n\n{\"text\":\"  \"}\r\n{\"text\":\"more\"}",
    );
    write("c.txt", "   \n");
    write_parquet(
        &dir.path().join("d.parquet"),
        SCHEMA,
        &[Some(b"three"), None, Some(b"four")],
    );
    let all = corpus(&[dir.path()], CorpusFormat::Auto);
    // Blank documents and nulls have a number like any other.
    assert_eq!(
        read(&all, 0).unwrap(),
        [
            "one é",
            "  ",
            "more",
            "two\nlines\n",
            "   \n",
            "three",
            "",
            "four"
        ]
    );

    let lines = dir.path().join("b/two.txt");
    assert_eq!(
        read(&corpus(&[&lines], CorpusFormat::Lines), 0).unwrap(),
        ["two", "lines"]
    );
    let both = corpus(&[&lines, &dir.path().join("a.jsonl")], CorpusFormat::Auto);
    assert_eq!(
        read(&both, 0).unwrap(),
        ["two\nlines\n", "one é", "  ", "more"]
    );
}

#[test]
fn a_parquet_file_of_several_row_groups_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    let texts: Vec<String> = (0..1234).map(|row| format!("row {row}")).collect();
    let rows: Vec<Option<&[u8]>> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| (at % 7 != 0).then_some(text.as_bytes()))
        .collect();
    write_parquet(&path, SCHEMA, &rows);
    let expected: Vec<&str> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| if at % 7 == 0 { "" } else { text.as_str() })
        .collect();
    let found = read(&corpus(&[&path], CorpusFormat::Auto), 0).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn a_seed_shuffles_files_and_documents() {
    let dir = tempfile::tempdir().unwrap();
    for file in 0..3 {
        let lines: Vec<String> = (0..3000)
            .map(|line| format!("{{\"text\":\"{file}.{line}\"}}"))
            .collect();
        fs_err::write(dir.path().join(format!("{file}.jsonl")), lines.join("\n")).unwrap();
    }
    let corpus = corpus(&[dir.path()], CorpusFormat::Auto);
    let ordered = read(&corpus, 0).unwrap();
    let shuffled = read(&corpus, 5).unwrap();
    assert_eq!(shuffled, read(&corpus, 5).unwrap());
    assert_ne!(shuffled, read(&corpus, 6).unwrap());
    assert_ne!(shuffled, ordered);
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    assert_eq!(sorted(shuffled), sorted(ordered));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |name: &str, content: &[u8], format| {
        let path = dir.path().join(name);
        fs_err::write(&path, content).unwrap();
        let error = read(&corpus(&[&path], format), 0).expect_err(name);
        (error.reason(), error.to_string())
    };
    let (reason, message) = fails(
        "x.jsonl",
        b"{\"text\":\"a\"}\n{\"text\": nope}\n",
        CorpusFormat::Auto,
    );
    assert_eq!(reason, Reason::MalformedCorpus);
    assert!(
        message.contains("x.jsonl, line 2: ") && message.ends_with("at column 11"),
        "{message}"
    );
    let (reason, message) = fails("x.jsonl", b"{\"body\":\"a\"}\n", CorpusFormat::Auto);
    assert_eq!(reason, Reason::MalformedCorpus);
    assert!(
        message.ends_with("line 1: there is no field `text`"),
        "{message}"
    );
    for bad in [
        "[1]",
        "{\"text\":1}",
        "{} {}",
        "{\"text\":\"a\"} x",
        "\"text\"",
    ] {
        assert_eq!(
            fails("x.jsonl", bad.as_bytes(), CorpusFormat::Jsonl).0,
            Reason::MalformedCorpus,
            "{bad}"
        );
    }
    let (reason, message) = fails("x.txt", b"one\ntwo\nthr\xffee\n", CorpusFormat::Auto);
    assert_eq!(reason, Reason::CorpusNotUtf8);
    assert!(message.contains("x.txt, line 3"), "{message}");
    for (name, format) in [
        ("x.txt", CorpusFormat::Lines),
        ("x.jsonl", CorpusFormat::Auto),
    ] {
        let (reason, message) = fails(name, b"{\"text\":\"a\"}\n\xff\n", format);
        assert_eq!(
            (reason, message.contains("line 2")),
            (Reason::CorpusNotUtf8, true),
            "{message}"
        );
    }
    assert_eq!(
        fails("x.parquet", b"no", CorpusFormat::Auto).0,
        Reason::MalformedCorpus
    );
    assert_eq!(
        fails(
            "x.parquet",
            b"PAR1 and more than eight PAR1",
            CorpusFormat::Auto
        )
        .0,
        Reason::MalformedCorpus
    );
    assert_eq!(
        fails("x.bin", b"text", CorpusFormat::Auto).0,
        Reason::MalformedCorpus
    );
    assert_eq!(
        fails("x.txt", b" \n", CorpusFormat::Auto).0,
        Reason::EmptyCorpus
    );
}

#[test]
fn a_corpus_without_text_or_with_paths_that_cannot_be_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    let missing = read(&corpus(&[&none], CorpusFormat::Auto), 0);
    assert_eq!(missing.unwrap_err().reason(), Reason::PathNotReadable);
    fs_err::create_dir(&none).unwrap();
    assert_eq!(
        read(&corpus(&[&none], CorpusFormat::Auto), 0)
            .unwrap_err()
            .reason(),
        Reason::EmptyCorpus
    );
    assert_eq!(
        read(&corpus(&[], CorpusFormat::Auto), 0)
            .unwrap_err()
            .reason(),
        Reason::EmptyCorpus
    );
    std::os::unix::fs::symlink(&none, none.join("loop")).unwrap();
    assert_eq!(
        read(&corpus(&[&none], CorpusFormat::Auto), 0)
            .unwrap_err()
            .reason(),
        Reason::PathNotReadable
    );
}

#[test]
fn columns_of_parquet_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write_parquet(&path, SCHEMA, &[Some(b"good"), None, Some(b"b\xffad")]);
    let of = |field: &str| Corpus {
        text_field: field.to_owned(),
        ..corpus(&[&path], CorpusFormat::Auto)
    };
    assert!(matches!(
        read(&of("text"), 0),
        Err(Error::CorpusNotUtf8 { line: 3, .. })
    ));
    for field in ["id", "nope", ""] {
        assert_eq!(
            read(&of(field), 0).unwrap_err().reason(),
            Reason::MalformedCorpus
        );
    }
}

#[test]
fn damaged_parquet_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    write_parquet(&path, SCHEMA, &[Some(b"three"), None, Some(b"four")]);
    let whole = fs_err::read(&path).unwrap();
    let damaged = (0..whole.len())
        .map(|length| whole[..length].to_vec())
        .chain((0..whole.len() * 8).map(|bit| {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            damaged
        }));
    for bytes in damaged {
        fs_err::write(&path, bytes).unwrap();
        if let Err(error) = read(&corpus(&[&path], CorpusFormat::Auto), 0) {
            let known = [
                Reason::MalformedCorpus,
                Reason::CorpusNotUtf8,
                Reason::EmptyCorpus,
            ];
            assert!(known.contains(&error.reason()), "{error}");
        }
    }
}

#[test]
fn the_digest_tells_documents_apart() {
    let digest = |texts: &[&str]| {
        let mut digest = CorpusDigest::new();
        for text in texts {
            digest.add(text);
        }
        digest.finish()
    };
    assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
    assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    assert_ne!(digest(&["ab", "c"]), digest(&["c", "ab"]));
}
