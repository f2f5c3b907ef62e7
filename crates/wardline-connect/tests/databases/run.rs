//! Statements: what is bound, what is done, and what is not.

use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use wardline_connect::sql::Expect;
use wardline_connect::tls::{ClientTls, Pem};
use wardline_connect::{FailureKind, Outbound as _, Secret};
use wardline_sql::Dialect;

use crate::servers::{Pair, Server};
use crate::{Database, outbound, send};

#[tokio::test]
async fn values_arrive_as_they_are() {
    for database in Database::all() {
        let (table, expected) = match database.dialect() {
            Dialect::Postgres => (
                "create table t (a int primary key, amount numeric(12,2), at timestamptz, day date, id uuid, doc jsonb, flag bool, tags text[], note text, raw bytea default '\\x00ff', t time default '01:02:03.5', d double precision default 1.5)",
                json!([{ "a": 1, "amount": "12345678.90", "at": "2026-11-28T01:02:03.25Z", "day": "2026-02-28",
                         "id": "6f1e1c2a-0000-4000-8000-00000000abcd", "doc": { "x": [1, "é"] }, "flag": true,
                         "tags": ["a\"b", "c,d", null], "note": "'); drop table t; --", "raw": "AP8=", "t": "01:02:03.5", "d": 1.5 }]),
            ),
            Dialect::Mysql => (
                "create table t (a int primary key, amount decimal(12,2), at datetime(3), day date, id char(36), doc json, flag bool, tags text, note text, raw varbinary(8) default x'00ff', t time(1) default '01:02:03.5', d double default 1.5)",
                json!([{ "a": 1, "amount": "12345678.90", "at": "2026-11-28T01:02:03.25", "day": "2026-02-28",
                         "id": "6f1e1c2a-0000-4000-8000-00000000abcd", "doc": "{\"x\":[1,\"é\"]}", "flag": 1,
                         "tags": "[\"a\\\"b\",\"c,d\",null]", "note": "'); drop table t; --", "raw": "AP8=", "t": "01:02:03.5", "d": 1.5 }]),
            ),
            Dialect::Sqlite => (
                "create table t (a integer primary key, amount text, at text, day text, id text, doc text, flag integer, tags text, note text, raw blob default x'00ff', t text default '01:02:03.5', d real default 1.5)",
                json!([{ "a": 1, "amount": "12345678.90", "at": "2026-11-28 01:02:03.25", "day": "2026-02-28",
                         "id": "6f1e1c2a-0000-4000-8000-00000000abcd", "doc": "{\"x\":[1,\"é\"]}", "flag": 1,
                         "tags": "[\"a\\\"b\",\"c,d\",null]", "note": "'); drop table t; --", "raw": "AP8=", "t": "01:02:03.5", "d": 1.5 }]),
            ),
        };
        database.does(table).await;
        let insert = database.outbound(
            &["insert into t (a, amount, at, day, id, doc, flag, tags, note) values (:a, :money.amount, :at, :day, :id, :doc, :flag, :tags, :note)"],
            Expect::Any,
        );
        let payload = json!({
            "a": 1, "money": { "amount": "12345678.90" }, "at": "2026-11-28 01:02:03.25", "day": "2026-02-28",
            "id": "6f1e1c2a-0000-4000-8000-00000000abcd", "doc": { "x": [1, "é"] }, "flag": true,
            "tags": ["a\"b", "c,d", null], "note": "'); drop table t; --",
        });
        if database.dialect() == Dialect::Postgres {
            database
                .does("alter role wardline set timezone = 'UTC'")
                .await;
        }
        let answer = send(&insert, payload).await.unwrap();
        assert_eq!(
            answer,
            json!({ "affected": 1, "rows": [] }),
            "{}",
            insert.describe()
        );
        assert_eq!(
            database.rows("select * from t").await,
            expected,
            "{}",
            insert.describe()
        );
        // What the payload does not say is NULL.
        send(&insert, json!({ "a": 2 })).await.unwrap();
        let row = database
            .rows("select a, amount, tags from t where a = 2")
            .await;
        assert_eq!(row, json!([{ "a": 2, "amount": null, "tags": null }]));
    }
}

