//! Which address needs what: one table, so that it can be read and tested as one. What is
//! not in it is for who holds the admin token.

use http::Method;
use wardline_access::policy::Action;

/// What somebody must be, or be allowed to do, for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: the way in, and what pages are drawn with.
    Nothing,
    /// To be signed in. What is asked for is judged where it is known.
    Anybody,
    /// To be allowed this on the estate.
    May(Action),
    /// To hold the admin token.
    Token,
}

const ANY: &str = "*";

const TABLE: &[(&str, &str, Need)] = {
    use Action::{Administer, Audit, Edit, Replay, Search, View};
    use Need::{Anybody, May, Nothing};
    &[
        (ANY, "/login", Nothing),
        ("GET", "/login/start", Nothing),
        ("GET", "/login/return", Nothing),
        (ANY, "/enrol", Nothing),
        ("POST", "/theme", Nothing),
        ("GET", "/assets/{name}", Nothing),
        ("POST", "/logout", Anybody),
        ("GET", "/api/session", Anybody),
        // Pages.
        ("GET", "/", May(View)),
        ("GET", "/live", May(View)),
        ("GET", "/messages", May(Search)),
        ("POST", "/messages", May(Search)),
        ("GET", "/trace/{id}", May(View)),
        ("POST", "/trace/{id}", May(View)), // and to reveal
        ("GET", "/dead", May(View)),
        ("GET", "/dead/{fingerprint}", May(View)),
        ("GET", "/destinations/{name}", May(View)),
        ("POST", "/plans", Anybody), // and the act
        ("GET", "/plans/{id}", Anybody),
        ("POST", "/plans/{id}", Anybody), // and the act
        ("GET", "/resubmit/{id}", May(Edit)),
        ("POST", "/resubmit/{id}", May(Edit)), // and to reveal
        ("GET", "/audit", May(Audit)),
        ("GET", "/processes", May(View)),
        ("GET", "/processes/{name}", May(View)),
        ("POST", "/processes/{name}", May(Search)),
        ("GET", "/instances/{id}", May(View)),
        ("POST", "/instances/{id}", May(View)), // and to reveal
        ("POST", "/intents", Anybody),          // and the act
        ("GET", "/intents/{id}", Anybody),
        ("POST", "/intents/{id}", Anybody), // and the act
        ("GET", "/tasks", Anybody),         // those of their roles
        ("GET", "/tasks/{id}", Anybody),    // and to be asked, or to view
        ("POST", "/tasks/{id}/claim", Anybody),
        ("POST", "/tasks/{id}/release", Anybody),
        ("POST", "/tasks/{id}/reassign", Anybody), // and to be asked, or to replay
        ("POST", "/tasks/{id}/answer", Anybody),   // and to be asked
        ("GET", "/transactions", May(View)),
        ("POST", "/transactions", May(Search)),
        ("GET", "/boards", May(View)),
        ("GET", "/jobs", May(View)),
        ("POST", "/jobs", May(Replay)),
        ("GET", "/reconciliations", May(View)),
        ("GET", "/reconciliations/{id}", May(View)),
        // The same for programs.
        ("GET", "/api/overview", May(View)),
        ("GET", "/api/live", May(View)),
        ("POST", "/api/messages", May(Search)),
        ("POST", "/api/deliveries", May(Search)),
        ("GET", "/api/trace/{id}", May(View)),
        ("POST", "/api/find", May(Search)),
        ("POST", "/api/payload", May(View)), // and to reveal
        ("GET", "/api/dead", May(View)),
        ("POST", "/api/replay", Anybody),  // and to replay
        ("POST", "/api/release", Anybody), // and the act
        ("POST", "/api/cancel", Anybody),
        ("POST", "/api/park", Anybody),
        ("POST", "/api/resubmit", May(Edit)),
        ("GET", "/api/processes", May(View)),
        ("POST", "/api/instances", May(Search)),
        ("GET", "/api/instances/{id}", May(View)),
        ("POST", "/api/instances/{id}/reveal", May(View)), // and to reveal
        ("POST", "/api/instances/{id}/act", Anybody),      // and the act
        ("POST", "/api/tasks", Anybody),                   // those of their roles
        ("GET", "/api/tasks/{id}", Anybody),               // and to be asked, or to view
        ("POST", "/api/tasks/{id}/claim", Anybody),
        ("POST", "/api/tasks/{id}/release", Anybody),
        ("POST", "/api/tasks/{id}/reassign", Anybody),
        ("POST", "/api/tasks/{id}/answer", Anybody), // and to be asked
        ("POST", "/api/transactions", May(Search)),
        ("POST", "/api/figures", May(View)),
        ("GET", "/api/boards", May(View)),
        ("POST", "/api/board", May(View)),
        ("POST", "/api/reconciliations", May(View)),
        ("POST", "/api/reconcile", May(Replay)),
        ("GET", "/api/audit", May(Audit)),
        ("GET", "/api/audit/records", May(Audit)),
        (ANY, "/api/audit/state", May(Audit)),
        (ANY, "/api/people", May(Administer)),
        ("GET", "/api/clients", May(View)),
        ("POST", "/api/clients/{client}/quarantine", May(Administer)),
        ("POST", "/api/clients/{client}/release", May(Administer)),
        ("GET", "/api/alerts", May(View)),
        ("POST", "/api/alerts/{id}/acknowledge", May(Replay)),
        ("GET", "/api/jobs", May(View)),
        ("POST", "/api/jobs", May(Replay)),
        ("GET", "/api/webhooks", May(View)),
        ("POST", "/api/webhooks", May(Administer)),
        ("POST", "/api/webhooks/test", May(Replay)),
        ("POST", "/api/keys/destroy", May(Administer)),
        ("GET", "/api/estate", May(View)),
        ("POST", "/api/reload", May(Administer)),
    ]
};

/// What an address needs, by its pattern.
pub(crate) fn need(method: &Method, path: &str) -> Need {
    let method = if *method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    TABLE
        .iter()
        .find(|(of, at, _)| *at == path && (*of == ANY || *of == method))
        .map_or(Need::Token, |(_, _, need)| *need)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_thought_of_needs_the_token() {
        assert_eq!(need(&Method::GET, "/somewhere/new"), Need::Token);
        assert_eq!(need(&Method::DELETE, "/audit"), Need::Token);
        assert_eq!(need(&Method::HEAD, "/audit"), Need::May(Action::Audit));
        assert_eq!(
            need(&Method::POST, "/api/people"),
            Need::May(Action::Administer)
        );
    }
}
