//! What users and groups are made of (RFC 7643): attributes with their types and rules.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text.
    String,
    /// Yes or no.
    Boolean,
    /// A moment.
    DateTime,
    /// Bytes, as base64.
    Binary,
    /// A URI.
    Reference,
    /// Attributes of its own.
    Complex,
}

/// Who changes it, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// Senders.
    ReadWrite,
    /// The service alone.
    ReadOnly,
    /// Senders, once.
    Immutable,
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name, as it is written back.
    pub name: &'static str,
    /// What it holds.
    pub kind: Type,
    /// Whether it is a list.
    pub multi: bool,
    /// Whether it must be there.
    pub required: bool,
    /// Whether upper and lower case are different values.
    pub case_exact: bool,
    /// Whether it must be unique among its kind.
    pub unique: bool,
    /// Whether it is in every answer, whatever is asked for.
    pub always: bool,
    /// Who changes it.
    pub mutability: Mutability,
    /// Values that are usual.
    pub canonical: &'static [&'static str],
    /// What a reference may lead to.
    pub leads_to: &'static [&'static str],
    /// Attributes of a complex one.
    pub sub: &'static [Self],
    /// What it is, in words.
    pub doc: &'static str,
}

impl Attribute {
    const fn of(name: &'static str, kind: Type, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            multi: false,
            required: false,
            case_exact: false,
            unique: false,
            always: false,
            mutability: Mutability::ReadWrite,
            canonical: &[],
            leads_to: &[],
            sub: &[],
            doc,
        }
    }

    const fn text(name: &'static str, doc: &'static str) -> Self {
        Self::of(name, Type::String, doc)
    }

    const fn link(
        name: &'static str,
        leads_to: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        let mut made = Self::of(name, Type::Reference, doc);
        made.leads_to = leads_to;
        made.case_exact = true;
        made
    }

    const fn complex(name: &'static str, sub: &'static [Self], doc: &'static str) -> Self {
        let mut made = Self::of(name, Type::Complex, doc);
        made.sub = sub;
        made
    }

    const fn many(mut self) -> Self {
        self.multi = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    const fn always(mut self) -> Self {
        self.always = true;
        self
    }

    const fn usual(mut self, canonical: &'static [&'static str]) -> Self {
        self.canonical = canonical;
        self
    }

    const fn changed_by(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    /// An attribute of this one, by its name in any case.
    pub fn sub(&self, name: &str) -> Option<&'static Self> {
        find(self.sub, name)
    }
}

fn find(all: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    all.iter().find(|one| one.name.eq_ignore_ascii_case(name))
}

/// Attributes under one URN.
#[derive(Debug)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is, in words.
    pub doc: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// An attribute by its name in any case.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }
}

/// What is kept under one address.
#[derive(Debug)]
pub struct ResourceType {
    /// Its name.
    pub name: &'static str,
    /// Where it stands below the service's address.
    pub endpoint: &'static str,
    /// A number that stays the same.
    pub number: u8,
    /// Its schema.
    pub schema: &'static Schema,
    /// What may be added.
    pub extensions: &'static [&'static Schema],
    /// The attribute that is unique among its kind, where there is one.
    pub unique: Option<&'static str>,
}

impl ResourceType {
    /// All.
    pub const ALL: [&'static Self; 2] = [&USER, &GROUP];

    /// By the first segment of a path.
    pub fn at(segment: &str) -> Option<&'static Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.endpoint.trim_start_matches('/') == segment)
    }

    /// An extension, by its URN in any case.
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions
            .iter()
            .copied()
            .find(|one| one.id.eq_ignore_ascii_case(urn))
    }

    /// An attribute of the schema or one that all have.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.schema.attribute(name).or_else(|| find(COMMON, name))
    }

    /// All schemas.
    pub fn schemas(&self) -> impl Iterator<Item = &'static Schema> {
        std::iter::once(self.schema).chain(self.extensions.iter().copied())
    }
}

use Mutability::{Immutable, ReadOnly};

type A = Attribute;

/// What every resource has.
pub static COMMON: &[Attribute] = &[
    A::text("schemas", "The URNs of its schemas.")
        .many()
        .exact()
        .always()
        .changed_by(ReadOnly),
    A::text("id", "How the service knows it.")
        .exact()
        .always()
        .unique()
        .changed_by(ReadOnly),
    A::text("externalId", "How the sender knows it.").exact(),
    A::complex(
        "meta",
        &[
            A::text("resourceType", "What it is.")
                .exact()
                .changed_by(ReadOnly),
            A::of("created", Type::DateTime, "When it was made.").changed_by(ReadOnly),
            A::of("lastModified", Type::DateTime, "When it was changed last.").changed_by(ReadOnly),
            A::link("location", &["uri"], "Where it is.").changed_by(ReadOnly),
            A::text("version", "Its entity tag.")
                .exact()
                .changed_by(ReadOnly),
        ],
        "What the service says of it.",
    )
    .changed_by(ReadOnly),
];