#[tokio::test]
async fn a_delivery_is_one_transaction() {
    for database in Database::all() {
        database.does("create table stock (item varchar(20) primary key, qty int not null check (qty >= 0))").await;
        database
            .does("create table moves (id varchar(40) primary key, item varchar(20), qty int)")
            .await;
        database
            .does("insert into stock (item, qty) values ('gauze', 10)")
            .await;
        let take = database.outbound(
            &[
                "insert into moves (id, item, qty) values (:delivery_id, :item, :qty)",
                "update stock set qty = qty - :qty where item = :item",
            ],
            Expect::One,
        );
        let answer = send(&take, json!({ "item": "gauze", "qty": 4 }))
            .await
            .unwrap();
        assert_eq!(answer["affected"], 1);
        let state = || async {
            (
                database.rows("select qty from stock").await,
                database.rows("select count(*) as n from moves").await,
            )
        };
        let after = (json!([{ "qty": 6 }]), json!([{ "n": 1 }]));
        assert_eq!(state().await, after);
        // The same delivery again: the key refuses it, and nothing of it happens.
        let failure = send(&take, json!({ "item": "gauze", "qty": 4 }))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Permanent, "W4384"),
            "{failure}"
        );
        assert_eq!(state().await, after);
        database.does("delete from moves").await;
        let none = (json!([{ "qty": 6 }]), json!([{ "n": 0 }]));
        // Below zero, and nothing by that name.
        let failure = send(&take, json!({ "item": "gauze", "qty": 7 }))
            .await
            .unwrap_err();
        assert_eq!(failure.code.0, "W4384", "{failure}");
        assert_eq!(state().await, none);
        let failure = send(&take, json!({ "item": "secret-thing", "qty": 1 }))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Permanent, "W4388")
        );
        assert_eq!(state().await, none);
        assert!(!failure.to_string().contains("secret-thing"));
    }
}

#[tokio::test]
async fn failures_are_classed_and_hold_no_value() {
    for database in Database::all() {
        database
            .does("create table t (a int primary key, s varchar(5))")
            .await;
        let try_ = |statement: &'static str, payload| {
            let out = database.outbound(&[statement], Expect::Any);
            async move { send(&out, payload).await.unwrap_err() }
        };
        let insert = "insert into t (a, s) values (:a, :s)";
        send(
            &database.outbound(&[insert], Expect::Any),
            json!({ "a": 77001 }),
        )
        .await
        .unwrap();
        let twice = try_(insert, json!({ "a": 77001 })).await;
        assert_eq!(
            (twice.kind, twice.code.0),
            (FailureKind::Permanent, "W4384"),
            "{twice}"
        );
        let missing = try_("select * from nowhere where a = :a", json!({ "a": 77001 })).await;
        assert_eq!(
            (missing.kind, missing.code.0),
            (FailureKind::Permanent, "W4385"),
            "{missing}"
        );
        let syntax = try_("selec :a", json!({ "a": 77001 })).await;
        assert_eq!(syntax.code.0, "W4385", "{syntax}");
        let mut all = vec![twice, missing, syntax];
        if database.dialect() != Dialect::Sqlite {
            let text = try_(insert, json!({ "a": "77001x" })).await;
            assert_eq!(
                (text.kind, text.code.0),
                (FailureKind::Permanent, "W4386"),
                "{text}"
            );
            let long = try_(insert, json!({ "a": 2, "s": "77001 is long" })).await;
            assert_eq!(long.code.0, "W4386", "{long}");
            all.extend([text, long]);
        }
        for failure in all {
            assert!(!failure.to_string().contains("77001"), "{failure}");
        }
        let no_object = database.outbound(&["select 1"], Expect::Any);
        let failure = send(&no_object, json!([1])).await.unwrap_err();
        assert_eq!(failure.code.0, "W4387");
        // What may be asked is never more than so much.
        let endless = database.outbound(
            &["with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000) select i from n"],
            Expect::Any,
        );
        if database.dialect() == Dialect::Mysql {
            database
                .does("set global max_recursive_iterations = 100000")
                .await;
        }
        let failure = send(&endless, json!({})).await.unwrap_err();
        assert_eq!(failure.code.0, "W4388", "{failure}");
    }
}

