//! Hostile input: no source and no message makes a panic, an endless run or a leak.

use std::sync::Arc;

use proptest::prelude::*;
use wardline_hl7::Message;
use wardline_mapping::{
    Environment, Input, JsonError, KeyExpression, Limits, Output, Predicate, Program, RunError,
    Runtime, Subject, Value, from_json_bytes, to_json_bytes,
};

fn environment(input: Input) -> Environment {
    Environment::for_input(input)
}

/// A map that uses every reading function.
const READS_ALL: &str = r#"
.a = [hl7("PID-5.1"), hl7("PID-3[2].1"), hl7("OBX[3]-5.1.2"), hl7("MSH-2"), hl7("PID-5", raw: true)]
.b = [hl7_exists("PID"), hl7_count("PID-3"), hl7_count("OBX")]
.c = hl7_repeat("PID-3")
.d = hl7_repeat("PID-3.1.2")
.e = map_values(hl7_each("OBR")) -> |obr| { map_values(hl7_each("OBX", group: "OBR", at: obr)) -> |obx| { hl7("OBX-5", at: obx) } }
.f = hl7_find("PID-3.1", where: "PID-3.5", equals: "MR")
.g = hl7_time("PID-7", zone: "America/Chicago") ?? "none"
.h = hl7_required("PID-18") ?? "none"
"#;

/// A map that uses every writing function.
const WRITES_ALL: &str = r#"
hl7_set("PID-5.1", hl7("PID-5.2"))
hl7_set("OBX[2]-5", ["a", {"1": "b", "2.2": hl7("PID-3")}])
for_each(hl7_each("OBX")) -> |_index, obx| { hl7_set("OBX-11", "F", at: obx) }
for_each(hl7_each("NTE")) -> |_index, nte| { hl7_delete("NTE", at: nte) }
hl7_delete("PID-3[1]")
hl7_delete("NK1")
hl7_append("ZZZ", {"1": hl7("MSH-10")}, after: "PID")
"#;

const BUILDS: &str =
    r#"hl7_build("ADT", hl7("MSH-9.2", default: "A08"), ["PID", "OBX", {"PV1-3": hl7("PV1-3")}])"#;

