//! What can stop the console from starting. What goes wrong while somebody uses it is a
//! problem shown to that person: see `problem.rs`.

use std::path::PathBuf;

/// The console could not start or stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The token file exists but cannot be read.
    #[error(
        "cannot read the admin token in `{path}`: {source}; give the user that runs wardline read access to it"
    )]
    ReadToken {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There was no token file and none could be made.
    #[error(
        "cannot create the admin token file `{path}`: {source}; its folder must exist and be writable"
    )]
    CreateToken {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Others may read the token file.
    #[error(
        "`{path}` holds the admin token but others may read it (mode {mode:o}); run `chmod 600` on it"
    )]
    TokenExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The token is too easy to guess.
    #[error(
        "the admin token in `{path}` has {length} characters, at least {least} are needed; delete the file and a new one is made"
    )]
    WeakToken {
        /// Where it came from.
        path: PathBuf,
        /// Its length.
        length: usize,
        /// The least allowed.
        least: usize,
    },
    /// The operating system gave no random numbers.
    #[error(
        "the operating system gave no random numbers, so no admin token or session can be made"
    )]
    NoRandomness,
}
