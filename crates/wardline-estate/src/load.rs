//! From a directory to an estate: read, check shapes, decode, check the whole.

use crate::check::{self, Whole};
use crate::codes;
use crate::decode::{self, Documents};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::files::{Files, TEXT_LIMIT};
use crate::model::{Estate, StoreUrl};
use crate::shape::{self, Kind};
use crate::source::SourceMap;
use crate::yaml::{self, Data, Node};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wardline_core::Code;
use wardline_soap::source::Held;
use wardline_soap::xsd::Library;

/// Answers whether a secret exists.
pub type SecretExists<'a> = dyn Fn(&Estate, &str) -> bool + 'a;

/// How an estate is loaded.
#[derive(Clone, Copy, Default)]
pub struct LoadOptions<'a> {
    /// Whether a secret (`secret:erp/ws`, as written) exists on this machine, given where the
    /// estate says that secrets come from. Secrets are not checked where this is `None`, as on
    /// a machine that only checks.
    pub secret_exists: Option<&'a SecretExists<'a>>,
    /// What the environment says (`WARDLINE_STORE`) instead of the estate's `store`.
    pub store: Option<&'a str>,
}

impl fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("checks_secrets", &self.secret_exists.is_some())
            // The URL of a store may hold a password.
            .field("store", &self.store.map(|_| "…"))
            .finish()
    }
}

/// What became of loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The estate, where nothing that was found is an error.
    pub estate: Option<Estate>,
    /// Where something is wrong: what could be decoded all the same, for checks that go on
    /// (mapping programs). Never run it: references may lead nowhere.
    pub partial: Option<Estate>,
    /// Everything that was found, in the order of files and lines.
    pub diagnostics: Diagnostics,
    /// Every file that was read, for showing the diagnostics.
    pub sources: SourceMap,
}

/// Problems whose place in the file likely is a password or key. It is masked before anything is
/// shown, also in the frames of other problems on the same line.
const HOLDS_A_SECRET: [Code; 4] = [
    codes::PASSWORD_IN_FILE,
    codes::BAD_SECRET,
    codes::KEY_IN_FILE,
    // An identity may have been put in the recipient's place.
    codes::BAD_RECIPIENT,
];

/// Nobody reads more problems than this in one run, and each costs a frame.
const MOST: usize = 1_000;

/// Directories whose files belong to later releases.
const LATER: [&str; 1] = ["alerts"];

/// Reads and checks the estate in a directory. All problems are found in one run.
///
/// ```no_run
/// use wardline_estate::{LoadOptions, load};
///
/// let loaded = load("examples/st-brigid".as_ref(), &LoadOptions::default());
/// print!("{}", loaded.diagnostics.render(&loaded.sources, false));
/// if let Some(estate) = loaded.estate {
///     println!("{} flows", estate.flows.len());
/// }
/// ```
pub fn load(directory: &Path, options: &LoadOptions<'_>) -> Loaded {
    let root = directory
        .canonicalize()
        .ok()
        .filter(|root| root.join("wardline.yaml").exists());
    let Some(root) = root else {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(
            Diagnostic::error(
                codes::NO_ESTATE,
                format!("there is no `wardline.yaml` in `{}`", directory.display()),
            )
            .help("give the directory of an estate"),
        );
        return Loaded {
            estate: None,
            partial: None,
            diagnostics,
            sources: SourceMap::new(),
        };
    };
    let mut files = Files::new(root);
    let documents = read(&mut files);
    let (mut estate, learned) = decode::decode(&documents, &mut files);
    later(&mut files);
    for path in files.list("maps", &[".vrl"], &[".md"]) {
        files.text(&path, TEXT_LIMIT);
    }
    // Whatever else lies beside schemas is not ours.
    let schemas = files.list("schemas", &[".xsd"], &[""]);
    for path in &schemas {
        files.text(path, TEXT_LIMIT);
    }
    let problem = if let Some(text) = options.store {
        // Whatever is wrong with it, the estate's own `store` does not count.
        estate.store = StoreUrl::Sqlite;
        check::store_of_environment(text)
    } else {
        let declared = documents.estate.as_ref().and_then(|node| node.get("store"));
        check::unsupported_store(&estate.store, declared.map(|node| node.at))
    };
    files.problems.extend(problem);
    let Files {
        mut sources,
        problems: mut diagnostics,
        ..
    } = files;
    estate.xml = Arc::new(library(&schemas, &sources));
    estate.sources = sources.clone();
    let whole = Whole {
        found: &diagnostics,
        estate: &estate,
        learned: &learned,
        incomplete: &documents.incomplete,
        secret_exists: options.secret_exists,
    };
    let found = check::check(&whole);
    diagnostics.extend(found);
    for diagnostic in diagnostics
        .iter()
        .filter(|diagnostic| HOLDS_A_SECRET.contains(&diagnostic.code))
    {
        if let Some(span) = diagnostic.span {
            sources.mask(span);
        }
    }
    diagnostics.sort(&sources);
    diagnostics.bound(MOST);
    let (estate, partial) = if diagnostics.has_errors() {
        (None, Some(estate))
    } else {
        (Some(estate), None)
    };
    Loaded {
        estate,
        partial,
        diagnostics,
        sources,
    }
}