#[tokio::test]
async fn rows_are_put_or_changed_and_procedures_called() {
    for database in Database::all() {
        database
            .does("create table t (a int primary key, n int)")
            .await;
        let upsert = match database.dialect() {
            Dialect::Mysql => "insert into t (a, n) values (:a, :n) on duplicate key update n = :n",
            _ => {
                "insert into t (a, n) values (:a, :n) on conflict (a) do update set n = excluded.n returning n"
            }
        };
        let upsert = database.outbound(&[upsert], Expect::Some);
        send(&upsert, json!({ "a": 1, "n": 1 })).await.unwrap();
        let answer = send(&upsert, json!({ "a": 1, "n": 2 })).await.unwrap();
        if database.dialect() != Dialect::Mysql {
            assert_eq!(answer, json!({ "affected": 1, "rows": [{ "n": 2 }] }));
        }
        assert_eq!(
            database.rows("select * from t").await,
            json!([{ "a": 1, "n": 2 }])
        );
        let make = match database.dialect() {
            Dialect::Postgres => {
                "create procedure bump(x int, inout total int) language plpgsql as $$ begin update t set n = n + x; select sum(n) into total from t; end $$"
            }
            Dialect::Mysql => {
                "create procedure bump(x int) begin update t set n = n + x; select sum(n) as total from t; end"
            }
            Dialect::Sqlite => continue,
        };
        if database.dialect() == Dialect::Mysql {
            // Not one statement to the reader: a body of several is given by hand.
            continue;
        }
        database.does(make).await;
        let call = database.outbound(&["call bump(:x, null)"], Expect::Any);
        let answer = send(&call, json!({ "x": 5 })).await.unwrap();
        assert_eq!(answer["rows"], json!([{ "total": 7 }]));
    }
}

#[tokio::test]
async fn procedures_of_mariadb_answer() {
    let Some(database) = Database::mariadb() else {
        return;
    };
    database
        .does("create procedure twice(x int) select x * 2 as y")
        .await;
    let call = database.outbound(&["call twice(:x)"], Expect::Any);
    for x in [1, 2] {
        let answer = send(&call, json!({ "x": x })).await.unwrap();
        assert_eq!(answer["rows"], json!([{ "y": x * 2 }]));
    }
}

