//! The API documents itself: every service, call, message, field and enum value has a comment.

use latentd_proto::DESCRIPTORS;
use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, OneofDescriptorProto,
};

use super::none;

/// Paths and names of everything that a file defines, as `SourceCodeInfo` numbers it (google/protobuf/descriptor.proto).
fn elements(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut out = Vec::new();
    for (i, message) in file.message_type.iter().enumerate() {
        message_elements(message, vec![4, i as i32], file.package(), &mut out);
    }
    for (i, enumeration) in file.enum_type.iter().enumerate() {
        enum_elements(enumeration, vec![5, i as i32], file.package(), &mut out);
    }
    for (i, service) in file.service.iter().enumerate() {
        let path = vec![6, i as i32];
        for (j, method) in service.method.iter().enumerate() {
            out.push((
                [path.clone(), vec![2, j as i32]].concat(),
                format!("{}.{}", service.name(), method.name()),
            ));
        }
        out.push((path, service.name().to_owned()));
    }
    out
}

fn message_elements(
    message: &DescriptorProto,
    path: Vec<i32>,
    scope: &str,
    out: &mut Vec<(Vec<i32>, String)>,
) {
    let name = format!("{scope}.{}", message.name());
    let children = [
        (
            2,
            message
                .field
                .iter()
                .map(FieldDescriptorProto::name)
                .collect::<Vec<_>>(),
        ),
        (
            8,
            message
                .oneof_decl
                .iter()
                .map(OneofDescriptorProto::name)
                .collect(),
        ),
    ];
    for (number, names) in children {
        for (i, child) in names.into_iter().enumerate() {
            // `optional` makes a oneof of its own, whose name begins with an underscore and which nobody wrote.
            if !child.starts_with('_') {
                out.push((
                    [path.clone(), vec![number, i as i32]].concat(),
                    format!("{name}.{child}"),
                ));
            }
        }
    }
    for (i, nested) in message.nested_type.iter().enumerate() {
        // A map makes a message of its own, which nobody wrote.
        if nested
            .options
            .as_ref()
            .is_some_and(prost_types::MessageOptions::map_entry)
        {
            continue;
        }
        message_elements(
            nested,
            [path.clone(), vec![3, i as i32]].concat(),
            &name,
            out,
        );
    }
    for (i, nested) in message.enum_type.iter().enumerate() {
        enum_elements(
            nested,
            [path.clone(), vec![4, i as i32]].concat(),
            &name,
            out,
        );
    }
    out.push((path, name));
}

fn enum_elements(
    enumeration: &EnumDescriptorProto,
    path: Vec<i32>,
    scope: &str,
    out: &mut Vec<(Vec<i32>, String)>,
) {
    for (i, value) in enumeration.value.iter().enumerate() {
        let name = format!("{scope}.{}.{}", enumeration.name(), value.name());
        out.push(([path.clone(), vec![2, i as i32]].concat(), name));
    }
    out.push((path, format!("{scope}.{}", enumeration.name())));
}

fn latentd_files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let files: Vec<_> = set
        .file
        .into_iter()
        .filter(|f| f.package().starts_with("latentd."))
        .collect();
    assert_eq!(files.len(), 8, "one file a service");
    files
}

#[test]
fn every_element_has_a_comment() {
    let mut bare = Vec::new();
    for file in latentd_files() {
        let info = file
            .source_code_info
            .clone()
            .expect("descriptors carry source info");
        for (path, name) in elements(&file) {
            let documented = info.location.iter().any(|location| {
                location.path == path && !location.leading_comments().trim().is_empty()
            });
            if !documented {
                bare.push(format!("{}: {name}", file.name()));
            }
        }
    }
    none(bare, "everything in the API has a comment");
}

#[test]
fn enums_begin_with_unspecified() {
    let mut bad = Vec::new();
    for file in latentd_files() {
        let nested = file.message_type.iter().flat_map(|m| m.enum_type.iter());
        for enumeration in file.enum_type.iter().chain(nested) {
            let zero = enumeration
                .value
                .iter()
                .find(|v| v.number() == 0)
                .map(|v| v.name().to_owned());
            if !zero.is_some_and(|name| name.ends_with("UNSPECIFIED")) {
                bad.push(enumeration.name().to_owned());
            }
        }
    }
    none(bad, "the zero of an enum means nothing");
}
