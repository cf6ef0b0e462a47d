//! The demo as people run it.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};

#[test]
fn the_demo_verifies_everything_and_loses_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anyhook"));
    command.args(["demo", "--seconds", "3", "--records", "500"]).env_remove("ANYHOOK_LOG").stdin(Stdio::null());
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}\n{complaints}");
    assert!(told.contains("500 contacts in"), "{told}");
    assert!(told.contains("VIRTUAL  updated"), "{told}");
    assert!(told.contains("payloads verified by sig, sig256 and Standard Webhooks"), "{told}");
    assert!(told.contains("nothing lost"), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains("REFUSED"), "{told}");
    assert_eq!(complaints, "");
}