#[tokio::test]
async fn two_that_stand_in_each_others_way_may_try_again() {
    for database in Database::all() {
        let sleep = match database.dialect() {
            Dialect::Postgres => "select pg_sleep(0.7)",
            Dialect::Mysql => "select sleep(0.7)",
            Dialect::Sqlite => continue,
        };
        database
            .does("create table t (a int primary key, n int)")
            .await;
        database
            .does("insert into t (a, n) values (1, 0), (2, 0)")
            .await;
        let update = "update t set n = n + 1 where a = :a";
        let other = "update t set n = n + 1 where a = :b";
        let out = database.outbound(&[update, sleep, other], Expect::Any);
        let (one, two) = tokio::join!(
            send(&out, json!({ "a": 1, "b": 2 })),
            send(&out, json!({ "a": 2, "b": 1 }))
        );
        let failures: Vec<_> = [one, two].into_iter().filter_map(Result::err).collect();
        assert_eq!(failures.len(), 1, "one of the two is the victim");
        assert_eq!(
            (failures[0].kind, failures[0].code.0),
            (FailureKind::Transient, "W4382"),
            "{}",
            failures[0]
        );
        // Nothing of the victim stays, and its session is as good as new.
        assert_eq!(
            database
                .rows("select sum(n) as s from t where n = 1")
                .await
                .to_string()
                .replace('"', ""),
            "[{s:2}]"
        );
        send(&out, json!({ "a": 2, "b": 1 })).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_or_does_not_answer_is_tried_again() {
    for database in Database::all() {
        let Database::Served(dialect, mut server) = database else {
            let mut access = database.access();
            access.place = wardline_sql::Place::File("/nowhere/at/all.db".into());
            let out = outbound(access, Dialect::Sqlite, &["select 1"], Expect::Any);
            let failure = send(&out, json!({})).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.code.0),
                (FailureKind::Unreachable, "W4380"),
                "{failure}"
            );
            continue;
        };
        let login = server.login;
        let access = {
            let database = Database::Served(dialect, server);
            let access = database.access();
            let Database::Served(_, back) = database else {
                unreachable!()
            };
            server = back;
            access
        };
        let mut wrong = access.clone();
        wrong.login = Some(Secret::from("wardline:close sesame"));
        let out = outbound(wrong, dialect, &["select 1"], Expect::Any);
        let failure = send(&out, json!({})).await.unwrap_err();
        assert_eq!(
            (failure.kind.may_pass(), failure.code.0),
            (true, "W4383"),
            "{failure}"
        );
        assert!(!failure.to_string().contains("sesame"), "{failure} {login}");

        let mut hasty = access.clone();
        hasty.timeout = Duration::from_millis(400);
        let sleep = if dialect == Dialect::Mysql {
            "select sleep(5)"
        } else {
            "select pg_sleep(5)"
        };
        let out = outbound(hasty, dialect, &[sleep], Expect::Any);
        let failure = send(&out, json!({})).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.0),
            (FailureKind::Timeout, "W4381"),
            "{failure}"
        );

        let out = outbound(access, dialect, &["select 1 as one"], Expect::Any);
        send(&out, json!({})).await.unwrap();
        server.kill();
        // The session that was kept breaks, and then there is none to be had.
        for _ in 0..2 {
            let failure = send(&out, json!({})).await.unwrap_err();
            assert!(failure.kind.may_pass(), "{failure}");
            assert_eq!(failure.code.0, "W4380", "{failure}");
        }
        server.start();
        assert_eq!(
            send(&out, json!({})).await.unwrap()["rows"],
            json!([{ "one": 1 }])
        );
    }
}

#[tokio::test]
async fn servers_are_verified() {
    let key = KeyPair::generate().unwrap();
    let params =
        CertificateParams::new(vec!["127.0.0.1".to_owned(), "db.example".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    let pair = Pair {
        cert: cert.pem(),
        key: key.serialize_pem(),
    };
    let other = {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap()
            .pem()
    };
    let servers = [
        Server::postgres(Some(&pair)).map(|server| Database::Served(Dialect::Postgres, server)),
        Server::mariadb(Some(&pair)).map(|server| Database::Served(Dialect::Mysql, server)),
    ];
    for database in servers.into_iter().flatten() {
        let trusting = |ca: &str, name: Option<&str>| {
            let mut access = database.access();
            access.tls = Some(ClientTls {
                ca: Some(Pem::Text(Secret::from(ca))),
                identity: None,
                server_name: name.map(str::to_owned),
            });
            outbound(
                access,
                database.dialect(),
                &["select 1 as one"],
                Expect::Any,
            )
        };
        for name in [None, Some("db.example")] {
            send(&trusting(&pair.cert, name), json!({}))
                .await
                .unwrap_or_else(|failure| panic!("{failure}"));
        }
        for out in [
            trusting(&other, None),
            trusting(&pair.cert, Some("else.example")),
        ] {
            let failure = send(&out, json!({})).await.unwrap_err();
            assert_eq!(
                (failure.kind, failure.code.0),
                (FailureKind::Unreachable, "W4380"),
                "{failure}"
            );
        }
    }
    // A server without TLS is not spoken to where TLS is wanted.
    for database in [Database::postgres(), Database::mariadb()]
        .into_iter()
        .flatten()
    {
        let mut access = database.access();
        access.tls = Some(ClientTls {
            ca: Some(Pem::Text(Secret::from(pair.cert.as_str()))),
            identity: None,
            server_name: None,
        });
        let out = outbound(
            access,
            database.dialect(),
            &["select 1 as one"],
            Expect::Any,
        );
        let failure = send(&out, json!({})).await.unwrap_err();
        assert_eq!(failure.code.0, "W4380", "{failure}");
    }
}
