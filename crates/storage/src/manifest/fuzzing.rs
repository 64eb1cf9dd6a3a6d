//! Doors to the decoders of this folder; see `crate::fuzzing`.

use bytes::Bytes;

use crate::checksum::Place;
use crate::files::{CURRENT, FileKind};
use crate::harness::{FlatDisk, Show, Source};

use super::current;
use super::edit::Edit;
use super::log::{encode_header, encode_record, read_state};
use super::read_current;

/// One edit, and what comes of encoding it again.
pub fn manifest_edit(bytes: &[u8]) {
    let Some(edit) = Edit::decode(&Bytes::copy_from_slice(bytes)) else {
        return;
    };
    let ids = edit.adds.iter().map(|record| record.meta.file_id).chain(edit.removes.clone());
    if ids.max().is_none_or(|highest| highest < edit.file_id_next) {
        assert_eq!(Edit::decode(&Bytes::from(edit.encode())), Some(edit));
    }
}

/// A manifest: the bytes as they are, and as the edits of records that check.
pub(crate) fn manifest(bytes: &[u8], show: Show) {
    let name = FileKind::Manifest.name(7);
    let mut file = encode_header(7);
    let mut source = Source::new(bytes);
    let mut ordinal = 0;
    while !source.is_empty() {
        let skips = source.byte() % 16 == 15;
        let edit = source.short();
        ordinal += u64::from(skips);
        let offset = file.len() as u64;
        file.extend_from_slice(&encode_record(7, offset, ordinal, edit));
        ordinal += 1;
    }
    for file in [file, bytes.to_vec()] {
        let disk = FlatDisk::default();
        disk.put(&name, file);
        let _ = read_state(&disk, 7);
        show(&disk, &name);
    }
}

/// `CURRENT`: the bytes as they are, and with the checksum they should have.
pub(crate) fn current(bytes: &[u8], show: Show) {
    let mut patched = bytes.to_vec();
    patched.truncate(current::CURRENT_BYTES - 4);
    let sum = Place { file_id: 0, offset: 0, sequence: 0 }.checksum(&[&patched]);
    patched.extend_from_slice(&sum.to_le_bytes());
    for file in [patched, bytes.to_vec()] {
        let disk = FlatDisk::default();
        disk.put(CURRENT, file.clone());
        if let Ok(manifest_id) = read_current(&disk) {
            assert_eq!(current::decode(&current::encode(manifest_id)), Some(manifest_id));
            assert_eq!(current::decode(&file), Some(manifest_id));
        }
        show(&disk, CURRENT);
    }
}