fn message() -> impl Strategy<Value = Vec<u8>> {
    let segment = prop_oneof![
        Just("PID"),
        Just("OBX"),
        Just("OBR"),
        Just("NTE"),
        Just("NK1"),
        Just("PV1")
    ];
    let line = (segment, proptest::collection::vec(any::<u8>(), 0..60)).prop_map(|(name, rest)| {
        let mut line = name.as_bytes().to_vec();
        line.push(b'|');
        line.extend(rest);
        line.push(b'\r');
        line
    });
    let header = prop_oneof![
        Just(&b"MSH|^~\\&|EHR|H1|||2026||ADT^A01|1|P|2.5\r"[..]),
        Just(&b"MSH|^~\\&|EHR|H1|||2026||ADT^A01|1|P|2.5||||||8859/1\r"[..]),
        Just(&b"MSH|^~\\&|EHR|H1|||2026||ADT^A01|1|P|2.5||||||GB 18030-2000\r"[..]),
        Just(&b"MSH#*+:!#EHR\r"[..]),
        Just(&b"MSH|\n"[..]),
    ];
    (header, proptest::collection::vec(line, 0..12))
        .prop_map(|(header, lines)| [header.to_vec(), lines.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_message_makes_a_map_panic(bytes in message()) {
        let Ok(message) = Message::parse(bytes) else { return Ok(()) };
        let subject = Subject::hl7(Arc::new(message));
        let mut runtime = Runtime::default();
        for source in [READS_ALL, WRITES_ALL, BUILDS] {
            let program = Program::compile(source, &environment(Input::Hl7)).map_err(|problems| TestCaseError::fail(format!("{problems:#?}")))?;
            match program.run(&subject, &mut runtime) {
                // RunError::Defect is a panic that was caught.
                Err(RunError::Defect) => prop_assert!(false, "a panic"),
                // Some characters cannot be written in some character sets.
                Err(error) => prop_assert_eq!(error.code().0, "W2215"),
                Ok(Output::Hl7(bytes)) => {
                    let again = Message::parse(bytes);
                    prop_assert!(again.is_ok(), "{:?}", again.err());
                }
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn no_source_makes_the_compiler_panic(source in "\\PC{0,200}") {
        for input in [Input::Hl7, Input::Json] {
            for problem in Program::compile(&source, &environment(input)).err().into_iter().flatten() {
                prop_assert!(problem.start <= problem.end && problem.end <= source.len(), "{problem:?}");
            }
            drop(Predicate::compile(&source, &environment(input)));
            drop(KeyExpression::compile(&source, &environment(input)));
        }
    }

    #[test]
    fn no_call_makes_our_functions_panic(
        name in prop_oneof![Just("hl7"), Just("hl7_each"), Just("hl7_time!"), Just("hl7_find"), Just("hl7_set"), Just("hl7_build"), Just("hl7_append"), Just("code!"), Just("uuid_v5")],
        arguments in proptest::collection::vec(prop_oneof![
            Just("\"PID-3\"".to_owned()), Just("{\"1\": 1}".to_owned()), Just("[\"PID\", {\"PID-3\": [1, null]}]".to_owned()),
            Just("at: -1".to_owned()), Just("zone: \"é\"".to_owned()), Just("hl7(\"PID-3\")".to_owned()), Just("9223372036854775807".to_owned()), "\"[A-Z0-9\\-\\[\\].]{0,12}\"",
        ], 0..4),
    ) {
        let source = format!("_x = {name}({})", arguments.join(", "));
        let message = Arc::new(Message::parse("MSH|^~\\&|E\rPID|1||7~8\r").unwrap());
        if let Ok(program) = Program::compile(&source, &environment(Input::Hl7)) {
            let result = program.run(&Subject::hl7(message), &mut Runtime::default());
            prop_assert!(!matches!(result, Err(RunError::Defect)), "{source}");
        }
    }

    #[test]
    fn json_goes_in_and_out(text in "[\\[\\]{}:,\"0-9a-z.\\- ]{0,60}") {
        if let Ok(value) = from_json_bytes(text.as_bytes()) {
            let bytes = to_json_bytes(&value, 10_000).unwrap();
            prop_assert_eq!(from_json_bytes(&bytes).unwrap(), value);
        }
    }
}

#[test]
fn a_run_ends_after_its_steps() {
    let program = Program::compile(
        "n = 0\nfor_each(array!(.a)) -> |_i, _x| { for_each(array!(.a)) -> |_j, _y| { n = n + 1 } }\n.n = n",
        &environment(Input::Json),
    )
    .unwrap();
    let long = Value::Array(vec![Value::Integer(1); 2000]);
    let subject = Subject::json(Value::Object([("a".into(), long)].into_iter().collect()));
    let mut runtime = Runtime::new(Limits {
        steps: 10_000,
        ..Limits::default()
    });
    assert_eq!(
        program.run(&subject, &mut runtime),
        Err(RunError::TooManySteps { steps: 10_000 })
    );
    // The runtime is as good as new afterwards.
    let small = Subject::json(from_json_bytes(br#"{"a": [1]}"#).unwrap());
    assert!(matches!(
        program.run(&small, &mut runtime),
        Ok(Output::Json(_))
    ));
}

#[test]
fn a_result_has_a_limit() {
    let program = Program::compile(".b = [.a, .a, .a, .a]", &environment(Input::Json)).unwrap();
    let subject = Subject::json(
        from_json_bytes(format!("{{\"a\": \"{}\"}}", "x".repeat(1000)).as_bytes()).unwrap(),
    );
    let mut runtime = Runtime::new(Limits {
        output: 3000,
        ..Limits::default()
    });
    assert_eq!(
        program.run(&subject, &mut runtime),
        Err(RunError::TooLarge { limit: 3000 })
    );
    assert_eq!(
        to_json_bytes(&Value::from("x".repeat(100)), 50),
        Err(JsonError::TooLarge { limit: 50 })
    );
}

#[test]
fn deep_source_is_refused_and_not_overflowed() {
    for source in [
        "(".repeat(100_000),
        format!("x = {}1", "!".repeat(100_000)),
        format!("x = 1{}", " + 1".repeat(50_000)),
        "[".repeat(5000),
    ] {
        let problems = Program::compile(&source, &environment(Input::Json)).unwrap_err();
        assert_eq!(problems[0].code.0, "W2001");
    }
    // What is allowed must also be survived, on a thread with a small stack.
    let chain = format!(
        ".x = 1{}\n.y = {}1{}",
        " + 1".repeat(250),
        "(".repeat(60),
        ")".repeat(60)
    );
    let run = move || {
        let program = Program::compile(&chain, &environment(Input::Json))
            .map_err(|problems| format!("{problems:#?}"))
            .unwrap();
        program
            .run(
                &Subject::json(from_json_bytes(b"{}").unwrap()),
                &mut Runtime::default(),
            )
            .unwrap()
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn nothing_shown_for_debugging_holds_a_value() {
    let message = Message::parse("MSH|^~\\&|E\rPID|1||SECRET\r").unwrap();
    let hl7 = Subject::hl7(Arc::new(message));
    let json = Subject::json(from_json_bytes(br#"{"a": "SECRET"}"#).unwrap());
    let program = Program::compile(
        r#"x = hl7("PID-3", default: "")
.n = parse_int!(x)"#,
        &environment(Input::Hl7),
    )
    .unwrap();
    let mut runtime = Runtime::default();
    let error = program.run(&hl7, &mut runtime).unwrap_err();
    for shown in [
        format!("{hl7:?}"),
        format!("{json:?}"),
        format!("{runtime:?}"),
        format!("{error:?} {error}"),
    ] {
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}

#[test]
fn a_wrong_input_is_told() {
    let program = Program::compile(".a = 1", &environment(Input::Json)).unwrap();
    let subject = Subject::text("x".into());
    assert_eq!(
        program.run(&subject, &mut Runtime::default()),
        Err(RunError::WrongInput {
            expected: Input::Json,
            found: Input::Text
        })
    );
}

#[test]
fn a_chain_knows_what_the_map_before_made() {
    let first = Program::compile(
        r#". = {"amount": 12, "id": hl7("PID-3")}"#,
        &environment(Input::Hl7),
    )
    .unwrap();
    let next = first.following();
    assert_eq!(next.input, Input::Json);
    // `.amount` is known to be an integer, so the comparison cannot fail.
    assert!(Program::compile(".large = .amount > 10", &next).is_ok());
    assert!(Program::compile(".large = .id > 10", &next).is_err());
    let edit = Program::compile(r#"hl7_set("PV1-3.1", "ICU")"#, &environment(Input::Hl7)).unwrap();
    assert_eq!(edit.following().input, Input::Hl7);
}
