//! Opening what cannot be opened: every error says what, where, why and what to do.
//! Not here: a newer format (`src/files.rs`), what is kept over a crash (`crash.rs`).

use std::{path::Path, process::Command};

use moim_store::MessageStore;
use moim_store_fjall::{EmbeddedConfig, EmbeddedStore, OpenError};

const FOLDER: &str = "MOIM_TEST_CHILD_FOLDER";

fn fault(folder: &Path) -> OpenError {
    EmbeddedStore::open(EmbeddedConfig::at(folder)).err().expect("it opened")
}

#[test]
#[ignore = "started by another test, as a process of its own"]
fn child() {
    let folder = std::env::var_os(FOLDER).expect("only for the other tests of this file");
    println!("the child says: {}", fault(Path::new(&folder)));
}

#[tokio::test]
async fn a_second_moim_on_the_folder_is_told_so_until_the_first_has_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(EmbeddedConfig::at(folder.path())).expect("open");
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("run the child");
    let said = String::from_utf8_lossy(&child.stdout);
    let want = format!(
        "cannot open the message store in {}: another moim is running on this folder. Stop that one first, or set \
         embedded.path to another folder",
        folder.path().display()
    );
    assert!(said.contains(&want), "{said}");
    assert!(matches!(fault(folder.path()), OpenError::Locked { .. }), "within one process, too");

    store.close().await.expect("close");
    // `store` is still held: closing alone gives the folder free.
    let next = EmbeddedStore::open(EmbeddedConfig::at(folder.path())).expect("open after close");
    drop(store);
    next.close().await.expect("close");
}

#[test]
fn a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a file");
    std::fs::write(&file, "not a folder").expect("write");
    for path in [file.clone(), file.join("below")] {
        let error = fault(&path);
        assert!(matches!(error, OpenError::NotADirectory { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().expect("utf-8")) && text.contains("embedded.path"), "{text}");
    }
    assert_eq!(std::fs::read_to_string(file).expect("read"), "not a folder");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_made_says_why() {
    // Also root can make nothing there.
    let error = fault(Path::new("/proc/moim-data"));
    assert!(matches!(error, OpenError::CannotCreate { .. }), "{error:?}");
    assert!(error.to_string().contains("/proc/moim-data"), "{error}");
}

#[test]
fn bad_settings_are_all_told() {
    let error = EmbeddedStore::open(EmbeddedConfig { cache_bytes: 0, ..EmbeddedConfig::at("") }).err();
    let text = error.expect("it opened").to_string();
    assert!(text.contains("embedded.path is empty") && text.contains("embedded.cache_bytes is 0"), "{text}");
}