/// The schemas that maps may name: those that were read, and nothing that changes later.
fn library(paths: &[PathBuf], sources: &SourceMap) -> Library {
    let held = paths.iter().filter_map(|path| {
        let file = sources.file(sources.find(path)?)?;
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        Some((parts.join("/"), Arc::clone(&file.text)))
    });
    Library::new(Held::new(held))
}

/// Reads all declarations and checks their shapes.
fn read(files: &mut Files) -> Documents {
    let mut documents = Documents::default();
    documents.estate = single(files, Kind::Estate, &mut documents);
    if files.exists("defaults.yaml") {
        documents.defaults = single(files, Kind::Defaults, &mut documents);
    }
    let kinds: [(Kind, &str, &[&str]); 9] = [
        (Kind::System, "systems", &[]),
        (Kind::Entity, "entities", &[".json"]),
        (Kind::Flow, "flows", &[]),
        (Kind::Process, "processes", &[]),
        (Kind::Job, "jobs", &[]),
        (Kind::Api, "apis", &[]),
        // Key sets lie beside the clients whose they are.
        (Kind::Client, "clients", &[".json"]),
        (Kind::Codes, "codes", &[".csv"]),
        // Fixtures may be of any kind.
        (Kind::Test, "tests", &[""]),
    ];
    for (kind, directory, tolerated) in kinds {
        let tolerated: Vec<&str> = tolerated.iter().copied().chain([".md"]).collect();
        for path in files.list(directory, &[".yaml"], &tolerated) {
            // A fixture may be YAML as well; tests themselves lie at the top.
            if kind == Kind::Test && path.components().count() > 2 {
                continue;
            }
            let nodes = parse(files, &path, kind, &mut documents);
            if let Some(all) = documents.several(kind) {
                all.extend(nodes);
            }
        }
    }
    documents.policies = files.list("policies", &[".cedar"], &[".md"]);
    documents.tables = files.list("codes", &[".csv"], &[".yaml", ".md"]);
    documents.tables.dedup();
    documents
}

fn single(files: &mut Files, kind: Kind, documents: &mut Documents) -> Option<Node> {
    parse(files, Path::new(kind.files()), kind, documents)
        .into_iter()
        .next()
}

/// The documents of one file, their shapes checked.
fn parse(files: &mut Files, path: &Path, kind: Kind, documents: &mut Documents) -> Vec<Node> {
    let nodes = files.text(path, TEXT_LIMIT).and_then(|file| {
        let text: std::sync::Arc<str> = files.sources.text(file).into();
        yaml::parse(&text, file, &mut files.problems)
    });
    let Some(mut nodes) = nodes else {
        documents.incomplete.insert(kind.word());
        return Vec::new();
    };
    // An empty document, as after a trailing `---`, says nothing.
    nodes.retain(|node| !matches!(node.data, Data::Null));
    if let Some(second) = nodes.get(1).filter(|_| !kind.several()) {
        let at = second
            .entries()
            .first()
            .map_or(second.at, |entry| entry.key_at);
        files.problems.push(
            Diagnostic::error(
                codes::WRONG_TYPE,
                format!("`{}` holds one document", kind.files()),
            )
            .at(at)
            .label("a second one starts here"),
        );
    }
    if nodes.is_empty() && kind == Kind::Estate {
        files.problems.push(
            Diagnostic::error(codes::MISSING_KEY, "`wardline.yaml` is empty")
                .help("start with `estate: NAME`"),
        );
    }
    for node in &nodes {
        shape::check(node, kind.object(), &mut files.problems);
        if !matches!(node.data, Data::Mapping(_)) {
            documents.incomplete.insert(kind.word());
        }
    }
    nodes
}

/// Notes directories that this release does not read.
fn later(files: &mut Files) {
    for directory in LATER {
        let count = files.list(directory, &[""], &[]).len();
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            files.problems.push(Diagnostic::note(
                codes::UNSUPPORTED_DIRECTORY,
                format!("{count} file{plural} in `{directory}/`: this release does not read them"),
            ));
        }
    }
}