const TYPE: Attribute = A::text("type", "What it is for.");
const PRIMARY: Attribute = A::of(
    "primary",
    Type::Boolean,
    "Whether it is the first one to use.",
);
const DISPLAY: Attribute = A::text("display", "A name to be shown.");
const KINDS: &[&str] = &["work", "home", "other"];

/// The core schema of users.
pub static USER_SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    doc: "User Account",
    attributes: &[
        A::text("userName", "The name by which the user signs in.")
            .required()
            .unique(),
        A::complex(
            "name",
            &[
                A::text("formatted", "The whole name."),
                A::text("familyName", "The family name."),
                A::text("givenName", "The given name."),
                A::text("middleName", "Middle names."),
                A::text("honorificPrefix", "A title before the name."),
                A::text("honorificSuffix", "What stands behind the name."),
            ],
            "The parts of the name.",
        ),
        A::text("displayName", "The name to be shown."),
        A::text("nickName", "The casual name."),
        A::link("profileUrl", &["external"], "A page about the user."),
        A::text("title", "Such as Vice President."),
        A::text("userType", "Such as Employee or Contractor."),
        A::text("preferredLanguage", "As in Accept-Language."),
        A::text("locale", "For dates and numbers."),
        A::text("timezone", "By its name in the IANA database."),
        A::of("active", Type::Boolean, "Whether the account may be used."),
        A::complex(
            "emails",
            &[
                A::text("value", "The address."),
                DISPLAY,
                TYPE.usual(KINDS),
                PRIMARY,
            ],
            "Mail addresses.",
        )
        .many(),
        A::complex(
            "phoneNumbers",
            &[
                A::text("value", "The number."),
                DISPLAY,
                TYPE.usual(&["work", "home", "mobile", "fax", "pager", "other"]),
                PRIMARY,
            ],
            "Telephone numbers.",
        )
        .many(),
        A::complex(
            "ims",
            &[A::text("value", "The address."), DISPLAY, TYPE, PRIMARY],
            "Instant messaging addresses.",
        )
        .many(),
        A::complex(
            "photos",
            &[
                A::link("value", &["external"], "The picture."),
                DISPLAY,
                TYPE.usual(&["photo", "thumbnail"]),
                PRIMARY,
            ],
            "Pictures.",
        )
        .many(),
        A::complex(
            "addresses",
            &[
                A::text("formatted", "The whole address."),
                A::text("streetAddress", "Street and house."),
                A::text("locality", "The city."),
                A::text("region", "The state."),
                A::text("postalCode", "The postal code."),
                A::text("country", "By ISO 3166-1 alpha 2."),
                TYPE.usual(KINDS),
                PRIMARY,
            ],
            "Postal addresses.",
        )
        .many(),
        A::complex(
            "entitlements",
            &[A::text("value", "The entitlement."), DISPLAY, TYPE, PRIMARY],
            "What the user is entitled to.",
        )
        .many(),
        A::complex(
            "roles",
            &[A::text("value", "The role."), DISPLAY, TYPE, PRIMARY],
            "Roles.",
        )
        .many(),
        A::complex(
            "x509Certificates",
            &[
                A::of("value", Type::Binary, "The certificate (DER).").exact(),
                DISPLAY,
                TYPE,
                PRIMARY,
            ],
            "Certificates.",
        )
        .many(),
    ],
};

/// What employers add to users.
pub static ENTERPRISE_SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    doc: "Enterprise User",
    attributes: &[
        A::text("employeeNumber", "The number of the employee."),
        A::text("costCenter", "The cost center."),
        A::text("organization", "The organization."),
        A::text("division", "The division."),
        A::text("department", "The department."),
        A::complex(
            "manager",
            &[
                A::text("value", "The id of the manager's resource.").exact(),
                A::link("$ref", &["User"], "Where the manager's resource is."),
                A::text("displayName", "The manager's name.").changed_by(ReadOnly),
            ],
            "The manager.",
        ),
    ],
};

/// The core schema of groups.
pub static GROUP_SCHEMA: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    doc: "Group",
    attributes: &[
        A::text("displayName", "The name of the group.").required(),
        A::complex(
            "members",
            &[
                A::text("value", "The id of the member.")
                    .exact()
                    .changed_by(Immutable),
                A::link(
                    "$ref",
                    &["User", "Group"],
                    "Where the member's resource is.",
                )
                .changed_by(Immutable),
                A::text("type", "What the member is.")
                    .usual(&["User", "Group"])
                    .changed_by(Immutable),
                A::text("display", "The member's name.").changed_by(Immutable),
            ],
            "The members.",
        )
        .many(),
    ],
};

/// Users.
pub static USER: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    number: 1,
    schema: &USER_SCHEMA,
    extensions: &[&ENTERPRISE_SCHEMA],
    unique: Some("userName"),
};

/// Groups.
pub static GROUP: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    number: 2,
    schema: &GROUP_SCHEMA,
    extensions: &[],
    unique: None,
};
