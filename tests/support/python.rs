//! The Python that has what some tests compare with: `VITRINE_TEST_PYTHON`, or a virtual
//! environment under `target/` that is made on first use.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// The one with the packages of `tests/<tests>/requirements.txt`.
///
/// # Panics
/// When there is no usable Python, with what to do about it.
pub fn interpreter(tests: &str) -> PathBuf {
    if let Some(python) = std::env::var_os("VITRINE_TEST_PYTHON") {
        return python.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let requirements =
        format!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/{}/requirements.txt"), tests);
    let environment = target.join(format!("venv-{tests}"));
    // Tests of several runs may want it at once.
    let lock = File::create(target.join(format!("venv-{tests}.lock")))
        .expect("the target directory is writable");
    lock.lock().expect("the lock can be taken");
    let wanted = std::fs::read_to_string(&requirements).expect("requirements.txt is there");
    let stamp = environment.join("installed.txt");
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if std::fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        let environment = environment.to_str().expect("the target directory has a plain name");
        run("python3", &["-m", "venv", "--clear", environment]);
        run(
            &python,
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
                &requirements,
            ],
        );
        std::fs::write(&stamp, wanted).expect("the target directory is writable");
    }
    python
}

fn run(program: impl AsRef<Path>, arguments: &[&str]) {
    let program = program.as_ref();
    let done = Command::new(program).args(arguments).status().is_ok_and(|status| status.success());
    assert!(
        done,
        "`{} {}` failed. These tests need Python 3.11 or newer with venv and pip; or set VITRINE_TEST_PYTHON to a Python \
         where `pip install -r` has been done with each tests/*/requirements.txt",
        program.display(),
        arguments.join(" ")
    );
}
