//! The codes of the door and of the pages, with the paragraphs that `wardline explain CODE` prints
//! and `docs/reference/errors.md` repeats. Codes are never reused for another meaning.

use wardline_core::Code;

/// Every code that people and programs before the console can meet: what is wrong, and what
/// to do about it.
pub const EXPLANATIONS: &[(Code, &str, &str)] = &[
    (
        Code("W6101"),
        "not signed in",
        "Pages want a session, the API a session or the admin token as `Authorization: Bearer`. Sessions end after a while without a click, when the server restarts, and when somebody's roles change.",
    ),
    (
        Code("W6102"),
        "not the admin token",
        "The token is in a file of the data directory that the server's user may read; `wardline console` prints a link with it. It changes when its file is replaced.",
    ),
    (
        Code("W6103"),
        "sent by another site",
        "Something was to be changed by a request that, as the browser says, no page of this console sent.",
    ),
    (
        Code("W6104"),
        "a host name that is not ours",
        "The console answers to loopback names, to the address it is bound to and to the host of `people.url`, so that a name that somebody points at it leads nowhere.",
    ),
    (
        Code("W6105"),
        "a form without the token of its browser",
        "Every form bears a token that belongs to the session; it is another one after each sign-in. Load the page again. A script of a page sends it as the header `wardline-csrf`.",
    ),
    (
        Code("W6106"),
        "policy says no",
        "No policy permits it to any of the person's roles, or one forbids it; the text names which. `wardline policy explain role:ROLE ACTION` says more. The refusal is in the audit log.",
    ),
    (
        Code("W6107"),
        "name, password or one-time code is wrong",
        "Which of them is in the audit log and told to nobody at the door. A code is good once and for a minute and a half at most; check the clock of the telephone and of the server.",
    ),
    (
        Code("W6108"),
        "too many failed tries",
        "After five for a name or twenty from an address, tries are not looked at for a while that doubles up to a quarter of an hour. It ends by itself.",
    ),
    (
        Code("W6109"),
        "no group brings a role",
        "The identity provider vouched for the person, and none of the person's groups is in `people.oidc.roles`. Groups are compared letter by letter; the claim is named by `people.oidc.groups`.",
    ),
    (
        Code("W6110"),
        "the identity provider did not vouch",
        "It refused, or its answer was not one to believe: another issuer, audience or nonce, a signature by no key of its, an `acr` or `amr` that is too weak, or the name of an account kept here. The audit log has the reason.",
    ),
    (
        Code("W6111"),
        "the identity provider cannot be reached",
        "Its metadata, keys or token endpoint did not answer as they must, or its certificate is not trusted: `people.oidc.ca` names another CA. The log has the reason.",
    ),
    (
        Code("W6112"),
        "not a way in here",
        "Accounts are closed (`people: { local: false }`), or there is no identity provider in wardline.yaml.",
    ),
    (
        Code("W6113"),
        "a password that cannot be taken",
        "Twelve characters at least, and none of the first that are tried: no repetition, no `password1234`, not mostly the person's name.",
    ),
    (
        Code("W6114"),
        "too many people at the door",
        "Passwords are slow to check on purpose, so few are checked at a time. Try again.",
    ),
    (
        Code("W6115"),
        "an account that cannot be changed so",
        "The text says why: a name that is taken or none, a role that nothing is known of, nobody of that name.",
    ),
    (
        Code("W6116"),
        "no such invitation",
        "Invitations are good once and for a day. `wardline people reset NAME` makes another.",
    ),
    (
        Code("W6117"),
        "a question of another role",
        "A question of a process is answered by people who hold the role that it is put to, whatever else they may do. `wardline people roles` or the identity provider's groups give a role; an operator can reassign the question. The refusal is in the audit log.",
    ),
    (
        Code("W7201"),
        "nothing is there",
        "No message, delivery, destination or page of that name, or not any more.",
    ),
    (
        Code("W7202"),
        "a search that does not parse",
        "Words with a colon must be known ones; `How to search` on the page lists them.",
    ),
    (
        Code("W7203"),
        "something is missing in a form",
        "The text says what. Nothing was done.",
    ),
    (
        Code("W7204"),
        "a link that has expired",
        "Previews, searches that hold a key and sign-ins under way are kept for a while, for the session that made them.",
    ),
    (
        Code("W7205"),
        "too many live pages",
        "As many as the console allows are open already; others work without live updates.",
    ),
    (
        Code("W7206"),
        "a body that does not fit",
        "The JSON of a request to the API is not of the shape that it must have, or a reason is missing.",
    ),
    (
        Code("W7207"),
        "a request that does not fit",
        "Too long, not decodable, or not a method of that address.",
    ),
    (
        Code("W7208"),
        "the console failed",
        "A file or a key of its own could not be used, or there were no random numbers. The log has the reason.",
    ),
];
